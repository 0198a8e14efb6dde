//! Which client an address is, under each mode of privacy, and what vantages say of it.

use super::*;
use crate::sniff::{Dhcp, DhcpEvent};

fn identity(client: Privacy, vantages: &[Vantage]) -> Identity {
    let options = Options { client, ..Options::default() };
    Identity::new(&options, vantages, [7; 32]).unwrap()
}

fn vantage(kind: VantageKind, network: &str) -> Vantage {
    Vantage { kind, networks: vec![Network(network.parse().unwrap())] }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_pseudonym_is_stable_under_its_key_and_hides_the_address() {
    let one = identity(Privacy::Pseudonym, &[]);
    let client = one.client(ip("10.0.0.1"), ClientKind::Host);
    // HMAC-SHA256 with a key of 32 octets 07 over 0a 00 00 01, computed with openssl.
    assert_eq!(&*client.id, "c-0f30512374f4");
    assert_eq!(client, one.client(ip("::ffff:10.0.0.1"), ClientKind::Host));
    assert_ne!(client.id, one.client(ip("10.0.0.2"), ClientKind::Host).id);
    let other = Identity::new(&Options::default(), &[], [8; 32]).unwrap();
    assert_ne!(client.id, other.client(ip("10.0.0.1"), ClientKind::Host).id);
}

#[test]
fn an_unknown_ipv6_client_is_its_64() {
    let shown = identity(Privacy::Address, &[]);
    let one = shown.client(ip("2001:db8:1:2:3::4"), ClientKind::Unknown);
    assert_eq!(&*one.id, "2001:db8:1:2::/64");
    assert_eq!(one, shown.client(ip("2001:db8:1:2:ffff::"), ClientKind::Unknown));
    let host = shown.client(ip("2001:db8:1:2:3::4"), ClientKind::Host);
    assert_eq!(&*host.id, "2001:db8:1:2:3::4");
    assert_eq!(&*shown.client(ip("10.0.0.1"), ClientKind::Unknown).id, "10.0.0.1");

    let hidden = identity(Privacy::Pseudonym, &[]);
    let net = hidden.client(ip("2001:db8:1:2:3::4"), ClientKind::Unknown);
    assert_eq!(net, hidden.client(ip("2001:db8:1:2::"), ClientKind::Unknown));
    assert_ne!(net.id, hidden.client(ip("2001:db8:1:2::"), ClientKind::Host).id);
}

#[test]
fn a_machine_keeps_its_pseudonym_whatever_its_address() {
    let mut identity = identity(Privacy::Pseudonym, &[vantage(VantageKind::Nat, "10.9.0.0/16")]);
    let at = crate::time::Time::from_secs(1_700_000_000);
    let lease = |address: &str, mac| Dhcp {
        event: DhcpEvent::Granted,
        mac,
        name: None,
        addresses: vec![(ip(address), 600)],
    };
    let mac = Some([0x3c, 0x22, 0xfb, 1, 2, 3]);
    for (address, mac) in
        [("10.0.0.1", mac), ("2001:db8::7", mac), ("10.9.0.1", mac), ("2001:db8::8", None)]
    {
        identity.leases.learn(&lease(address, mac), at);
    }
    let client = |address: &str, kind| {
        let address = ip(address);
        identity.machine(address, kind, identity.leases.at(address, at), None)
    };
    let one = client("10.0.0.1", None);
    assert_eq!((one.kind, &one), (ClientKind::Host, &client("2001:db8::7", None)));
    let bare = identity.client(ip("10.0.0.1"), ClientKind::Host);
    assert_ne!(one.id, bare.id);
    // Many stand behind it, as declared; no lease; a lease that shows no hardware address.
    assert_eq!(client("10.0.0.1", Some(ClientKind::Shared)).kind, ClientKind::Shared);
    assert_eq!(client("10.9.0.1", None).kind, ClientKind::Shared);
    assert_eq!(client("10.0.0.2", None).kind, ClientKind::Unknown);
    let exact = identity.client(ip("2001:db8::8"), ClientKind::Host);
    assert_eq!(client("2001:db8::8", None), exact);
}

#[test]
fn whom_the_lease_file_names_is_one_client_at_every_address() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.csv");
    let rows = "address,from,to,identity,group\n10.8.0.7,,,alice,\n10.8.0.8,,,Alice,\n\
                10.8.0.9,,,3c:22:fb:01:02:03,\n10.8.0.10,,,,vpn\n10.9.0.1,,,alice,\n";
    std::fs::write(&path, rows).unwrap();
    let options = lease_file::Options { files: vec![path], ..Default::default() };
    let file = LeaseFile::read(&options, |_| Ok(())).unwrap();
    let hidden = identity(Privacy::Pseudonym, &[vantage(VantageKind::Nat, "10.9.0.0/16")]);
    let lease = Lease { mac: Some([7; 6]), name: None, until: crate::time::Time::MAX };
    let known = Lease { mac: Some([0x3c, 0x22, 0xfb, 1, 2, 3]), ..lease.clone() };
    let at = crate::time::Time::from_secs(1_700_000_000);
    let client = |identity: &Identity, address: &str, lease| {
        let address = ip(address);
        identity.machine(address, None, lease, file.at(address, at))
    };
    let alice = client(&hidden, "10.8.0.7", None);
    assert_eq!(alice.kind, ClientKind::Host);
    assert_eq!(alice, client(&hidden, "10.8.0.8", Some(&lease)), "before what DHCP says");
    assert_eq!(*alice.id, hidden.id_of(&Owner::read(" ALICE ").unwrap()));
    assert!(is_pseudonym(&alice.id));
    assert_ne!(alice.id, hidden.client(ip("10.8.0.7"), ClientKind::Host).id);
    let machine = client(&hidden, "10.8.0.9", None);
    assert_eq!(machine, client(&hidden, "10.8.0.20", Some(&known)), "as DHCP knows it");
    assert_eq!(client(&hidden, "10.8.0.10", None).kind, ClientKind::Unknown, "no identity");
    assert_eq!(client(&hidden, "10.9.0.1", None).kind, ClientKind::Shared, "declared");
    let shown = client(&identity(Privacy::Address, &[]), "10.8.0.7", None);
    assert_eq!(shown, Client { id: "10.8.0.7".into(), kind: ClientKind::Host });
}

#[test]
fn a_place_is_a_client_a_server_and_a_port_and_tells_none_of_them() {
    let (hidden, group) = (identity(Privacy::Pseudonym, &[]), identity(Privacy::Group, &[]));
    let [one, other, server] = ["10.0.0.1", "10.0.0.2", "192.0.2.1"].map(ip);
    let place = hidden.place(one, server, 443);
    assert_eq!(place, hidden.place(ip("::ffff:10.0.0.1"), server, 443));
    assert_ne!(place, hidden.place(other, server, 443));
    assert_ne!(place, hidden.place(one, other, 443));
    assert_ne!(place, hidden.place(one, server, 80));
    assert_eq!(group.place(one, server, 443), group.place(other, server, 443));
    let another = Identity::new(&Options::default(), &[], [8; 32]).unwrap();
    assert_ne!(place, another.place(one, server, 443));
}

#[test]
fn a_group_is_one_shared_client() {
    let identity = identity(Privacy::Group, &[]);
    let client = identity.client(ip("10.0.0.1"), ClientKind::Host);
    assert_eq!(client, Client { id: "-".into(), kind: ClientKind::Shared });
    assert_eq!(client, identity.client(ip("2001:db8::1"), ClientKind::Unknown));
}

#[test]
fn vantage_decides_the_kind_and_who_is_left_out() {
    let identity = identity(
        Privacy::Address,
        &[
            vantage(VantageKind::Proxy, "10.1.1.0/24"),
            vantage(VantageKind::Scanner, "10.1.1.10/32"),
            vantage(VantageKind::Guest, "192.168.0.0/16"),
            vantage(VantageKind::Resolver, "10.1.2.53/32"),
            vantage(VantageKind::Nat, "198.51.100.1/32"),
            vantage(VantageKind::TlsInspector, "10.1.3.1/32"),
            vantage(VantageKind::VpnGateway, "10.1.4.1/32"),
        ],
    );
    for shared in ["10.1.1.1", "198.51.100.1", "10.1.3.1", "10.1.4.1"] {
        let kind = identity.client(ip(shared), ClientKind::Host).kind;
        assert_eq!(kind, ClientKind::Shared, "{shared}");
    }
    assert_eq!(identity.client(ip("10.1.1.10"), ClientKind::Host).kind, ClientKind::Host);
    assert_eq!(identity.client(ip("10.1.2.53"), ClientKind::Host).kind, ClientKind::Host);
    assert!(identity.is_left_out(ip("10.1.1.10")));
    assert!(identity.is_left_out(ip("192.168.3.4")));
    assert!(!identity.is_left_out(ip("10.1.1.1")));
    assert_eq!(identity.vantage(ip("10.1.2.53")), Some(VantageKind::Resolver));
    assert_eq!(identity.vantage(ip("10.9.9.9")), None);
}

#[test]
fn one_network_is_not_two_kinds() {
    let twice = [
        vantage(VantageKind::Nat, "10.1.1.10/32"),
        vantage(VantageKind::Nat, "10.1.1.10/32"),
        vantage(VantageKind::Guest, "10.1.1.10/32"),
    ];
    let error = Identity::new(&Options::default(), &twice, [0; 32]).err().unwrap();
    assert_eq!(
        error,
        "[[vantage]] says of network `10.1.1.10/32` that it is `nat` and `guest`: keep one of the two"
    );
    assert!(Identity::new(&Options::default(), &twice[..2], [0; 32]).is_ok());
}

#[test]
fn the_cache_is_bounded_and_counted() {
    let identity = identity(Privacy::Address, &[]);
    for i in 0..=u32::try_from(CACHED_IDS).unwrap() {
        identity.client(IpAddr::V4(i.into()), ClientKind::Host);
    }
    assert_eq!(identity.cells().get(Counter::Cleared), 1);
    assert_eq!(identity.ids.lock().unwrap().len(), 1);
}

#[test]
fn options_refuse_unknown_keys_and_modes() {
    let options: Options =
        serde_json::from_str(r#"{"client": "group", "key_file": "/k"}"#).unwrap();
    assert_eq!(options.client, Privacy::Group);
    for (text, expected) in [
        (
            r#"{"client": "name"}"#,
            "unknown variant `name`, expected one of `pseudonym`, `address`, `group`",
        ),
        (
            r#"{"clients": "group"}"#,
            "unknown field `clients`, expected one of `client`, `small_groups`, `key_file`, `never_record`",
        ),
    ] {
        let error = serde_json::from_str::<Options>(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
