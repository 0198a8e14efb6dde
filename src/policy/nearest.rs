//! The known word that a mistyped one was meant to be.

/// The known word with the fewest edits from `word`, the first in order among equals; `None` where even that is too far
/// to be a slip.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST).collect();
    let allowed = (word.len() / 3).clamp(1, MOST_EDITS);
    known
        .into_iter()
        .map(|k| (edits(&word, &k.to_lowercase().chars().take(LONGEST).collect::<Vec<_>>()), k))
        .filter(|(n, _)| *n <= allowed)
        .min()
        .map(|(_, k)| k)
}

/// Remedy for an unknown word: the nearest known one, or where all of them stand.
pub fn suggest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match nearest(word, known) {
        Some(known) => format!("write `{known}` if that was meant; {otherwise}"),
        None => otherwise.to_owned(),
    }
}

/// Levenshtein distance, by rows.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut left = i + 1;
        let mut above_left = i;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let above = *cell;
            let here = (above_left + usize::from(x != y)).min(above + 1).min(left + 1);
            *cell = here;
            (above_left, left) = (above, here);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Longer words are compared by their beginnings: an id has at most 63 characters.
const LONGEST: usize = 64;

/// Beyond four edits it is another word.
const MOST_EDITS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (a, b, n) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
        ] {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!(edits(&a, &b), n, "{a:?} {b:?}");
        }
    }

    #[test]
    fn finds_slips_and_nothing_far() {
        let known = ["anydesk", "freshdesk", "zendesk"];
        assert_eq!(nearest("zendsk", known), Some("zendesk"));
        assert_eq!(nearest("Zendesk", known), Some("zendesk"));
        assert_eq!(nearest("salesforce", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"z".repeat(100_000), known), None);
    }
}
