//! IPv4 and IPv6 headers, extension headers and fragments: addresses, and the octets of the transport.

use etherparse::err::{ipv4, ipv6};
use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use super::link::Version;
use super::{Address, Refusal, Rest};

/// Extension headers of one packet: RFC 8200 section 4.1 knows six, destination options twice.
pub(super) const MAX_EXTENSIONS: usize = 8;

pub(super) struct Packet<'a> {
    pub(super) source: Address,
    pub(super) destination: Address,
    /// The transport's; of a fragment, what the datagram begins with.
    pub(super) protocol: IpNumber,
    pub(super) rest: Rest<'a>,
    /// The identification of IPv4.
    pub(super) id: u16,
    /// Where the packet holds a part of its datagram only.
    pub(super) cut: Option<Cut>,
}

/// The place of a fragment in its datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) version: Version,
    pub(super) id: u32,
    /// In octets.
    pub(super) start: u32,
    pub(super) more: bool,
    /// The protocol or next header.
    pub(super) next: u8,
}

pub(super) fn read(version: Version, rest: Rest<'_>) -> Result<Packet<'_>, Refusal> {
    match version {
        Version::V4 => v4(rest),
        Version::V6 => v6(rest),
    }
}

fn v4(rest: Rest<'_>) -> Result<Packet<'_>, Refusal> {
    let header = Ipv4HeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => Refusal::TooShort,
        ipv4::HeaderSliceError::Content(_) => Refusal::BadHeader,
    })?;
    let len = header.slice().len();
    let rest = match header.total_len() {
        // Segmentation offload: the network card was to fill it in.
        0 => rest,
        total if usize::from(total) < len => return Err(Refusal::BadLength),
        total => rest.limit(u32::from(total)),
    };
    let (source, destination) = (Address::v4(header.source()), Address::v4(header.destination()));
    let (next, rest) = (header.protocol(), rest.skip(len));
    let id = header.identification();
    let start = u32::from(header.fragments_offset().value()) * 8;
    if start != 0 || header.more_fragments() {
        let cut = Cut {
            version: Version::V4,
            id: id.into(),
            start,
            more: header.more_fragments(),
            next: next.0,
        };
        return Ok(Packet { source, destination, protocol: next, rest, id, cut: Some(cut) });
    }
    let (protocol, rest) = after_v4(next, rest)?;
    Ok(Packet { source, destination, protocol, rest, id, cut: None })
}

/// What stands between an IPv4 header and the transport.
pub(super) fn after_v4(next: IpNumber, rest: Rest<'_>) -> Result<(IpNumber, Rest<'_>), Refusal> {
    match next {
        IpNumber::AUTHENTICATION_HEADER => authentication(rest),
        _ => Ok((next, rest)),
    }
}

fn v6(rest: Rest<'_>) -> Result<Packet<'_>, Refusal> {
    let header = Ipv6HeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => Refusal::TooShort,
        ipv6::HeaderSliceError::Content(_) => Refusal::BadHeader,
    })?;
    let rest = rest.skip(header.slice().len());
    let rest = match header.payload_length() {
        // A jumbogram (RFC 2675) or segmentation offload.
        0 => rest,
        len => rest.limit(u32::from(len)),
    };
    let (protocol, rest, cut) = match header.next_header() {
        transport @ (IpNumber::TCP | IpNumber::UDP) => (transport, rest, None),
        first => extensions(first, rest)?,
    };
    Ok(Packet {
        source: Address::v6(header.source()),
        destination: Address::v6(header.destination()),
        protocol,
        rest,
        id: 0,
        cut,
    })
}

/// What extension headers lead to.
type Passed<'a> = (IpNumber, Rest<'a>, Option<Cut>);

/// Passes over extension headers (RFC 8200 section 4), up to that of a fragment. An atomic fragment (RFC 6946) is whole.
pub(super) fn extensions(mut next: IpNumber, mut rest: Rest<'_>) -> Result<Passed<'_>, Refusal> {
    for _ in 0..=MAX_EXTENSIONS {
        let len = match next {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest.bytes)
                    .map_err(|_| Refusal::TooShort)?;
                next = header.next_header();
                let start = u32::from(header.fragment_offset().value()) * 8;
                let more = header.more_fragments();
                if start != 0 || more {
                    let cut = Cut {
                        version: Version::V6,
                        id: header.identification(),
                        start,
                        more,
                        next: next.0,
                    };
                    return Ok((next, rest.skip(header.slice().len()), Some(cut)));
                }
                header.slice().len()
            }
            IpNumber::AUTHENTICATION_HEADER => {
                (next, rest) = authentication(rest)?;
                continue;
            }
            kind if Ipv6RawExtHeaderSlice::header_type_supported(kind) => {
                let header =
                    Ipv6RawExtHeaderSlice::from_slice(rest.bytes).map_err(|_| Refusal::TooShort)?;
                next = header.next_header();
                header.slice().len()
            }
            _ => return Ok((next, rest, None)),
        };
        rest = rest.skip(len);
    }
    Err(Refusal::TooManyExtensions)
}

/// IPsec AH (RFC 4302) leaves what follows in the clear.
fn authentication(rest: Rest<'_>) -> Result<(IpNumber, Rest<'_>), Refusal> {
    use etherparse::err::ip_auth::HeaderSliceError;
    let header = IpAuthHeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        HeaderSliceError::Len(_) => Refusal::TooShort,
        HeaderSliceError::Content(_) => Refusal::BadHeader,
    })?;
    Ok((header.next_header(), rest.skip(header.slice().len())))
}
