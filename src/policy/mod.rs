//! Is it sanctioned: groups, own tenants, rules, and the state they give to a contact.

mod build;
mod group;
mod hours;
mod imitated;
mod nearest;
mod never;
mod options;
mod own;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fault::Faults;
use crate::identity::ClientKind;
use crate::signature::{Catalog, Deployment, Role, Vendor};
use crate::time::Time;

use self::build::Builder;
use self::imitated::Imitated;
use self::own::Own;

pub use self::group::{By, Groups, Who};
pub use self::hours::Hours;
pub use self::imitated::OwnImitation;
pub use self::nearest::nearest;
pub use self::never::{NeverCounter, NeverRecord};
pub use self::options::{
    ExceptionOptions, GroupOptions, Options, OwnOptions, RuleOptions, Word, Words,
};
pub use self::own::OwnServer;
pub use self::pattern::Pattern;
pub use self::rule::{Exception, Rule};

/// The group of whoever is in none that was declared.
pub const OTHER: &str = "other";

/// What stands for the name of a group with few clients, where its name would tell who they are.
pub const SMALL: &str = "small";

/// What is ours, who belongs together, and what is sanctioned. The default knows nothing: everything is `unreviewed`, and
/// everybody is in group `other`.
#[derive(Clone, Debug)]
pub struct Policy {
    own: Own,
    imitated: Arc<Imitated>,
    groups: Groups,
    other: Group,
    rules: Vec<Rule>,
}

impl Policy {
    /// Reads the tables against the vendors of the catalogue. `text` is the file in which the tables stand; the error
    /// holds all mistakes in it, by line.
    pub fn build(
        options: &Options,
        catalog: &Catalog,
        file: &str,
        text: &str,
    ) -> Result<Self, Faults> {
        Builder::new(catalog.vendors(), file, text).build(options)
    }

    /// The group of a client: by the lease file, else by host name, else by hardware address, else by the longest network, else
    /// by VLAN, else [`OTHER`].
    pub fn group(&self, who: Who<'_>) -> &Group {
        self.groups.of(who).map_or(&self.other, |(group, _)| group)
    }

    /// The same, and by what; nothing for [`OTHER`].
    pub fn group_by(&self, who: Who<'_>) -> (&Group, Option<By>) {
        self.groups.of(who).map_or((&self.other, None), |(group, by)| (group, Some(by)))
    }

    /// Whether a group of this name is declared, or it is [`OTHER`].
    ///
    /// # Errors
    /// The remedy for a name of none.
    pub fn knows_group(&self, name: &str) -> Result<(), String> {
        let names = self.groups.names();
        if name == OTHER || names.contains(name) {
            return Ok(());
        }
        let known = names.iter().map(|g| &**g).chain([OTHER]);
        Err(nearest::suggest(name, known, "declare it as a `[[group]]`"))
    }

    /// Whether an address lies in a network of a declared group.
    pub fn is_grouped(&self, address: IpAddr) -> bool {
        self.groups.of(address.into()).is_some()
    }

    /// Vendor id and tenant (`None`: it has none to tell apart) that `[own]` declares for a host.
    pub fn own_name(&self, host: &str) -> Option<(&Arc<str>, Option<&Arc<str>>)> {
        self.own.name(host)
    }

    /// Vendor id and tenant (`None`: it has none to tell apart) of a server that `[own]` declares, and whether it does so for
    /// this very port.
    pub fn own_server(&self, server: IpAddr, port: u16) -> Option<OwnServer<'_>> {
        self.own.server(server, port)
    }

    /// Whether a host is one of the own domains or lies below one.
    pub fn is_own_domain(&self, host: &str) -> bool {
        self.own.holds(host)
    }

    /// What of ours a host plays with that is nobody's. `None` below our own domains.
    pub fn imitates(&self, host: &str) -> Option<OwnImitation> {
        self.imitated.host(host)
    }

    /// What of ours the name of a foreign tenant plays with.
    pub fn imitates_tenant(&self, tenant: &str) -> Option<OwnImitation> {
        self.imitated.tenant(tenant)
    }

    /// Whose tenant it is. A contact found by [`own_name`](Self::own_name) is `own` even where no tenant is declared.
    pub fn relation(&self, vendor: &str, tenant: Option<&str>) -> Relation {
        self.own.relation(vendor, tenant)
    }

    /// Notes that a host of an own domain leads to this tenant: from now on it is `own`.
    pub fn reach(&self, vendor: &Arc<str>, tenant: &Arc<str>) {
        self.own.reach(vendor, tenant);
    }

    /// Whether `[own]` names a tenant or a host of this vendor, or a host of an own domain leads to one.
    pub fn has_own(&self, vendor: &str) -> bool {
        self.own.has(vendor)
    }

    /// The first rule that matches decides.
    pub fn decide(&self, contact: &Contact<'_>) -> Decision {
        match self.rules.iter().find(|rule| rule.matches(contact)) {
            Some(rule) => rule.decide(contact.at),
            None => Decision::default(),
        }
    }

    /// Of each exception the rule (`policy[3]`), and what it says.
    pub fn exceptions(&self) -> impl Iterator<Item = (&str, &Exception)> {
        self.rules.iter().filter_map(|rule| {
            let name = rule.label.split(' ').next().unwrap_or_default();
            Some((name, &**rule.exception.as_ref()?))
        })
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Names of the declared groups, in order, without [`OTHER`].
    pub fn groups(&self) -> BTreeSet<Arc<str>> {
        self.groups.names().clone()
    }

    /// Ids of the vendors that rules or `[own]` name, in order: their metrics exist at 0 from the start.
    pub fn named_vendors(&self) -> BTreeSet<Arc<str>> {
        self.rules.iter().flat_map(|r| &r.vendors).chain(self.own.vendors()).cloned().collect()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            own: Own::default(),
            imitated: Arc::default(),
            groups: Groups::default(),
            other: Group { name: OTHER.into(), kind: None },
            rules: Vec::new(),
        }
    }
}

/// What policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Sanctioned,
    Tolerated,
    Unsanctioned,
    /// No rule matched.
    Unreviewed,
}

impl State {
    pub const ALL: [Self; 4] =
        [Self::Sanctioned, Self::Tolerated, Self::Unsanctioned, Self::Unreviewed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sanctioned => "sanctioned",
            Self::Tolerated => "tolerated",
            Self::Unsanctioned => "unsanctioned",
            Self::Unreviewed => "unreviewed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose tenant it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// Declared in `[own]`.
    Own,
    /// A tenant was seen and is not ours.
    Foreign,
    /// No tenant was seen.
    Unknown,
}

impl Relation {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
        }
    }
}

/// The group of a client, by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: Arc<str>,
    /// What `clients` of the group says of its addresses; `None` where it says nothing.
    pub kind: Option<ClientKind>,
}

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
pub struct Contact<'a> {
    pub vendor: &'a Vendor,
    pub tenant: Option<&'a str>,
    pub role: Role,
    pub relation: Relation,
    /// The vendor's, or what the place of the server settles of it.
    pub deployment: Deployment,
    /// Name of the client's group.
    pub group: &'a str,
    pub at: Time,
}

/// What policy decided about one contact, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub state: State,
    /// `policy[3] (saastap.toml:41)`; `None` where no rule matched.
    pub rule: Option<Arc<str>>,
    /// The contact is outside the hours of the rule.
    pub off_hours: bool,
    /// The exception of the rule that has ended, whether its grace has or not.
    pub expired: Option<Arc<Exception>>,
}

/// What no rule matches.
impl Default for Decision {
    fn default() -> Self {
        Self { state: State::Unreviewed, rule: None, off_hours: false, expired: None }
    }
}
