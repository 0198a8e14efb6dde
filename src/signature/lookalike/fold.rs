//! What a label looks like to a hurried reader: letters that look alike become one, in ASCII where they can.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::punycode;

/// The label as it is read: Unicode confusables by their prototypes (UTS 39 section 4) and without accents, then
/// [`fold`]. In lower case.
pub fn seen(label: &str) -> String {
    let text = match label.strip_prefix("xn--").and_then(punycode::decode) {
        Some(text) => text,
        None if label.is_ascii() => return fold(label),
        None => label.to_owned(),
    };
    let plain = text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let mut ascii = String::new();
    for c in plain {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            // One letter at a time: the prototype of m is rn, and ASCII has its own rules below.
            let one = c.to_string();
            let prototype = unicode_security::skeleton(&one);
            ascii.extend(prototype.filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase));
        }
    }
    fold(&ascii)
}

/// Letters and pairs of ASCII that are taken for one another: `rn` for m, `vv` for w, digits for letters, l for i.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let pair = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>, next| {
            rest.next_if_eq(&next).is_some()
        };
        folded.push(match c {
            'r' if pair(&mut rest, 'n') => 'm',
            'v' if pair(&mut rest, 'v') => 'w',
            '0' => 'o',
            '1' | 'i' => 'l',
            '3' => 'e',
            '4' => 'a',
            '5' => 's',
            '7' => 't',
            c => c.to_ascii_lowercase(),
        });
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_one() {
        let word = fold("teamviewer");
        for label in ["tearnviewer", "teamvievver", "te4mv1ewer", "TeamViewer", "teamviewer"] {
            assert_eq!(fold(label), word, "{label}");
        }
        assert_ne!(fold("teamview"), word);
        let word = fold("zendesk");
        // A Cyrillic e, an accent, a small capital, full width.
        for label in ["z\u{435}ndesk", "zend\u{e9}sk", "\u{1d22}endesk", "\u{ff5a}endesk"] {
            assert_eq!(seen(label), word, "{label}");
        }
        assert_eq!(seen("xn--80ak6aa92e"), fold("apple"));
        assert_eq!(seen("xn--zzz-"), fold("xn--zzz-"), "encodes nothing");
    }
}
