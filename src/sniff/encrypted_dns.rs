//! Encrypted DNS, by what a ClientHello shows of it: DoT (RFC 7858), DoQ (RFC 9250), and DoH (RFC 8484) by the names of public
//! resolvers. And iCloud Private Relay, which hides what follows as well.

use super::{Carrier, ClientHello};

/// Whether a client asks for names where nobody else can read them. `port` is the server's.
pub fn encrypted_dns(hello: &ClientHello, port: u16) -> bool {
    let by_alpn = hello.alpn.iter().any(|alpn| matches!(&**alpn, "dot" | "doq"));
    let by_port = match hello.carrier {
        Carrier::Tcp => port == 853,
        // RFC 9250 section 8.1; its drafts had 784 and 8853.
        Carrier::Quic => matches!(port, 853 | 784 | 8853),
        Carrier::Dtls => false,
    };
    by_alpn || by_port || hello.sni.as_deref().is_some_and(is_resolver)
}

/// Whether a client goes through iCloud Private Relay, whose first proxies have these names: what it carries cannot be seen.
pub fn private_relay(hello: &ClientHello) -> bool {
    let sni = hello.sni.as_deref().map(|sni| sni.strip_suffix('.').unwrap_or(sni));
    sni.is_some_and(|sni| {
        ["mask.icloud.com", "mask-h2.icloud.com"].iter().any(|name| sni.eq_ignore_ascii_case(name))
    })
}

/// Whether a host is a public resolver's, or a name below it: some give each customer one.
fn is_resolver(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    RESOLVERS.iter().any(|name| {
        host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Hosts that do nothing but this, as their operators and nDPI's list of DoH hosts name them.
const RESOLVERS: &[&str] = &[
    "cloudflare-dns.com",
    "one.one.one.one",
    "dns.google",
    "dns.google.com",
    "dns.quad9.net",
    "dns9.quad9.net",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "doh.opendns.com",
    "dns.nextdns.io",
    "dns.adguard.com",
    "dns.adguard-dns.com",
    "doh.cleanbrowsing.org",
    "doh.dns.sb",
    "doh.powerdns.org",
    "odvr.nic.cz",
    "dns.digitale-gesellschaft.ch",
    "doh.libredns.gr",
    "doh.appliedprivacy.net",
    "doh.xfinity.com",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(sni: &str, alpn: &str, carrier: Carrier) -> ClientHello {
        let alpn = vec![alpn.into()];
        ClientHello { sni: Some(sni.into()), alpn, carrier, ..ClientHello::default() }
    }

    #[test]
    fn proxies_of_private_relay_are_told_by_name() {
        for (sni, is) in [
            ("mask.icloud.com", true),
            ("Mask-H2.iCloud.com.", true),
            ("mask-api.icloud.com", false),
            ("www.icloud.com", false),
            ("mask.icloud.com.evil.example", false),
        ] {
            assert_eq!(private_relay(&hello(sni, "h3", Carrier::Quic)), is, "{sni}");
        }
    }

    #[test]
    fn resolvers_ports_and_protocols_tell_it() {
        for (sni, alpn, carrier, port, is) in [
            ("Mozilla.Cloudflare-DNS.com", "h2", Carrier::Tcp, 443, true),
            ("dns.google.", "h3", Carrier::Quic, 443, true),
            ("mydns.google", "h2", Carrier::Tcp, 443, false),
            ("dns.google.evil.example", "h2", Carrier::Tcp, 443, false),
            ("ns.acme.example", "dot", Carrier::Tcp, 443, true),
            ("ns.acme.example", "x", Carrier::Tcp, 853, true),
            ("ns.acme.example", "doq", Carrier::Quic, 443, true),
            ("ns.acme.example", "x", Carrier::Quic, 784, true),
            ("ns.acme.example", "x", Carrier::Tcp, 784, false),
        ] {
            assert_eq!(encrypted_dns(&hello(sni, alpn, carrier), port), is, "{sni} {alpn} {port}");
        }
    }
}
