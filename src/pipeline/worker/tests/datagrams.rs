//! A hello that comes in several datagrams names its flow; what never becomes whole is given up in time and within the pool.

use super::*;
use crate::decode::Tunnels;
use crate::sniff::quic::sealed::{Seal, V1, crypto, initials};
use crate::sniff::tests::client_hello;

const DCID: &[u8] = b"12345678";

fn say(wire: &mut Wire, source: Endpoint, destination: Endpoint, payload: &[u8]) {
    wire.frame += 1;
    wire.at = wire.at.plus(std::time::Duration::from_micros(100));
    let moment = Moment { at: wire.at, ordinal: wire.frame };
    let segment = Segment {
        source,
        destination,
        transport: Transport::Udp,
        tcp: None,
        vlan: None,
        id: 0,
        datagram: &[],
        tunnels: Tunnels::default(),
        payload,
        payload_len: payload.len() as u32,
        wire_len: payload.len() as u32 + 42,
    };
    wire.worker.segment(moment, wire.frame, &segment);
}

/// A hello of two Initials, its name in the second.
fn hello_in_two() -> Vec<Vec<u8>> {
    let initials = initials(V1, DCID, &client_hello(Some(NAME), 1216), 1200);
    assert_eq!(initials.len(), 2);
    initials
}

fn sight(wire: &mut Wire) -> Sight {
    wire.worker.finish(Moment { at: wire.at, ordinal: wire.frame });
    assert_eq!(wire.worker.table.opening_bytes(), 0);
    wire.ends().last().unwrap().sight
}

#[test]
fn two_datagrams_in_either_order_give_the_name() {
    for order in [[0, 1], [1, 0]] {
        let mut wire = Wire::new(&Options::default());
        let parts = hello_in_two();
        say(&mut wire, client(40_000), SERVER, &parts[order[0]]);
        assert!(wire.names().is_empty());
        assert!(wire.worker.table.opening_bytes() > 1200);
        say(&mut wire, client(40_000), SERVER, &parts[order[1]]);
        assert_eq!(wire.names(), [(client(40_000), NAME.to_owned())]);
        assert_eq!(wire.worker.table.opening_bytes(), 0);
        say(&mut wire, client(40_000), SERVER, &parts[0]);
        assert_eq!(wire.worker.table.opening_bytes(), 0, "it is not looked at any more");
        assert_eq!((wire.names().len(), sight(&mut wire)), (1, Sight::Read));
    }
}

#[test]
fn half_a_hello_is_given_up_in_time_and_tells_what_is_certain() {
    let hello = client_hello(Some(NAME), 0);
    for (range, names, sees) in
        [(0..hello.len() - 20, 1, Sight::Read), (0..100, 0, Sight::Incomplete)]
    {
        let half = Seal::first(V1, DCID).initial(&crypto(&hello, range), 1200);
        for seconds in [5, 12] {
            let mut wire = Wire::new(&Options::default());
            say(&mut wire, client(40_000), SERVER, &half);
            wire.wait(seconds);
            assert_eq!(wire.worker.table.opening_bytes() > 0, seconds == 5);
            assert_eq!(wire.names().len(), if seconds == 5 { 0 } else { names });
            assert_eq!(sight(&mut wire), sees, "the end of the capture tells no less");
            assert_eq!(wire.names().len(), names);
        }
    }
}

#[test]
fn what_cannot_be_opened_is_sealed_and_what_is_not_quic_costs_nothing() {
    let server = Seal { side: b"server in", ..Seal::first(V1, DCID) }.initial(&[1], 1200);
    let cut = &hello_in_two()[0][..700];
    let mut unknown = hello_in_two().remove(0);
    unknown[1..5].copy_from_slice(&[0xfa, 0xce, 0xb0, 0x77]);
    for (payload, sees) in [
        (&server[..], Sight::QuicSealed),
        (cut, Sight::QuicSealed),
        (&unknown, Sight::QuicSealed),
        (&[0xc0; 1200], Sight::Foreign),
        (&[0x40; 1200], Sight::Foreign),
        // It may be the first packet of RTP, and is not looked at for that longer than a hello.
        (&[0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 4], Sight::Foreign),
    ] {
        for seconds in [0, 60] {
            let mut wire = Wire::new(&Options::default());
            say(&mut wire, SERVER, client(40_000), payload);
            let guess = payload[0] == 0x80;
            assert_eq!(wire.worker.table.opening_bytes() > 0, guess);
            wire.wait(seconds);
            assert_eq!(wire.worker.table.opening_bytes() > 0, guess && seconds == 0);
            assert_eq!(sight(&mut wire), sees);
        }
    }
}

#[test]
fn a_server_that_is_seen_first_is_still_the_server() {
    let mut wire = Wire::new(&Options::default());
    let server = Endpoint { port: 4433, ..SERVER };
    let answer = Seal { side: b"server in", ..Seal::first(V1, DCID) }.initial(&[1], 1200);
    say(&mut wire, server, client(40_000), &answer);
    for part in hello_in_two() {
        say(&mut wire, client(40_000), server, &part);
    }
    assert_eq!(wire.names(), [(client(40_000), NAME.to_owned())]);
    assert_eq!(sight(&mut wire), Sight::Read);
    let ended = wire.ends()[0];
    assert_eq!((ended.ends.client, ended.ends.server), (client(40_000), server));
    assert_eq!((ended.delta.sent.packets, ended.delta.received.packets), (2, 1));
}

#[test]
fn halves_of_many_hellos_stay_within_the_pool() {
    let options = Options { opening_pool_mib: 1, ..Options::default() };
    let mut wire = Wire::new(&options);
    let half = hello_in_two().remove(0);
    for port in 1024..3024 {
        say(&mut wire, client(port), SERVER, &half);
        assert!(wire.worker.table.opening_bytes() <= 1 << 20);
    }
    assert!(wire.worker.cells.get(Counter::OpeningsShed) > 500);
    // The youngest can still be completed, the oldest was given up.
    let other = hello_in_two().remove(1);
    for (port, names) in [(1024, 0), (3023, 1)] {
        say(&mut wire, client(port), SERVER, &other);
        assert_eq!(wire.names().len(), names);
    }
    wire.wait(12);
    assert_eq!(wire.worker.table.opening_bytes(), 0);
}

#[test]
fn a_later_connection_of_the_same_socket_has_its_own_name() {
    let mut wire = Wire::new(&Options::default());
    let me = client(40_000);
    let first = initials(V1, DCID, &client_hello(Some("first.example"), 32), 1200);
    say(&mut wire, me, SERVER, &first[0]);
    // What is left of the handshake, and a second connection that comes too soon.
    say(
        &mut wire,
        me,
        SERVER,
        &Seal { keys_of: DCID, ..Seal::first(V1, b"chosen it") }.initial(&[2, 0, 0, 0, 0], 1200),
    );
    say(
        &mut wire,
        me,
        SERVER,
        &initials(V1, b"too soon", &client_hello(Some("soon.example"), 32), 1200)[0],
    );
    wire.wait(3);
    // Not what the server says, nor what is no first packet.
    let second = initials(V1, b"87654321", &client_hello(Some(NAME), 1216), 1200);
    say(&mut wire, SERVER, me, &second[0]);
    say(&mut wire, me, SERVER, &[0x45; 1200]);
    assert_eq!(wire.worker.table.opening_bytes(), 0);
    for part in &second {
        assert_eq!(wire.names().len(), 1);
        say(&mut wire, me, SERVER, part);
    }
    let names: Vec<_> = wire.names().into_iter().map(|name| name.1).collect();
    assert_eq!(names, ["first.example", NAME]);
    assert_eq!(wire.worker.table.opening_bytes(), 0);

    // Packets that only look like a beginning are tried so often, and then no more.
    for round in 0..200u8 {
        say(&mut wire, me, SERVER, &Seal::first(V1, &[round; 8]).opaque(0, 1100));
        wire.wait(11);
    }
    let late = initials(V1, b"too late", &client_hello(Some("late.example"), 32), 1200);
    say(&mut wire, me, SERVER, &late[0]);
    assert_eq!((wire.names().len(), sight(&mut wire)), (2, Sight::Read));
}

#[test]
fn damage_to_a_question_is_forgiven_at_the_port_of_dns() {
    let asked = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04acme\x03com\0\0\x01\0\x49";
    for (port, believed) in [(53, true), (54, false)] {
        let mut wire = Wire::new(&Options::default());
        say(&mut wire, client(40_000), Endpoint { port, ..SERVER }, asked);
        let dns = |update: &Update| match &update.what {
            What::Evidence(both) => matches!(both.1, crate::sniff::Evidence::Dns(_)),
            _ => false,
        };
        assert_eq!(wire.worker.outlet.iter().any(dns), believed, "{port}");
    }
}
