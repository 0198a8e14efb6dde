//! Usage as metrics: flows and bytes each way by vendor, by role, by group and by deployment, each with state and never crossed; clients of
//! a day by vendor; and the share of traffic that could be named.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use super::clients::{Clients, Hasher};
use super::metrics::{Sample, locked};
use crate::count::Kind;
use crate::time::Time;
use crate::usage::Visibility;

/// What one report of one flow adds. `state` is one of [`STATES`]; what is none of them counts as `unreviewed`.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    pub vendor: &'a str,
    pub role: &'a str,
    pub group: &'a str,
    pub state: &'a str,
    pub deployment: &'a str,
    pub client: &'a str,
    /// 1 with the first report of a flow, then 0.
    pub flows: u64,
    /// Octets, client to server and back.
    pub sent: u64,
    pub received: u64,
    pub at: Time,
}

/// The states in which a use can be.
pub const STATES: [&str; 4] = ["sanctioned", "tolerated", "unsanctioned", "unreviewed"];

/// The value of a label for whose own series there was no room.
pub const OTHER: &str = "other";

/// Written by the collector once per report of a flow, read when scraped.
pub struct UsageMetrics {
    hasher: Hasher,
    tables: Mutex<Tables>,
}

impl UsageMetrics {
    pub(super) fn new(max_series: usize) -> Self {
        let visibility = Visibility::ALL.map(|reason| (reason, Seen::default())).into();
        let tables = Tables {
            vendors: Table::default(),
            roles: Table::default(),
            groups: Table::default(),
            deployments: Table::default(),
            visibility,
            now: Time::ZERO,
            // Each family keeps room for `other`.
            room: max_series.saturating_sub(VENDOR_SERIES + 3 * PLAIN_SERIES),
        };
        Self { hasher: Hasher::default(), tables: Mutex::new(tables) }
    }

    pub(super) const fn memory(max_series: usize) -> u64 {
        let vendors = (max_series / VENDOR_SERIES + 1) as u64;
        vendors * STATES.len() as u64 * Clients::MEMORY + max_series as u64 * SERIES_MEMORY
    }

    /// Makes the series of these vendors, at 0. For the vendors that the policy names, before traffic comes.
    pub fn declare_vendors<'a>(&self, vendors: impl IntoIterator<Item = &'a str>) {
        let mut tables = locked(&self.tables);
        let Tables { vendors: table, room, .. } = &mut *tables;
        for vendor in vendors {
            table.find(vendor, VENDOR_SERIES, room);
        }
    }

    /// The same for the groups of the policy.
    pub fn declare_groups<'a>(&self, groups: impl IntoIterator<Item = &'a str>) {
        let mut tables = locked(&self.tables);
        let Tables { groups: table, room, .. } = &mut *tables;
        for group in groups {
            table.find(group, PLAIN_SERIES, room);
        }
    }

    pub fn add(&self, addition: &Addition<'_>) {
        let state = STATES.iter().position(|s| *s == addition.state).unwrap_or(STATES.len() - 1);
        let client = self.hasher.hash(addition.client);
        let mut tables = locked(&self.tables);
        let Tables { vendors, roles, groups, deployments, now, room, .. } = &mut *tables;
        *now = (*now).max(addition.at);
        if let Some(vendor) = vendors.row(addition.vendor, VENDOR_SERIES, room)
            && let Some(cell) = vendor.get_mut(state)
        {
            cell.seen.add(addition);
            cell.clients.see(client, addition.at);
        }
        let plain =
            [(roles, addition.role), (groups, addition.group), (deployments, addition.deployment)];
        for (table, label) in plain {
            if let Some(cell) = table.row(label, PLAIN_SERIES, room).and_then(|r| r.get_mut(state))
            {
                cell.seen.add(addition);
            }
        }
    }

    /// Counts traffic by why it has a name or none. `bytes` are those of both directions.
    pub fn visibility(&self, reason: Visibility, flows: u64, bytes: u64) {
        let mut tables = locked(&self.tables);
        let seen = tables.visibility.entry(reason).or_default();
        seen.flows += flows;
        seen.sent += bytes;
    }

    /// Tells the time where no traffic does, so that clients of yesterday leave the gauge.
    pub fn advance(&self, now: Time) {
        let mut tables = locked(&self.tables);
        tables.now = tables.now.max(now);
    }

    pub(super) fn samples(&self, out: &mut Vec<Sample>) {
        let mut tables = locked(&self.tables);
        let now = tables.now;
        for row in &mut tables.vendors.rows {
            row.states.iter_mut().for_each(|cell| cell.clients.advance(now));
        }
        let Tables { vendors, roles, groups, deployments, visibility, .. } = &*tables;
        vendors.samples(&VENDOR, out);
        roles.samples(&ROLE, out);
        groups.samples(&GROUP, out);
        deployments.samples(&DEPLOYMENT, out);
        for (row, state, cell) in vendors.cells() {
            out.push(Sample {
                name: "saastap_clients",
                help: "Distinct clients of the last 24 hours; estimated above 64.",
                kind: Kind::Gauge,
                labels: vec![("state", state.to_owned()), ("vendor", row.label.clone())],
                value: cell.clients.count() as f64,
            });
        }
        for (reason, seen) in visibility {
            let labels = vec![("visibility", reason.name().to_owned())];
            let (flows, bytes) = (seen.flows as f64, seen.sent as f64);
            out.push(counter(
                "saastap_visibility_flows_total",
                "Flows by whether they could be named, or why not.",
                labels.clone(),
                flows,
            ));
            out.push(counter(
                "saastap_visibility_bytes_total",
                "Bytes of both directions by whether they could be named, or why not.",
                labels,
                bytes,
            ));
        }
        for (family, folded) in [
            ("vendor", vendors.folded),
            ("role", roles.folded),
            ("group", groups.folded),
            ("deployment", deployments.folded),
        ] {
            out.push(counter(
                "saastap_metric_series_dropped_total",
                "Flow reports counted as `other`, because max_series left no room for a series.",
                vec![("metric", family.to_owned())],
                folded as f64,
            ));
        }
    }
}

struct Tables {
    vendors: Table,
    roles: Table,
    groups: Table,
    deployments: Table,
    visibility: BTreeMap<Visibility, Seen>,
    /// The latest packet time.
    now: Time,
    /// Series that may still be made.
    room: usize,
}

/// One family: a row per label value, four states each.
#[derive(Default)]
struct Table {
    index: HashMap<String, usize>,
    rows: Vec<Row>,
    other: Option<usize>,
    folded: u64,
}

impl Table {
    /// The states of `label`, or of `other` where there is no room for it.
    fn row(&mut self, label: &str, cost: usize, room: &mut usize) -> Option<&mut [Cell; 4]> {
        let place = self.find(label, cost, room).unwrap_or_else(|| {
            self.folded += 1;
            *self.other.get_or_insert_with(|| {
                self.rows.push(Row::new(OTHER));
                self.rows.len() - 1
            })
        });
        self.rows.get_mut(place).map(|row| &mut row.states)
    }

    fn find(&mut self, label: &str, cost: usize, room: &mut usize) -> Option<usize> {
        if let Some(place) = self.index.get(label) {
            return Some(*place);
        }
        if label == OTHER {
            // Somebody whose own name is `other` shares the row.
            let rows = &mut self.rows;
            let place = *self.other.get_or_insert_with(|| {
                rows.push(Row::new(OTHER));
                rows.len() - 1
            });
            return Some(place);
        }
        *room = room.checked_sub(cost)?;
        self.rows.push(Row::new(label));
        self.index.insert(label.to_owned(), self.rows.len() - 1);
        Some(self.rows.len() - 1)
    }

    fn cells(&self) -> impl Iterator<Item = (&Row, &'static str, &Cell)> {
        self.rows
            .iter()
            .flat_map(|row| STATES.iter().zip(&row.states).map(move |(s, cell)| (row, *s, cell)))
    }

    fn samples(&self, names: &Names, out: &mut Vec<Sample>) {
        for (row, state, Cell { seen, .. }) in self.cells() {
            let mut labels = vec![("state", state.to_owned()), (names.label, row.label.clone())];
            labels.sort_unstable();
            out.push(counter(names.flows.0, names.flows.1, labels.clone(), seen.flows as f64));
            out.push(counter(names.sent.0, names.sent.1, labels.clone(), seen.sent as f64));
            out.push(counter(names.received.0, names.received.1, labels, seen.received as f64));
        }
    }
}

struct Row {
    label: String,
    states: [Cell; 4],
}

impl Row {
    fn new(label: &str) -> Self {
        Self { label: label.to_owned(), states: Default::default() }
    }
}

#[derive(Default)]
struct Cell {
    seen: Seen,
    /// Kept for vendors only.
    clients: Clients,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    flows: u64,
    sent: u64,
    received: u64,
}

impl Seen {
    const fn add(&mut self, addition: &Addition<'_>) {
        self.flows += addition.flows;
        self.sent += addition.sent;
        self.received += addition.received;
    }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
) -> Sample {
    Sample { name, help, kind: Kind::Counter, labels, value }
}

/// Name and HELP of each metric of a family.
struct Names {
    label: &'static str,
    flows: (&'static str, &'static str),
    sent: (&'static str, &'static str),
    received: (&'static str, &'static str),
}

const VENDOR: Names = Names {
    label: "vendor",
    flows: ("saastap_vendor_flows_total", "Flows by vendor and policy state."),
    sent: (
        "saastap_vendor_client_to_server_bytes_total",
        "Bytes on the wire from clients to servers by vendor and policy state.",
    ),
    received: (
        "saastap_vendor_server_to_client_bytes_total",
        "Bytes on the wire from servers to clients by vendor and policy state.",
    ),
};

const ROLE: Names = Names {
    label: "role",
    flows: ("saastap_role_flows_total", "Flows by role of the contact and policy state."),
    sent: (
        "saastap_role_client_to_server_bytes_total",
        "Bytes on the wire from clients to servers by role of the contact and policy state.",
    ),
    received: (
        "saastap_role_server_to_client_bytes_total",
        "Bytes on the wire from servers to clients by role of the contact and policy state.",
    ),
};

const GROUP: Names = Names {
    label: "group",
    flows: ("saastap_group_flows_total", "Flows by group of the client and policy state."),
    sent: (
        "saastap_group_client_to_server_bytes_total",
        "Bytes on the wire from clients to servers by group of the client and policy state.",
    ),
    received: (
        "saastap_group_server_to_client_bytes_total",
        "Bytes on the wire from servers to clients by group of the client and policy state.",
    ),
};

const DEPLOYMENT: Names = Names {
    label: "deployment",
    flows: (
        "saastap_deployment_flows_total",
        "Flows by deployment of the service and policy state.",
    ),
    sent: (
        "saastap_deployment_client_to_server_bytes_total",
        "Bytes on the wire from clients to servers by deployment of the service and policy state.",
    ),
    received: (
        "saastap_deployment_server_to_client_bytes_total",
        "Bytes on the wire from servers to clients by deployment of the service and policy state.",
    ),
};

/// Series that one role, group or deployment costs: flows and bytes each way in each state.
const PLAIN_SERIES: usize = 3 * STATES.len();
/// The same and the clients.
const VENDOR_SERIES: usize = 4 * STATES.len();
/// Octets of a series without its sketch: label and counters, generously.
const SERIES_MEMORY: u64 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    const CONTACT: Addition<'_> = Addition {
        vendor: "zendesk",
        role: "either",
        group: "support",
        state: "sanctioned",
        deployment: "cloud",
        client: "c1",
        flows: 1,
        sent: 100,
        received: 1_000,
        at: Time::from_secs(1_000_000),
    };

    fn value(usage: &UsageMetrics, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut out = Vec::new();
        usage.samples(&mut out);
        let found = out.iter().find(|s| {
            s.name == name
                && s.labels.len() == labels.len()
                && labels.iter().all(|(k, v)| s.labels.iter().any(|(a, b)| a == k && b == v))
        });
        found.map(|s| s.value)
    }

    #[test]
    fn counts_by_vendor_role_and_group() {
        let usage = UsageMetrics::new(5_000);
        usage.add(&CONTACT);
        usage.add(&Addition { flows: 0, client: "c2", state: "tolerated", ..CONTACT });
        for (family, value_of_label) in [
            ("vendor", "zendesk"),
            ("role", "either"),
            ("group", "support"),
            ("deployment", "cloud"),
        ] {
            let labels = [(family, value_of_label), ("state", "sanctioned")];
            let name = |what: &str| format!("saastap_{family}_{what}_total");
            assert_eq!(value(&usage, &name("flows"), &labels), Some(1.0));
            assert_eq!(value(&usage, &name("client_to_server_bytes"), &labels), Some(100.0));
            assert_eq!(value(&usage, &name("server_to_client_bytes"), &labels), Some(1_000.0));
            let labels = [(family, value_of_label), ("state", "tolerated")];
            assert_eq!(value(&usage, &name("flows"), &labels), Some(0.0));
            assert_eq!(value(&usage, &name("client_to_server_bytes"), &labels), Some(100.0));
        }
    }

    #[test]
    fn declared_series_start_at_zero() {
        let usage = UsageMetrics::new(5_000);
        usage.declare_vendors(["intercom"]);
        usage.declare_groups(["it"]);
        for state in STATES {
            let vendor = [("vendor", "intercom"), ("state", state)];
            assert_eq!(value(&usage, "saastap_vendor_flows_total", &vendor), Some(0.0));
            assert_eq!(value(&usage, "saastap_clients", &vendor), Some(0.0));
            let group = [("group", "it"), ("state", state)];
            assert_eq!(value(&usage, "saastap_group_flows_total", &group), Some(0.0));
        }
        for reason in Visibility::ALL {
            let labels = [("visibility", reason.name())];
            assert_eq!(value(&usage, "saastap_visibility_flows_total", &labels), Some(0.0));
        }
    }

    #[test]
    fn never_more_series_than_allowed() {
        let usage = UsageMetrics::new(200);
        for n in 0..1_000 {
            usage.add(&Addition { vendor: &format!("v{n}"), ..CONTACT });
        }
        let mut out = Vec::new();
        usage.samples(&mut out);
        let families = [
            "saastap_vendor_",
            "saastap_role_",
            "saastap_group_",
            "saastap_deployment_",
            "saastap_clients",
        ];
        let series = out.iter().filter(|s| families.iter().any(|f| s.name.starts_with(f))).count();
        assert!(series <= 200, "{series}");
        let other = [("vendor", OTHER), ("state", "sanctioned")];
        let folded = value(&usage, "saastap_vendor_flows_total", &other).unwrap();
        let dropped = value(&usage, "saastap_metric_series_dropped_total", &[("metric", "vendor")]);
        assert_eq!(dropped, Some(folded));
        assert!(folded > 900.0);
        let all: f64 =
            out.iter().filter(|s| s.name == "saastap_vendor_flows_total").map(|s| s.value).sum();
        assert_eq!(all, 1_000.0);
    }

    #[test]
    fn clients_are_those_of_a_day() {
        let usage = UsageMetrics::new(5_000);
        let labels = [("vendor", "zendesk"), ("state", "sanctioned")];
        for client in ["c1", "c2", "c1"] {
            usage.add(&Addition { client, ..CONTACT });
        }
        assert_eq!(value(&usage, "saastap_clients", &labels), Some(2.0));
        usage.advance(CONTACT.at.plus(2 * crate::time::DAY));
        assert_eq!(value(&usage, "saastap_clients", &labels), Some(0.0));
    }

    #[test]
    fn visibility_adds_up() {
        let usage = UsageMetrics::new(5_000);
        usage.visibility(Visibility::Ech, 1, 500);
        usage.visibility(Visibility::Ech, 0, 50);
        let labels = [("visibility", "ech")];
        assert_eq!(value(&usage, "saastap_visibility_flows_total", &labels), Some(1.0));
        assert_eq!(value(&usage, "saastap_visibility_bytes_total", &labels), Some(550.0));
    }
}
