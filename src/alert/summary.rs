//! What one client did with one vendor in one hour, as a message to the sinks that ask for it.

use std::sync::Arc;

use serde::Serialize;

use super::event::{ClientName, Event, Id, Sensor, VendorName, What};
use super::finding::Severity;
use crate::policy::{Relation, State};
use crate::signature::{Deployment, Role};
use crate::time::Time;
use crate::usage::{Engagement, Key, Over, beginning};

/// One row of an hour that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub vendor: VendorName,
    pub tenant: Option<Arc<str>>,
    pub role: Role,
    pub relation: Relation,
    pub group: Arc<str>,
    /// By the policy in force when it is told.
    pub state: State,
    /// The rule that gave the state, as `policy[3] (saastap.toml:41)`.
    pub rule: Option<Arc<str>>,
    pub client: ClientName,
    pub usage: Sums,
}

/// The sums of the hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Its beginning, of packet time.
    pub hour: Time,
    pub flows: u64,
    pub sessions: u64,
    /// Octets on the wire, client to server and back.
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub active_minutes: u32,
    pub engagement: Engagement,
    pub deployment: Deployment,
    pub first_seen: Time,
    pub last_seen: Time,
}

impl Sums {
    pub fn of(over: &Over) -> Self {
        let Over { hour, usage, .. } = over;
        Self {
            hour: beginning(*hour),
            flows: usage.flows,
            sessions: usage.sessions,
            sent_bytes: usage.sent,
            received_bytes: usage.received,
            active_minutes: usage.active_minutes,
            engagement: usage.engagement,
            deployment: usage.deployment,
            first_seen: usage.first,
            last_seen: usage.last,
        }
    }
}

impl Summary {
    /// The message; its id depends on sensor, hour and key alone, so that a receiver can tell one that comes twice.
    pub fn event(self, sensor: &Sensor, hour: u32, key: &Key) -> Event {
        let (hour, marker) = (hour.to_string(), if key.tenant.is_some() { "tenant" } else { "" });
        let tenant = key.tenant.as_deref().unwrap_or_default();
        let Key { group, client, vendor, role, .. } = key;
        let place: [&str; 6] = [group, client, vendor, marker, tenant, role.name()];
        let id = Id::of(&[&["usage", &*sensor.name, &*hour], &place[..]].concat());
        Event {
            time: self.usage.last_seen,
            id,
            severity: Severity::Informational,
            sensor: sensor.clone(),
            what: What::Usage(Box::new(self)),
            truncated: false,
        }
    }

    /// `Hourly usage: Zendesk/acme by c-0f30512374f4 (group support): 3 flows, 12 active minutes, 4096 octets sent, 65536 received`
    pub(super) fn summary(&self) -> String {
        let tenant = self.tenant.as_deref().map(|t| format!("/{t}")).unwrap_or_default();
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let Sums { flows, active_minutes, sent_bytes, received_bytes, .. } = self.usage;
        format!(
            "Hourly usage: {}{tenant} by {} (group {}): {flows} flow{}, {active_minutes} active minute{}, \
             {sent_bytes} octets sent, {received_bytes} received",
            self.vendor.name,
            self.client.id,
            self.group,
            plural(flows),
            plural(active_minutes.into()),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::identity::ClientKind;

    pub fn key(client: &str, tenant: Option<&str>) -> Key {
        Key {
            group: "support".into(),
            client: client.into(),
            vendor: "zendesk".into(),
            tenant: tenant.map(Into::into),
            role: Role::Console,
        }
    }

    pub fn summary(client: &str, tenant: Option<&str>) -> Summary {
        Summary {
            vendor: VendorName {
                id: "zendesk".into(),
                name: "Zendesk".into(),
                category: Some("helpdesk".into()),
            },
            tenant: tenant.map(Into::into),
            role: Role::Console,
            relation: Relation::Own,
            group: "support".into(),
            state: State::Sanctioned,
            rule: Some("policy[0] (saastap.toml:9)".into()),
            client: ClientName { id: client.into(), kind: ClientKind::Host },
            usage: Sums {
                hour: Time::from_secs(1_795_000_000 / 3_600 * 3_600),
                flows: 1,
                sessions: 0,
                sent_bytes: 4_096,
                received_bytes: 65_536,
                active_minutes: 12,
                engagement: Engagement::Use,
                deployment: Deployment::Cloud,
                first_seen: Time::from_secs(1_795_000_000),
                last_seen: Time::from_secs(1_795_000_060),
            },
        }
    }

    #[test]
    fn an_id_depends_on_sensor_hour_and_key_alone() {
        let named = |name: &str| Sensor { name: name.into(), ..Sensor::default() };
        let id = |sensor: &str, hour, client, tenant| {
            let mut summary = summary(client, tenant);
            summary.usage.flows = u64::from(hour % 7);
            summary.event(&named(sensor), hour, &key(client, tenant)).id
        };
        let one = id("s", 7, "c-1", Some("acme"));
        assert_eq!(one, id("s", 7, "c-1", Some("acme")));
        let others = [
            id("t", 7, "c-1", Some("acme")),
            id("s", 8, "c-1", Some("acme")),
            id("s", 7, "c-2", Some("acme")),
            id("s", 7, "c-1", Some("other")),
            id("s", 7, "c-1", None),
        ];
        assert!(!others.contains(&one));
        let mut changed = summary("c-1", Some("acme"));
        changed.state = State::Tolerated;
        changed.usage.flows = 99;
        let event = changed.event(&named("s"), 7, &key("c-1", Some("acme")));
        assert_eq!(event.id, one, "policy and counts are no part of it");
        assert_eq!(
            event.summary(),
            "Hourly usage: Zendesk/acme by c-1 (group support): 99 flows, 12 active minutes, \
             4096 octets sent, 65536 received"
        );
    }
}
