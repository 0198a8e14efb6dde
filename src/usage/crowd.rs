//! How many clients each group has, as far as it matters: a group with few of them is not named, because its name would tell
//! who they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::Marker;
use crate::policy::{self, SMALL};
use crate::time::Time;

/// The group of what records of own domains show: no client is behind it.
pub const DNS_RECORD: &str = "dns_record";

/// The latest clients of each group. The default names every group.
#[derive(Default)]
pub struct Crowds {
    /// A group with fewer clients than these is not named; 0: every group is.
    few: usize,
    marker: Option<Marker>,
    groups: Mutex<HashMap<Arc<str>, Vec<Member>>>,
}

/// A client of a group, and when it was last seen.
#[derive(Clone, Copy, Debug)]
struct Member {
    client: u64,
    last: Time,
}

impl Crowds {
    /// `marker` makes what stands for a group in ids that leave.
    pub fn new(few: usize, marker: Option<Marker>) -> Self {
        Self { few, marker, groups: Mutex::default() }
    }

    /// Whether there are groups that it does not name.
    pub const fn hides(&self) -> bool {
        self.few > 0
    }

    /// Notes a client of a group. From the client that fills it on, the group has its name: what was counted before stays
    /// without it, because what a counter gained at that moment would tell what the few had done.
    pub fn see(&self, group: &Arc<str>, client: &str, at: Time) {
        if !self.hides() || is_no_group(group) {
            return;
        }
        let client = hash(client);
        let mut groups = self.groups();
        // No clone of the name but for a new group.
        let members = match groups.get_mut(group) {
            Some(members) => members,
            None => groups.entry(group.clone()).or_default(),
        };
        if let Some(member) = members.iter_mut().find(|member| member.client == client) {
            member.last = member.last.max(at);
        } else if members.len() < self.few {
            members.push(Member { client, last: at });
        } else if let Some(oldest) = members.iter_mut().min_by_key(|member| member.last)
            && oldest.last < at
        {
            *oldest = Member { client, last: at };
        }
    }

    /// Notes a group of which nobody is known any more, or not yet.
    pub fn know(&self, group: &Arc<str>) {
        if self.hides() && !is_no_group(group) {
            self.groups().entry(group.clone()).or_default();
        }
    }

    /// Forgets clients that were last seen before this.
    pub fn expire(&self, before: Time) {
        for members in self.groups().values_mut() {
            members.retain(|member| member.last >= before);
        }
    }

    /// Whether a group has too few clients to be named. What stands for no clients of ours, as `outside`, never was noted.
    pub fn is_small(&self, group: &str) -> bool {
        self.groups().get(group).is_some_and(|members| members.len() < self.few)
    }

    /// The name of a group as it may leave.
    pub fn shown<'a>(&self, group: &'a str) -> &'a str {
        if self.is_small(group) { SMALL } else { group }
    }

    /// What stands for a group in ids that leave, which would else tell it to whoever knows the names of all.
    pub fn mark(&self, group: &Arc<str>) -> Arc<str> {
        match self.marker.as_ref().filter(|_| self.hides()) {
            Some(marker) => marker.mark(group).into(),
            None => group.clone(),
        }
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Member>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is in none that was declared is not told by the name; and behind records of DNS is nobody.
fn is_no_group(group: &str) -> bool {
    group == policy::OTHER || group == DNS_RECORD
}

/// FNV-1a of 64 bits.
fn hash(client: &str) -> u64 {
    client.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| {
        (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_700_000_000 + seconds)
    }

    #[test]
    fn a_group_has_its_name_from_the_client_that_fills_it_on() {
        let crowds = Crowds::new(5, None);
        let it: Arc<str> = "it".into();
        for (n, client) in ["a", "b", "b", "c", "d", "a"].into_iter().enumerate() {
            crowds.see(&it, client, at(n as u64));
            assert_eq!(crowds.shown("it"), SMALL, "{client}");
        }
        crowds.see(&it, "e", at(9));
        assert_eq!(crowds.shown("it"), "it");
        assert_eq!(crowds.shown("sales"), "sales", "nobody of it was ever seen");
        crowds.see(&policy::OTHER.into(), "a", at(0));
        assert_eq!(crowds.shown(policy::OTHER), policy::OTHER);
        crowds.know(&"sales".into());
        assert_eq!(crowds.shown("sales"), SMALL, "sums of clients that are gone");
    }

    #[test]
    fn who_is_gone_no_longer_counts_and_the_latest_are_known() {
        let crowds = Crowds::new(3, None);
        let it: Arc<str> = "it".into();
        for (n, client) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            crowds.see(&it, client, at(n as u64));
        }
        crowds.expire(at(2));
        assert_eq!(crowds.shown("it"), "it", "c, d and e");
        crowds.expire(at(3));
        assert_eq!(crowds.shown("it"), SMALL);
        crowds.see(&it, "f", at(5));
        assert_eq!(crowds.shown("it"), "it");
        let all = Crowds::default();
        all.see(&it, "a", at(0));
        assert_eq!((all.shown("it"), all.hides()), ("it", false));
    }
}
