//! HTTPS and SVCB records (RFC 9460): where a service is, and the ECH configurations that it announces.

use std::net::IpAddr;

use crate::sniff::reader::Reader;

/// The data of one HTTPS or SVCB record.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Service {
    /// 0 is AliasMode: the target is to be asked instead, as with a CNAME (RFC 9460 section 2.4.2).
    pub priority: u16,
    /// The root in ServiceMode means the owner itself (section 2.5.2).
    pub target: Box<str>,
    pub alpn: Vec<Box<str>>,
    /// ipv4hint and ipv6hint.
    pub hints: Vec<IpAddr>,
    pub ech: Vec<EchConfig>,
}

impl Service {
    /// `params` are the SvcParams (section 2.2). Of a damaged one the keys before the damage are taken.
    pub(super) fn read(priority: u16, target: Box<str>, params: &[u8]) -> Self {
        let mut service = Self { priority, target, ..Self::default() };
        let mut reader = Reader::new(params);
        while let (Some(key), Some(value)) = (reader.u16(), reader.vector16()) {
            let mut value = Reader::new(value);
            match key {
                ALPN => {
                    while let Some(id) = value.vector8()
                        && service.alpn.len() < MAX_VALUES
                    {
                        service.alpn.push(String::from_utf8_lossy(id).into());
                    }
                }
                IPV4HINT => {
                    let hints = value.rest().as_chunks().0.iter();
                    let hints = hints.map(|octets: &[u8; 4]| IpAddr::from(*octets));
                    service.hints.extend(hints.take(MAX_VALUES));
                }
                IPV6HINT => {
                    let hints = value.rest().as_chunks().0.iter();
                    let hints = hints.map(|octets: &[u8; 16]| IpAddr::from(*octets));
                    service.hints.extend(hints.take(MAX_VALUES));
                }
                ECH => service.ech = EchConfig::list(value.rest()),
                _ => {}
            }
        }
        service
    }

    /// Octets that it holds, about.
    pub(super) fn octets(&self) -> usize {
        let alpn = self.alpn.iter().map(|id| size_of::<Box<str>>() + id.len()).sum::<usize>();
        let ech = self.ech.iter().map(EchConfig::octets).sum::<usize>();
        size_of::<Self>() + self.target.len() + alpn + size_of_val(&*self.hints) + ech
    }
}

/// One ECHConfig (RFC 9849 section 4), without its key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EchConfig {
    pub config_id: u8,
    /// The name that stands in the outer ClientHello.
    pub public_name: Box<str>,
    /// KDF and AEAD ids (RFC 9180 sections 7.2 and 7.3).
    pub suites: Vec<(u16, u16)>,
}

impl EchConfig {
    /// An ECHConfigList: its length, then configurations, each with version and length.
    ///
    /// ```text
    /// 2 length of the list
    ///   2 version fe0d   2 length
    ///     1 config_id   2 kem_id   2+n public_key   2+n cipher_suites   1 maximum_name_length
    ///     1+n public_name   2+n extensions
    /// ```
    fn list(octets: &[u8]) -> Vec<Self> {
        let mut configs = Vec::new();
        let Some(list) = Reader::new(octets).vector16() else { return configs };
        let mut reader = Reader::new(list);
        while let (Some(version), Some(contents)) = (reader.u16(), reader.vector16())
            && configs.len() < MAX_VALUES
        {
            // Others are skipped by their length.
            if version == ECH_VERSION {
                configs.extend(Self::contents(contents));
            }
        }
        configs
    }

    fn contents(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(octets);
        let config_id = reader.u8()?;
        reader.u16()?;
        reader.vector16()?;
        let mut pairs = Reader::new(reader.vector16()?);
        let mut suites = Vec::new();
        while let (Some(kdf), Some(aead)) = (pairs.u16(), pairs.u16())
            && suites.len() < MAX_VALUES
        {
            suites.push((kdf, aead));
        }
        reader.u8()?;
        let public_name = String::from_utf8_lossy(reader.vector8()?).into();
        Some(Self { config_id, public_name, suites })
    }

    fn octets(&self) -> usize {
        size_of::<Self>() + self.public_name.len() + size_of_val(&*self.suites)
    }
}

// SvcParamKeys (RFC 9460 section 14.3.2; `ech`: RFC 9848).
const ALPN: u16 = 1;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

const ECH_VERSION: u16 = 0xfe0d;

/// Values of one kind that are kept: real records have fewer than ten.
const MAX_VALUES: usize = 16;
