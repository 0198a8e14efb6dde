//! Punycode: the letters that stand behind `xn--` in a label (RFC 3492).

/// The Unicode text of a label in any case, without its `xn--`. `None` for what encodes nothing, or more than `MAX_CHARS`.
pub fn decode(label: &str) -> Option<String> {
    let (basic, rest) = label.rsplit_once('-').unwrap_or(("", label));
    if !label.is_ascii() || rest.is_empty() {
        return None;
    }
    let mut chars: Vec<char> = basic.chars().collect();
    let (mut n, mut at, mut bias) = (INITIAL_N, 0u32, INITIAL_BIAS);
    let mut octets = rest.bytes();
    while octets.len() > 0 {
        let before = at;
        let mut weight = 1u32;
        for k in (BASE..).step_by(BASE as usize) {
            let digit = digit(octets.next()?)?;
            at = at.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
        }
        let len = u32::try_from(chars.len()).ok()? + 1;
        if len > MAX_CHARS {
            return None;
        }
        bias = adapt(at - before, len, before == 0);
        n = n.checked_add(at / len)?;
        at %= len;
        chars.insert(at as usize, char::from_u32(n)?);
        at += 1;
    }
    Some(chars.into_iter().collect())
}

/// RFC 3492 section 6.1.
const fn adapt(delta: u32, len: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / len;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

fn digit(octet: u8) -> Option<u32> {
    match octet {
        b'a'..=b'z' => Some(u32::from(octet - b'a')),
        b'A'..=b'Z' => Some(u32::from(octet - b'A')),
        b'0'..=b'9' => Some(u32::from(octet - b'0') + 26),
        _ => None,
    }
}

/// Letters of a label: its 63 octets never encode more (RFC 1035 section 2.3.4).
const MAX_CHARS: u32 = 63;

/// RFC 3492 section 5.
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_labels_are_read() {
        // RFC 3492 section 7.1 (L) and (B), and names as browsers write them.
        for (label, text) in [
            ("3B-ww4c5e180e575a65lsy2b", "3\u{5e74}B\u{7d44}\u{91d1}\u{516b}\u{5148}\u{751f}"),
            (
                "ihqwcrb4cv8a8dqg056pqjye",
                "\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}",
            ),
            ("bcher-kva", "b\u{fc}cher"),
            ("80ak6aa92e", "\u{430}\u{440}\u{440}\u{04cf}\u{435}"),
        ] {
            assert_eq!(decode(label).as_deref(), Some(text), "{label}");
        }
        for label in ["", "-", "abc-", "a-!", "a-\u{e9}", "99999999", &"z".repeat(60)] {
            assert_eq!(decode(label), None, "{label}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(label in "[a-zA-Z0-9-]{0,80}|.{0,20}") {
            if let Some(text) = decode(&label) {
                prop_assert!(text.chars().count() <= MAX_CHARS as usize);
            }
        }
    }
}
