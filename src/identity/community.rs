//! Community ID version 1: one identifier of a flow for every tool that sees it (Corelight's community-id-spec).

use data_encoding::BASE64;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::decode::{Address, Endpoint, Transport};

/// ```text
/// "1:" base64(SHA-1(
///  seed  address (4 or 16)   address      proto  0   port    port
/// +-----+-------------------+------------+------+---+-------+------+
/// | 0 0 | the lower end's   | the higher | 6/17 | 0 | lower | high |
/// +-----+-------------------+------------+------+---+-------+------+
/// ```
///
/// It holds no key: whoever knows four of the five numbers finds the last. It is shown where addresses are.
pub fn community_id(one: Endpoint, other: Endpoint, transport: Transport) -> String {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&SEED.to_be_bytes());
    for end in [low, high] {
        update(&mut context, end.ip);
    }
    let protocol = match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    context.update(&[protocol, 0]);
    for end in [low, high] {
        context.update(&end.port.to_be_bytes());
    }
    format!("1:{}", BASE64.encode(context.finish().as_ref()))
}

/// The seed that tools take by default.
const SEED: u16 = 0;

fn update(context: &mut Context, address: Address) {
    match address.ip() {
        std::net::IpAddr::V4(ip) => context.update(&ip.octets()),
        std::net::IpAddr::V6(ip) => context.update(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(one: &str, other: &str, transport: Transport) -> String {
        let end = |text: &str| {
            let socket: std::net::SocketAddr = text.parse().unwrap();
            let ip = match socket.ip() {
                std::net::IpAddr::V4(ip) => Address::v4(ip.octets()),
                std::net::IpAddr::V6(ip) => Address::v6(ip.octets()),
            };
            Endpoint { ip, port: socket.port() }
        };
        let (one, other) = (end(one), end(other));
        let both = community_id(one, other, transport);
        assert_eq!(both, community_id(other, one, transport), "both directions are one flow");
        both
    }

    /// The values of the specification's baseline.
    #[test]
    fn agrees_with_the_specification() {
        let tcp = id("128.232.110.120:34855", "66.35.250.204:80", Transport::Tcp);
        assert_eq!(tcp, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let udp = id("192.168.1.52:54585", "8.8.8.8:53", Transport::Udp);
        assert_eq!(udp, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        let v6 = id(
            "[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943",
            "[2607:f8b0:400c:c03::1a]:25",
            Transport::Tcp,
        );
        assert_eq!(v6, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=");
    }
}
