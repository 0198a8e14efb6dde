//! The host in a field of a log: alone, in a URL, with a port, with the root's dot.

/// `None` for what is no host name: empty, `-`, an address, a path.
pub fn of(field: &str) -> Option<&str> {
    let field = field.trim().trim_matches('"');
    // RFC 3986 section 3: scheme "://" [userinfo "@"] host [":" port] ["/" path]["?" query]["#" fragment]
    let rest = field.split_once("://").map_or(field, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    if host.starts_with('[') {
        return None;
    }
    let host = host.split(':').next()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_name = host.bytes().any(|b| b.is_ascii_alphabetic())
        && host.contains('.')
        && host.bytes().all(named);
    is_name.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_however_a_log_writes_them() {
        for field in [
            "acme.zendesk.com",
            "acme.zendesk.com.",
            "acme.zendesk.com:443",
            "https://acme.zendesk.com/agent?x=a.example/b",
            "https://user:word@acme.zendesk.com:8443/",
            "wss://acme.zendesk.com",
            "\"acme.zendesk.com\"",
            " acme.zendesk.com ",
            "acme.zendesk.com/path",
        ] {
            assert_eq!(of(field), Some("acme.zendesk.com"), "{field}");
        }
        assert_eq!(of("ACME.Zendesk.com"), Some("ACME.Zendesk.com"));
        for field in [
            "",
            "-",
            "192.0.2.1",
            "192.0.2.1:443",
            "[2001:db8::1]:443",
            "/a.html",
            "a b.example",
            "localhost",
            "http://",
            "@",
            "://",
        ] {
            assert_eq!(of(field), None, "{field}");
        }
    }
}
