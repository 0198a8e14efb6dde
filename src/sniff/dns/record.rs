//! One resource record: its owner, and its data in presentation form.

use std::net::IpAddr;

use domain::base::ParsedName;
use domain::base::iana::Rtype;
use domain::base::name::ToLabelIter;
use domain::base::record::ParsedRecord;
use domain::rdata::{A, Aaaa, Cname, Dname, Https, Mx, Ns, Ptr, Srv, Svcb, Txt};

use super::service::Service;
use super::{DnsAnswer, Section};

/// Octets of a TXT record that are kept: the longest verification strings and SPF records are shorter.
const MAX_TEXT: usize = 1_024;

pub(super) fn answer(record: &ParsedRecord<'_, &[u8]>, section: Section) -> DnsAnswer {
    let Shown { data, address, service } = shown(record).unwrap_or_default();
    DnsAnswer {
        section,
        name: text(&record.owner()),
        rtype: record.rtype().to_int(),
        ttl: record.ttl().as_secs(),
        data,
        address,
        service,
    }
}

/// Labels joined by dots, the root as one dot. A dot or backslash within a label and control characters are escaped (RFC 4343
/// section 2.1), or `acme\.zendesk.com`, which is no name of zendesk.com, would look like one. Other octets are UTF-8, as in
/// mDNS (RFC 6762 section 16), or replaced.
pub(super) fn text(name: &impl ToLabelIter) -> Box<str> {
    let mut octets = Vec::with_capacity(64);
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        if !octets.is_empty() {
            octets.push(b'.');
        }
        for octet in label.as_slice() {
            match octet {
                b'.' | b'\\' => octets.extend([b'\\', *octet]),
                octet if octet.is_ascii_control() => {
                    let digit = |unit: u8| b'0' + octet / unit % 10;
                    octets.extend([b'\\', digit(100), digit(10), digit(1)]);
                }
                octet => octets.push(*octet),
            }
        }
    }
    if octets.is_empty() {
        return ".".into();
    }
    // Nearly all names are text, and keep their octets.
    String::from_utf8(octets)
        .unwrap_or_else(|other| String::from_utf8_lossy(other.as_bytes()).into_owned())
        .into()
}

#[derive(Default)]
struct Shown {
    data: Box<str>,
    address: Option<IpAddr>,
    service: Option<Box<Service>>,
}

impl From<String> for Shown {
    fn from(data: String) -> Self {
        Self { data: data.into(), ..Self::default() }
    }
}

impl From<Box<str>> for Shown {
    fn from(data: Box<str>) -> Self {
        Self { data, ..Self::default() }
    }
}

impl From<IpAddr> for Shown {
    fn from(address: IpAddr) -> Self {
        Self { data: address.to_string().into(), address: Some(address), service: None }
    }
}

impl From<Service> for Shown {
    fn from(service: Service) -> Self {
        let data = format!("{} {}", service.priority, service.target).into();
        Self { data, address: None, service: Some(Box::new(service)) }
    }
}

/// `None` for types that are not shown, and for data that do not parse.
fn shown(record: &ParsedRecord<'_, &[u8]>) -> Option<Shown> {
    type Name<'a> = ParsedName<&'a [u8]>;
    macro_rules! parse {
        ($Data:ty) => {
            record.to_record::<$Data>().ok().flatten()?.into_data()
        };
    }
    Some(match record.rtype() {
        Rtype::A => IpAddr::V4(parse!(A).addr()).into(),
        Rtype::AAAA => IpAddr::V6(parse!(Aaaa).addr()).into(),
        Rtype::CNAME => text(parse!(Cname<Name<'_>>).cname()).into(),
        Rtype::DNAME => text(parse!(Dname<Name<'_>>).dname()).into(),
        Rtype::NS => text(parse!(Ns<Name<'_>>).nsdname()).into(),
        Rtype::PTR => text(parse!(Ptr<Name<'_>>).ptrdname()).into(),
        Rtype::MX => {
            let mx = parse!(Mx<Name<'_>>);
            format!("{} {}", mx.preference(), text(mx.exchange())).into()
        }
        Rtype::SRV => {
            let srv = parse!(Srv<Name<'_>>);
            let (priority, weight, port) = (srv.priority(), srv.weight(), srv.port());
            format!("{priority} {weight} {port} {}", text(srv.target())).into()
        }
        Rtype::HTTPS => {
            let https = parse!(Https<&[u8], Name<'_>>);
            Service::read(https.priority(), text(https.target()), https.params().as_slice()).into()
        }
        Rtype::SVCB => {
            let svcb = parse!(Svcb<&[u8], Name<'_>>);
            Service::read(svcb.priority(), text(svcb.target()), svcb.params().as_slice()).into()
        }
        Rtype::TXT => {
            let txt = parse!(Txt<&[u8]>);
            let octets: Vec<u8> = txt.iter().flatten().copied().take(MAX_TEXT).collect();
            String::from_utf8_lossy(&octets).into_owned().into()
        }
        _ => return None,
    })
}
