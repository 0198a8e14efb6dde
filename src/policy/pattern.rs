//! Patterns of tenants: `*` stands for any characters, case does not matter.

use std::fmt;

/// One pattern, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// `None` where the text is empty.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() { None } else { Some(Self(text.to_lowercase().into())) }
    }

    /// What stands before its first star: of `acme-*`, `acme-`.
    pub fn head(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// Whether the pattern stands for the whole of `name`. The pieces between the stars are searched from left to right,
    /// each behind the one before, so that the work is that of one search of `name` for each piece.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let Some((head, rest)) = self.0.split_once('*') else { return *self.0 == *name };
        let Some(mut left) = name.strip_prefix(head) else { return false };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*').filter(|p| !p.is_empty()) {
            match left.split_once(piece) {
                Some((_, behind)) => left = behind,
                None => return false,
            }
        }
        left.ends_with(tail)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition: a star takes nothing, or one character and goes on.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                by_definition(rest, name)
                    || (!name.is_empty() && by_definition(pattern, &name[1..]))
            }
            ([p, pattern @ ..], [n, name @ ..]) if p == n => by_definition(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{1,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(
                Pattern::new(&pattern).unwrap().matches(&name),
                by_definition(pattern.as_bytes(), name.as_bytes())
            );
        }
    }

    #[test]
    fn stars_and_case() {
        for (pattern, name, expected) in [
            ("acme-*", "acme-eu", true),
            ("acme-*", "acme", false),
            ("ACME*", "Acme", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("*acme*", "new-acme-eu", true),
            ("acme", "acme2", false),
            ("a.me", "acme", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        assert!(Pattern::new("").is_none());
    }
}
