//! Which vendor a name belongs to: the catalogue of signatures, its loader and its matchers.

mod catalog;
mod check;
pub mod domain;
mod example;
mod explain;
mod form;
mod lint;
mod load;
mod look;
mod lookalike;
mod reserved;
mod rule;
#[cfg(test)]
pub(crate) mod sample;
mod schema;
mod tables;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use catalog::{Catalog, Found};
pub use check::Entry;
pub use domain::{Name, registrable};
pub use example::{Example, Given};
pub use explain::{Claim, Explanation, Lost};
pub use load::{Options, lint};
pub use look::{CertificateLook, Look};
pub use lookalike::{Brands, How, Imitation, Lookalikes, Strength};
pub use rule::{Kind, Match, NoTenant, Reading};
pub use schema::{Expect, Expected};

/// What the contact is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// People working in the vendor's application.
    Console,
    /// The customer-facing site of a tenant: help centre, ticket form.
    Portal,
    /// One host name serves agents and visitors alike.
    Either,
    Api,
    /// Embedded in somebody's web page.
    Widget,
    Cdn,
    Mail,
    /// Remote-assistance relays, telephony media.
    Relay,
    Download,
    Telemetry,
    /// The vendor's own site.
    Marketing,
    /// Shared by all products of the owner, of which this is one: that the name is met says nothing of this product.
    Platform,
}

impl Role {
    pub const ALL: [Self; 12] = [
        Self::Console,
        Self::Portal,
        Self::Either,
        Self::Api,
        Self::Widget,
        Self::Cdn,
        Self::Mail,
        Self::Relay,
        Self::Download,
        Self::Telemetry,
        Self::Marketing,
        Self::Platform,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Portal => "portal",
            Self::Either => "either",
            Self::Api => "api",
            Self::Widget => "widget",
            Self::Cdn => "cdn",
            Self::Mail => "mail",
            Self::Relay => "relay",
            Self::Download => "download",
            Self::Telemetry => "telemetry",
            Self::Marketing => "marketing",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the software runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deployment {
    /// At the vendor's.
    Cloud,
    /// At whoever uses it.
    OnPremise,
    /// Of a vendor: either is sold. Of a contact: not settled, or of several not the same.
    Both,
}

impl Deployment {
    pub const ALL: [Self; 3] = [Self::Cloud, Self::OnPremise, Self::Both];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::OnPremise => "on-premise",
            Self::Both => "both",
        }
    }

    /// What is to be said of two contacts together.
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }
}

/// Where the instance of a vendor can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum TenantVisibility {
    /// In host names.
    #[default]
    Name,
    /// Only in DNS (CNAME of a vanity host).
    Dns,
    /// Nowhere on the wire.
    None,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Low,
    Medium,
    #[default]
    High,
}

impl Confidence {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a name says by the catalogue.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub vendor: Arc<Vendor>,
    pub role: Role,
    /// Lower case; `None` where the name shows no instance.
    pub tenant: Option<Arc<str>>,
    /// Such a name alone never makes a use.
    pub ambiguous: bool,
    /// A companion that only the agents' workspace fetches.
    pub agent: bool,
    pub confidence: Confidence,
    /// The signature that won, as its file writes it: `zendesk.com`, `protocol teamviewer`.
    pub signature: Arc<str>,
}

/// One vendor, as one file of the catalogue describes it; [`Entry`] has the file's matches and examples beside it.
#[derive(Debug)]
pub struct Vendor {
    pub id: Arc<str>,
    pub name: Arc<str>,
    /// The first is the folder of its file.
    pub categories: Vec<Arc<str>>,
    pub deployment: Deployment,
    pub homepage: String,
    pub tenant_visibility: TenantVisibility,
    /// Every network is administered with it: a contact between two ends inside is no alert of remote assistance.
    pub ordinary_inside: bool,
    /// Its signature file: `signatures/helpdesk/zendesk.toml` of the shipped ones, the path of one's own.
    pub file: Arc<str>,
}

impl Vendor {
    /// The category by which policy treats its sessions as remote assistance.
    pub const REMOTE_ASSISTANCE: &'static str = "remote-assistance";

    pub fn is_in(&self, category: &str) -> bool {
        self.categories.iter().any(|c| &**c == category)
    }
}
