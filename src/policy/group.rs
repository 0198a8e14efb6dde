//! Who belongs together: groups by lease file, host name, hardware address, network and VLAN.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;

use super::build::Builder;
use super::options::GroupOptions;
use super::pattern::Pattern;
use super::{Group, OTHER, SMALL};
use crate::identity::{Mac, Networks, parse_network};

/// What is known of a client.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    pub address: IpAddr,
    /// The group that a row of the lease file gives.
    pub listed: Option<&'a str>,
    pub mac: Option<Mac>,
    pub host: Option<&'a str>,
    pub vlan: Option<NonZeroU16>,
}

impl From<IpAddr> for Who<'_> {
    fn from(address: IpAddr) -> Self {
        Self { address, listed: None, mac: None, host: None, vlan: None }
    }
}

/// What puts a client into its group; the first of those that do decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    LeaseFile,
    Host,
    Mac,
    Network,
    Vlan,
}

impl By {
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeaseFile => "lease file",
            Self::Host => "host name",
            Self::Mac => "hardware address",
            Self::Network => "network",
            Self::Vlan => "VLAN",
        }
    }
}

/// All groups, by what claims clients for them.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Patterns, those with the most characters first.
    hosts: Vec<(Pattern, Group)>,
    /// Beginnings of hardware addresses.
    macs: BTreeMap<Box<[u8]>, Group>,
    networks: Networks<Group>,
    vlans: BTreeMap<NonZeroU16, Group>,
    all: BTreeMap<Arc<str>, Group>,
    names: BTreeSet<Arc<str>>,
}

impl Groups {
    /// The group of a client, and by what; in the order of [`By`]. The lease file may say of one that it is in none.
    pub fn of(&self, who: Who<'_>) -> Option<(&Group, By)> {
        if let Some(listed) = who.listed {
            return Some((self.all.get(listed)?, By::LeaseFile));
        }
        let named = |host: &str| self.hosts.iter().find(|(pattern, _)| pattern.matches(host));
        // A machine gives its name with or without its domain.
        let host = who.host.and_then(|host| {
            named(host).or_else(|| host.split_once('.').and_then(|(label, _)| named(label)))
        });
        host.map(|(_, group)| (group, By::Host))
            .or_else(|| Some((self.mac(&who.mac?)?, By::Mac)))
            .or_else(|| Some((self.networks.longest(who.address)?, By::Network)))
            .or_else(|| Some((self.vlans.get(&who.vlan?)?, By::Vlan)))
    }

    pub const fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    /// The longest beginning wins.
    fn mac(&self, mac: &Mac) -> Option<&Group> {
        (1..=mac.len()).rev().find_map(|len| self.macs.get(mac.get(..len)?))
    }
}

impl Builder<'_> {
    pub(super) fn groups(&mut self, options: &[GroupOptions]) -> Groups {
        let mut groups = Groups::default();
        let mut lines: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        let mut claims = Claims::default();
        for group in options {
            let name: Arc<str> = group.name.get_ref().as_str().into();
            let line = self.line(&group.name.span());
            if *name == *SMALL {
                let what = format!("a group cannot be called `{name}`");
                let mend = "choose another name: it stands for all groups of few clients";
                self.fault(&group.name.span(), what, mend);
            } else if name.is_empty() || *name == *OTHER {
                let what = format!("a group cannot be called `{name}`");
                let mend = format!("choose another name: `{OTHER}` is who is in no group");
                self.fault(&group.name.span(), what, mend);
            } else if let Some(first) = lines.get(&name) {
                let what = format!("group `{name}` is declared twice, first in line {first}");
                self.fault(&group.name.span(), what, "put all its networks into one `[[group]]`");
            } else {
                lines.insert(name.clone(), line);
            }
            let member = Group { name, kind: group.clients };
            groups.all.insert(member.name.clone(), member.clone());
            for text in &group.networks {
                match parse_network(text.get_ref()) {
                    Err(what) => self.fault(&text.span(), what, "correct the network"),
                    Ok(network) => {
                        if self.claim(&mut claims.networks, network, "network", &member, text) {
                            let _ = groups.networks.insert(network, member.clone());
                        }
                    }
                }
            }
            for text in &group.macs {
                match mac_prefix(text.get_ref()) {
                    None => self.fault(
                        &text.span(),
                        format!("`{}` is no beginning of a hardware address", text.get_ref()),
                        "write one to six octets, as `3c:22:fb`",
                    ),
                    Some(prefix) => {
                        if self.claim(&mut claims.macs, prefix.clone(), "address", &member, text) {
                            groups.macs.insert(prefix, member.clone());
                        }
                    }
                }
            }
            for number in &group.vlans {
                let id = u16::try_from(*number.get_ref()).ok().filter(|id| *id <= LAST_VLAN);
                match id.and_then(NonZeroU16::new) {
                    None => self.fault(
                        &number.span(),
                        format!("`{}` is no VLAN", number.get_ref()),
                        format!("write its id, from 1 to {LAST_VLAN}"),
                    ),
                    Some(id) => {
                        if self.claim(&mut claims.vlans, id, "VLAN", &member, number) {
                            groups.vlans.insert(id, member.clone());
                        }
                    }
                }
            }
            for text in &group.hosts {
                match Pattern::new(text.get_ref()) {
                    None => self.fault(
                        &text.span(),
                        "an empty host name matches nothing",
                        "write a host name, or a pattern as `it-*`",
                    ),
                    Some(pattern) => {
                        let key = pattern.to_string();
                        if self.claim(&mut claims.hosts, key, "host name", &member, text) {
                            groups.hosts.push((pattern, member.clone()));
                        }
                    }
                }
            }
        }
        // Of two patterns that both match, the one that says more; among equals, the first in the file.
        groups.hosts.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.to_string().len()));
        groups.names = lines.into_keys().collect();
        groups
    }

    /// Whether nobody has claimed this before.
    fn claim<K: Ord>(
        &mut self,
        claims: &mut BTreeMap<K, (Arc<str>, usize)>,
        key: K,
        kind: &str,
        group: &Group,
        text: &Spanned<impl Display>,
    ) -> bool {
        let line = self.line(&text.span());
        if let Some((taken, first)) = claims.get(&key) {
            let what = format!(
                "groups `{taken}` (line {first}) and `{}` both claim {kind} `{}`",
                group.name,
                text.get_ref()
            );
            self.fault(&text.span(), what, format!("give the {kind} to one of them"));
            return false;
        }
        claims.insert(key, (group.name.clone(), line));
        true
    }
}

/// Who claimed what, and in which line.
#[derive(Default)]
struct Claims {
    networks: BTreeMap<IpNet, (Arc<str>, usize)>,
    macs: BTreeMap<Box<[u8]>, (Arc<str>, usize)>,
    hosts: BTreeMap<String, (Arc<str>, usize)>,
    vlans: BTreeMap<NonZeroU16, (Arc<str>, usize)>,
}

/// 4095 is reserved (IEEE 802.1Q table 9-2).
const LAST_VLAN: u16 = 4_094;

/// `3c:22:fb`, or with hyphens.
fn mac_prefix(text: &str) -> Option<Box<[u8]>> {
    let octet = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    let octets: Option<Box<[u8]>> = text.split([':', '-']).map(octet).collect();
    octets.filter(|octets| octets.len() <= size_of::<Mac>())
}
