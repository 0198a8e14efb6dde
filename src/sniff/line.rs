//! Lines of protocols that are made of text, and the names in them.

use super::MAX_NAME;

/// Complete lines, without their CR LF (or bare LF: RFC 9112 section 2.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// What stands behind the last line given.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Where that begins.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Passes over so many octets; false where they are not all there.
    pub(super) fn pass(&mut self, octets: usize) -> bool {
        let Some(rest) = self.rest.get(octets..) else { return false };
        (self.rest, self.at) = (rest, self.at + octets);
        true
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', self.rest)?;
        let line = self.rest.get(..end)?;
        self.pass(end + 1);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Whether `octet` can stand in a line of text; names in UTF-8 may (RFC 6531).
pub(super) const fn is_text(octet: u8) -> bool {
    !octet.is_ascii_control() || matches!(octet, b'\t' | b'\r' | b'\n')
}

/// The first word of a line, and what follows the spaces behind it.
pub(super) fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    (word, rest.trim_ascii())
}

/// Whether more octets can make `begun` begin with `word` in any case, or it does so already.
pub(super) fn may_begin(begun: &[u8], word: &[u8]) -> bool {
    let common = begun.len().min(word.len());
    begun.get(..common).zip(word.get(..common)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// A host name as it stands in text: letters, digits, hyphens, underscores and dots, or more of UTF-8.
pub(super) fn host_name(text: &[u8]) -> Option<Box<str>> {
    let named = (1..=MAX_NAME).contains(&text.len())
        && text.iter().all(|&b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') || !b.is_ascii()
        })
        && text.iter().any(|b| b.is_ascii_alphabetic() || !b.is_ascii());
    named.then(|| String::from_utf8_lossy(text).into())
}

/// Where TLS begins behind text: a record of handshake, an octet that no text has (RFC 8446 section 5.1).
pub(super) fn tls_at(text: &[u8]) -> Option<usize> {
    memchr::memchr(TLS, text)
}

/// The first octet of what a client says that begins with TLS.
pub(super) const TLS: u8 = 22;
