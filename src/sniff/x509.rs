//! What a certificate says of names (RFC 5280), whole or cut short.
//!
//! The fields are walked one by one instead of decoding all of them: certificates of appliances are wrong in places that do
//! not matter here, and a certificate may be cut in the middle.

use der::{Decode, Header, Reader, SliceReader, Tag};

use super::{Certificate, MAX_NAME};

/// Reads the certificate as far as it is there. What cannot be read is left out.
///
/// ```text
/// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE {
///     [0] version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, ..., [3] extensions }, ... }
/// ```
pub(super) fn read(bytes: &[u8]) -> Certificate {
    let mut certificate = Certificate::default();
    // An element that cannot be read ends the walk: what came before it stays.
    let _ = walk(bytes, &mut certificate);
    certificate
}

fn walk(bytes: &[u8], certificate: &mut Certificate) -> Option<()> {
    let outer = Elements(bytes).next()?.of(Tag::Sequence)?;
    let mut fields = Elements(Elements(outer.value).next()?.of(Tag::Sequence)?.value);
    let first = fields.next()?;
    if first.tag == Tag::Integer {
        // Version 1 is not written: this was the serial number.
    } else {
        fields.next()?;
    }
    fields.next()?.of(Tag::Sequence)?; // signature
    let issuer = Name::read(fields.next()?.of(Tag::Sequence)?.value);
    certificate.issuer = issuer.common_name;
    fields.next()?.of(Tag::Sequence)?; // validity
    let subject = Name::read(fields.next()?.of(Tag::Sequence)?.value);
    certificate.subject = subject.common_name;
    certificate.organisation = subject.organisation.or(issuer.organisation);
    fields.next()?.of(Tag::Sequence)?; // public key
    for field in fields.filter(|field| tag_octet(field.tag) == EXTENSIONS) {
        let list = Elements(field.value).next()?.of(Tag::Sequence)?;
        for extension in Elements(list.value) {
            alternative_names(extension.value, certificate);
        }
    }
    Some(())
}

/// `Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING }`
fn alternative_names(extension: &[u8], certificate: &mut Certificate) -> Option<()> {
    let mut parts = Elements(extension);
    if parts.next()?.of(Tag::ObjectIdentifier)?.value != SUBJECT_ALTERNATIVE_NAME {
        return None;
    }
    let value = parts.find(|part| part.tag == Tag::OctetString)?;
    let names = Elements(Elements(value.value).next()?.of(Tag::Sequence)?.value);
    for name in names.filter(|name| name.whole && tag_octet(name.tag) == DNS_NAME) {
        if certificate.names.len() == MAX_NAMES {
            certificate.left_out += 1;
        } else {
            certificate.names.extend(text(Tag::Ia5String, name.value));
        }
    }
    Some(())
}

/// What is wanted of a distinguished name. Of several common names the last is the most specific.
#[derive(Default)]
struct Name {
    common_name: Option<Box<str>>,
    organisation: Option<Box<str>>,
}

impl Name {
    /// `RDNSequence ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }`
    fn read(bytes: &[u8]) -> Self {
        let mut name = Self::default();
        for attribute in Elements(bytes).flat_map(|set| Elements(set.value)) {
            let mut parts = Elements(attribute.value);
            let (Some(kind), Some(value)) = (parts.next(), parts.next()) else { continue };
            let place = match kind.value {
                COMMON_NAME => &mut name.common_name,
                ORGANISATION => &mut name.organisation,
                _ => continue,
            };
            if value.whole
                && let Some(text) = text(value.tag, value.value)
            {
                *place = Some(text);
            }
        }
        name
    }
}

/// Lossy, as all names; `None` where it is empty or too long.
fn text(tag: Tag, value: &[u8]) -> Option<Box<str>> {
    if !(1..=MAX_NAME).contains(&value.len()) {
        return None;
    }
    Some(match tag {
        Tag::BmpString => {
            let (units, _) = value.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        // T.61 in name, Latin-1 in practice.
        Tag::TeletexString => value.iter().map(|&octet| char::from(octet)).collect(),
        _ => String::from_utf8_lossy(value).into(),
    })
}

/// One element in its place.
struct Element<'a> {
    tag: Tag,
    value: &'a [u8],
    /// Nothing of it is missing.
    whole: bool,
}

impl Element<'_> {
    fn of(self, tag: Tag) -> Option<Self> {
        (self.tag == tag).then_some(self)
    }
}

/// Elements side by side. The last may be cut.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let mut reader = SliceReader::new(self.0).ok()?;
        let header = Header::decode(&mut reader).ok()?;
        let len = usize::try_from(header.length()).ok()?;
        let at = usize::try_from(reader.position()).ok()?;
        let rest = self.0.get(at..)?;
        let (value, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        self.0 = rest;
        Some(Element { tag: header.tag(), value, whole: value.len() == len })
    }
}

fn tag_octet(tag: Tag) -> (bool, u32, bool) {
    (tag.is_context_specific(), tag.number().value(), tag.is_constructed())
}

/// `[3]` of the fields, constructed.
const EXTENSIONS: (bool, u32, bool) = (true, 3, true);
/// `[2]` of a GeneralName, primitive (RFC 5280 section 4.2.1.6).
const DNS_NAME: (bool, u32, bool) = (true, 2, false);
/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];
/// Names of one certificate. Authorities stop at 100 to 250; what fits into an opening of 16 KiB is some 700 of usual length.
const MAX_NAMES: usize = 512;
