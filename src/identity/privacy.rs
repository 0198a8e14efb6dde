//! `[privacy]`: what of clients may pass the door, and what is never recorded.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CACHED_ID_OCTETS, CACHED_IDS, ech, leases};

/// `[privacy]`.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub client: Privacy,
    /// Groups with fewer clients are not named where clients are not shown by their address; 0: all are.
    pub small_groups: usize,
    /// Where the key of the pseudonyms is kept; `None`: beside the store.
    pub key_file: Option<PathBuf>,
    pub never_record: NeverOptions,
}

/// `never_record` of `[privacy]`: what is kept out of usage and findings, and what is kept of it is a count.
#[derive(Deserialize, Serialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct NeverOptions {
    /// Host names; each stands for those below it as well, and `*` for any characters.
    pub names: Vec<String>,
    /// Ids of vendors.
    pub vendors: Vec<String>,
    /// Of clients or servers.
    pub networks: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client: Privacy::default(),
            small_groups: 5,
            key_file: None,
            never_record: NeverOptions::default(),
        }
    }
}

impl Options {
    /// Groups with fewer clients than these are not named.
    pub const fn unnamed_below(&self) -> usize {
        match self.client {
            Privacy::Address => 0,
            Privacy::Pseudonym | Privacy::Group => self.small_groups,
        }
    }

    /// Octets that leases and the ids in the cache can take.
    pub fn memory(&self) -> u64 {
        ech::MEMORY
            + leases::MEMORY
            + match self.client {
                Privacy::Group => 0,
                Privacy::Pseudonym | Privacy::Address => CACHED_IDS as u64 * CACHED_ID_OCTETS,
            }
    }
}

/// What of a client may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// `c-` and twelve hexadecimal digits: equal for equal addresses under one key.
    #[default]
    Pseudonym,
    Address,
    /// `-`: a whole group is one client.
    Group,
}
