//! TCP and UDP headers: ports, the TCP fields that flows need, and the payload.

use etherparse::{IpNumber, TcpHeaderSlice, UdpHeaderSlice};

use super::{Refusal, Rest, Tcp};

/// Source and destination port, `Some` for TCP, and the payload.
pub(super) type Read<'a> = ((u16, u16), Option<Tcp>, Rest<'a>);

pub(super) fn read(protocol: IpNumber, rest: Rest<'_>) -> Result<Read<'_>, Refusal> {
    match protocol {
        IpNumber::TCP => tcp(rest),
        IpNumber::UDP => udp(rest),
        IpNumber::ICMP | IpNumber::IPV6_ICMP => Err(Refusal::Icmp),
        IpNumber::ENCAPSULATING_SECURITY_PAYLOAD => Err(Refusal::Esp),
        _ => Err(Refusal::NotTcpOrUdp),
    }
}

fn tcp(rest: Rest<'_>) -> Result<Read<'_>, Refusal> {
    let Ok(header) = TcpHeaderSlice::from_slice(rest.bytes) else {
        return tcp_without_options(rest);
    };
    let tcp = Tcp {
        sequence: header.sequence_number(),
        acknowledgment: header.acknowledgment_number(),
        syn: header.syn(),
        ack: header.ack(),
        fin: header.fin(),
        rst: header.rst(),
    };
    let ports = (header.source_port(), header.destination_port());
    Ok((ports, Some(tcp), rest.skip(header.slice().len())))
}

/// A header that ends within its options: cut by snaplen it is as good as a whole one, for the payload was not captured
/// either way.
#[cold]
fn tcp_without_options(rest: Rest<'_>) -> Result<Read<'_>, Refusal> {
    let Some(fixed) = rest.bytes.first_chunk::<20>() else {
        return Err(Refusal::TooShort);
    };
    // RFC 9293 section 3.1
    //  0       2       4               8               12     13      14
    // +-------+-------+---------------+---------------+----+-+-------+----
    // | source| dest. | sequence      | acknowledgment|off.|0| flags | ...
    // +-------+-------+---------------+---------------+----+-+-------+----
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, ..] = *fixed;
    let len = usize::from(offset >> 4) * 4;
    if len < fixed.len() {
        return Err(Refusal::BadHeader);
    }
    if u32::try_from(len).is_ok_and(|len| len > rest.wire) {
        return Err(Refusal::BadLength);
    }
    let tcp = Tcp {
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        acknowledgment: u32::from_be_bytes([a0, a1, a2, a3]),
        syn: flags & 0x02 != 0,
        ack: flags & 0x10 != 0,
        fin: flags & 0x01 != 0,
        rst: flags & 0x04 != 0,
    };
    let ports = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Ok((ports, Some(tcp), rest.skip(len)))
}

/// The length field (RFC 768) governs, where it can be true: zero stands for a jumbogram or offload, less than a header or
/// more than IP carries for a first fragment or a careless sender.
fn udp(rest: Rest<'_>) -> Result<Read<'_>, Refusal> {
    let header = UdpHeaderSlice::from_slice(rest.bytes).map_err(|_| Refusal::TooShort)?;
    let len = header.slice().len();
    let total = header.length();
    let rest = if usize::from(total) < len || u32::from(total) > rest.wire {
        rest
    } else {
        rest.limit(u32::from(total))
    };
    Ok(((header.source_port(), header.destination_port()), None, rest.skip(len)))
}
