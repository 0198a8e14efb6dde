//! The form of a signature file: its keys and their types, with the place of each value.

use std::fmt;
use std::net::IpAddr;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::look::{CertificateLook, HttpRow, PayloadRow, PortRow};
use super::{Confidence, Deployment, Role, TenantVisibility};
use crate::fault::Fault;
use crate::sniff::Certificate;

/// A signature file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    pub id: Spanned<String>,
    pub name: Spanned<String>,
    pub categories: Spanned<Vec<String>>,
    pub deployment: Deployment,
    pub homepage: Spanned<String>,
    pub tenant_visibility: Option<Spanned<TenantVisibility>>,
    pub ordinary_inside: Option<Spanned<bool>>,
    #[serde(default)]
    pub owned: Vec<Spanned<String>>,
    #[serde(default)]
    pub everyday: Vec<Spanned<String>>,
    #[serde(default, rename = "match")]
    pub matches: Vec<Spanned<MatchRow>>,
    #[serde(default, rename = "example")]
    pub examples: Vec<Spanned<ExampleRow>>,
}

impl Sheet {
    /// Parses one file. The fault has the line of what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            let mend = "write a signature (signatures/README.md shows one), or remove the file";
            return Err(Fault::new(file, "the file is empty", mend));
        }
        toml::from_str(text).map_err(|error| {
            let what = error.message().trim().replace('\n', "; ");
            let fault = Fault::new(file, &what, remedy(&what));
            match error.span() {
                Some(span) => fault.at_offset(text, span.start),
                None => fault,
            }
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchRow {
    pub domain: Option<Spanned<String>>,
    pub cname: Option<Spanned<String>>,
    pub spf: Option<Spanned<String>>,
    pub mx: Option<Spanned<String>>,
    pub mail: Option<Spanned<String>>,
    pub certificate: Option<Spanned<CertificateLook>>,
    pub http: Option<Spanned<HttpRow>>,
    pub payload: Option<Spanned<PayloadRow>>,
    pub txt: Option<Spanned<String>>,
    pub alpn: Option<Spanned<String>>,
    pub protocol: Option<Spanned<String>>,
    pub cidr: Option<Spanned<String>>,
    pub ja4: Option<Spanned<String>>,
    pub port: Option<Spanned<PortRow>>,
    pub role: Option<Role>,
    #[serde(default)]
    pub ambiguous: bool,
    #[serde(default)]
    pub agent: bool,
    #[serde(default)]
    pub exact: bool,
    pub labels: Option<Spanned<Vec<String>>>,
    pub tenant: Option<Spanned<TenantRule>>,
    pub reserved: Option<Spanned<Vec<String>>>,
    pub reserved_role: Option<Spanned<Role>>,
    pub source: Option<Spanned<String>>,
    #[serde(default)]
    pub confidence: Confidence,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantRule {
    /// The label just before the suffix.
    Label,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleRow {
    pub host: Option<String>,
    pub mail: Option<String>,
    pub txt: Option<String>,
    pub certificate: Option<ShownCertificate>,
    pub alpn: Option<String>,
    pub protocol: Option<String>,
    pub header: Option<String>,
    pub cookie: Option<String>,
    pub path: Option<String>,
    pub title: Option<String>,
    pub body: Option<String>,
    pub payload: Option<PayloadRow>,
    pub address: Option<IpAddr>,
    pub ja4: Option<String>,
    #[serde(default)]
    pub port: u16,
    pub expect: Expect,
}

/// A server certificate as an example shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownCertificate {
    #[serde(default)]
    names: Vec<Box<str>>,
    subject: Option<Box<str>>,
    issuer: Option<Box<str>>,
    organisation: Option<Box<str>>,
}

impl From<ShownCertificate> for Certificate {
    fn from(shown: ShownCertificate) -> Self {
        let ShownCertificate { names, subject, issuer, organisation } = shown;
        Self { names, subject, issuer, organisation, left_out: 0 }
    }
}

/// What the catalogue must say of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `"none"`: no vendor.
    Nobody,
    Somebody(Expected),
}

/// `{ role = "either", tenant = "acme" }`. Without `tenant`, none must be seen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub role: Role,
    pub tenant: Option<String>,
    /// Checked where it is given.
    pub ambiguous: Option<bool>,
    /// Another vendor's id; by default that of the file.
    pub vendor: Option<String>,
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpectVisitor)
    }
}

/// Told apart by hand: the errors of an untagged enum name neither key nor type.
struct ExpectVisitor;

impl<'de> Visitor<'de> for ExpectVisitor {
    type Value = Expect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"none\" or a table such as { role = \"console\", tenant = \"acme\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Expect, E> {
        match text {
            "none" => Ok(Expect::Nobody),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expect, A::Error> {
        Expected::deserialize(MapAccessDeserializer::new(map)).map(Expect::Somebody)
    }
}

/// The imperative sentence for each kind of complaint that the TOML reader has.
fn remedy(what: &str) -> &'static str {
    if what.starts_with("unknown field") {
        "remove the key, or mend its spelling; signatures/README.md lists every key"
    } else if what.starts_with("missing field") {
        "add the key; signatures/README.md says what it means"
    } else if what.starts_with("unknown variant") {
        "write one of the words named"
    } else if what.starts_with("invalid type") || what.starts_with("invalid value") {
        "write the value in the form that signatures/README.md gives for the key"
    } else {
        "mend the TOML at this line (https://toml.io)"
    }
}
