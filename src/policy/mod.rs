//! Is it sanctioned: groups, own tenants, rules, and the state they give to a contact.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::ClientKind;
use crate::signature::{Role, Vendor};
use crate::time::Time;

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
}
