//! The forms that words of a signature file must have.

use super::domain::{MAX_LABELS, MAX_OCTETS};
use super::rule::is_label;

/// A label in which `*` may stand for any characters, but not for the whole.
pub fn is_label_pattern(label: &str) -> bool {
    label != "*" && is_label(&label.replace('*', "x"))
}

/// Of ids and categories.
pub fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Whether a match may name it; else what is wrong and how to mend it.
pub fn host_name(name: &str) -> Result<(), (&'static str, &'static str)> {
    if name.contains("://") || name.contains('/') {
        return Err(("is an address, not a name", "write the host name alone"));
    }
    if name.starts_with("*.") || name.starts_with('.') {
        return Err((
            "has a wildcard",
            "drop what stands before the name: a match takes all names below it",
        ));
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(("has upper-case letters", "write it in lower case"));
    }
    if !name.is_ascii() {
        return Err(("is not ASCII", "write its xn-- form (RFC 5891)"));
    }
    if name.ends_with('.') {
        return Err(("ends with a dot", "drop the dot"));
    }
    let labels = name.split('.').count();
    if name.len() > MAX_OCTETS - 2 || labels > MAX_LABELS {
        return Err(("is too long", "name a suffix of at most 253 octets and 10 labels"));
    }
    if !name.split('.').all(|l| is_label(l) && !l.starts_with('-') && !l.ends_with('-')) {
        return Err(("is no host name", "write labels of letters, digits and hyphens"));
    }
    if labels < 2 {
        return Err(("is a single label", "name the domain that the vendor registered"));
    }
    if name.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit())) {
        return Err(("is an IP address", "name a host: an address range decides nothing alone"));
    }
    Ok(())
}
