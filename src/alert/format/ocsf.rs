//! Open Cybersecurity Schema Framework 1.8: a case is a Detection Finding (2004) that is created, updated and closed; the usage of
//! an hour is Network Activity (4001); heartbeat and audit have no class of their own and are Base Events.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::{Format, JSON, fit, pruned, to_line};
use crate::alert::attack::Technique;
use crate::alert::event::{Action, Event, Proof, Report, Sensor, UsageFacts, What};
use crate::alert::finding::{Finding, Severity};
use crate::alert::summary::Summary;
use crate::time::Time;

pub(super) const FORMAT: Format = Format { name: "ocsf", media: JSON, least: 4_608, render };

const VERSION: &str = "1.8.0";
const DETECTION_FINDING: u32 = 2_004;
const FINDINGS_CATEGORY: u32 = 2;
const NETWORK_ACTIVITY: u32 = 4_001;
const NETWORK_CATEGORY: u32 = 4;
const TRAFFIC: u32 = 6;

fn render(event: &Event, max: usize) -> String {
    fit(event, max, |event| to_line(&document(event)))
}

fn document(event: &Event) -> Value {
    let mut document = match &event.what {
        What::Finding(report) => finding(event, report),
        What::Heartbeat { values } => base("heartbeat", json!({ "values": values })),
        What::Audit { audit } => base(audit.action, json!({ "audit": audit })),
        What::Usage(summary) => usage(summary),
    };
    if let Value::Object(document) = &mut document {
        document.insert("metadata".into(), metadata(event));
        document.insert("time".into(), millis(event.time).into());
        document.insert("message".into(), event.summary().into());
        document.insert("severity_id".into(), severity(event.severity).into());
        document.insert("severity".into(), caption(event.severity).into());
    }
    pruned(document).unwrap_or_default()
}

fn metadata(event: &Event) -> Value {
    let Sensor { name, site, version, catalog, policy } = &event.sensor;
    let correlation = match &event.what {
        What::Finding(report) => Some(report.finding.uid),
        What::Heartbeat { .. } | What::Audit { .. } | What::Usage(_) => None,
    };
    let site = site.as_deref().unwrap_or_default();
    let tags = [("catalog", &**catalog), ("policy", &**policy), ("site", site)];
    let tags: Vec<Value> = tags
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({
        "version": VERSION,
        "uid": event.id,
        "correlation_uid": correlation,
        "event_code": event.name(),
        "is_truncated": event.truncated.then_some(true),
        "product": { "name": "saastap", "vendor_name": "saastap", "version": version },
        "reporter": { "name": name },
        "tags": tags,
    })
}

fn finding(event: &Event, report: &Report) -> Value {
    let (activity, name, status) = match report.finding.action {
        Action::Create => (1, "Create", (1, "New")),
        Action::Update => (2, "Update", (2, "In Progress")),
        Action::Close => (3, "Close", (4, "Resolved")),
    };
    let usage = report.usage();
    let rule = usage.and_then(|usage| usage.rule.as_deref());
    json!({
        "activity_id": activity,
        "activity_name": name,
        "category_uid": FINDINGS_CATEGORY,
        "category_name": "Findings",
        "class_uid": DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": DETECTION_FINDING * 100 + activity,
        "status_id": status.0,
        "status": status.1,
        "is_alert": true,
        "count": report.sightings,
        "start_time": millis(report.opened),
        "end_time": millis(report.last_seen),
        "finding_info": {
            "uid": report.finding.uid,
            "title": report.finding.title,
            "desc": Finding::by_id(report.finding.id).map(|f| f.definition),
            "types": [report.finding.id],
            "first_seen_time": millis(report.opened),
            "last_seen_time": millis(report.last_seen),
            "data_sources": ["network tap"],
            "analytic": {
                "type_id": 1,
                "type": "Rule",
                "uid": report.finding.id,
                "name": rule.unwrap_or(report.finding.title),
                "desc": report.threshold,
                "version": event.sensor.policy,
            },
            "attacks": report.finding.attack.iter().map(|id| attack(id)).collect::<Vec<_>>(),
        },
        "evidences": usage.map(evidences),
        "resources": resource(event, report),
        "observables": usage.map(observables),
        "unmapped": unmapped(report),
    })
}

/// What the finding is about: the vendor's instance, or the sensor itself.
fn resource(event: &Event, report: &Report) -> Value {
    let Some(vendor) = report.vendor() else {
        return json!([{ "name": event.sensor.name, "type": "sensor" }]);
    };
    let tenant = report.usage().and_then(|usage| usage.tenant.as_deref());
    let instance = tenant.map(|tenant| format!("{}/{tenant}", vendor.id));
    json!([{
        "name": vendor.name,
        "uid": instance.as_deref().unwrap_or(&vendor.id),
        "type": vendor.category,
    }])
}

/// What the class has no place for.
fn unmapped(report: &Report) -> Value {
    let mut all = serde_json::to_value(&report.about).unwrap_or_default();
    if let Value::Object(all) = &mut all {
        // These have a place, or only count here.
        for key in ["flow", "evidence"] {
            all.remove(key);
        }
        if let Some(usage) = report.usage() {
            let clients = json!({ "count": usage.clients.count, "exact": usage.clients.exact });
            all.insert("clients".into(), clients);
            all.insert("group".into(), json!({ "name": usage.group }));
        }
        all.insert("threshold".into(), (&*report.threshold).into());
        all.insert("acknowledged".into(), json!(report.acknowledged));
    }
    all
}

fn evidences(usage: &UsageFacts) -> Vec<Value> {
    let others = usage.evidence.iter().filter(|p| Some(*p) != usage.flow.as_ref());
    let flows = usage.flow.iter().chain(others);
    flows.take(MAX_EVIDENCE).map(|proof| evidence(proof, usage)).collect()
}

/// As many as an event shows in every format.
const MAX_EVIDENCE: usize = 5;

fn usage(summary: &Summary) -> Value {
    let Summary { vendor, usage, client, .. } = summary;
    let instance = summary.tenant.as_deref().map(|t| format!("{}/{t}", vendor.id));
    let lasted = usage.last_seen.since(usage.first_seen).as_millis();
    json!({
        "activity_id": TRAFFIC,
        "activity_name": "Traffic",
        "category_uid": NETWORK_CATEGORY,
        "category_name": "Network Activity",
        "class_uid": NETWORK_ACTIVITY,
        "class_name": "Network Activity",
        "type_uid": NETWORK_ACTIVITY * 100 + TRAFFIC,
        "count": usage.flows,
        "start_time": millis(usage.first_seen),
        "end_time": millis(usage.last_seen),
        "duration": u64::try_from(lasted).unwrap_or(u64::MAX),
        "app_name": vendor.name,
        "src_endpoint": { "ip": client.id.parse::<IpAddr>().ok(), "uid": client.id },
        "dst_endpoint": {
            "name": vendor.name,
            "svc_name": vendor.id,
            "uid": instance.as_deref().unwrap_or(&vendor.id),
        },
        "traffic": {
            "bytes": usage.sent_bytes.saturating_add(usage.received_bytes),
            "bytes_out": usage.sent_bytes,
            "bytes_in": usage.received_bytes,
        },
        "unmapped": {
            "vendor": vendor,
            "tenant": summary.tenant,
            "role": summary.role,
            "relation": summary.relation,
            "state": summary.state,
            "rule": summary.rule,
            "group": { "name": summary.group },
            "client": client,
            "usage": usage,
        },
    })
}

fn base(activity: &str, unmapped: Value) -> Value {
    json!({
        "activity_id": 99,
        "activity_name": activity,
        "category_uid": 0,
        "category_name": "Uncategorized",
        "class_uid": 0,
        "class_name": "Base Event",
        "type_uid": 99,
        "unmapped": unmapped,
    })
}

fn evidence(proof: &Proof, usage: &UsageFacts) -> Value {
    let number = match &*proof.transport {
        "tcp" => Some(6),
        "udp" => Some(17),
        _ => None,
    };
    let end = |end: Option<SocketAddr>| json!({ "ip": end.map(|e| e.ip()), "port": end.map(|e| e.port()) });
    let mut client = end(proof.client);
    if let Value::Object(client) = &mut client {
        client.insert("uid".into(), (&*usage.client.id).into());
    }
    let mut server = end(proof.server);
    if let Value::Object(server) = &mut server {
        let key = if is_host(&proof.name) { "hostname" } else { "name" };
        server.insert(key.into(), (&*proof.name).into());
        server.insert("svc_name".into(), (&*usage.vendor.id).into());
    }
    let community = proof.community_id.as_deref();
    json!({
        "src_endpoint": client,
        "dst_endpoint": server,
        "connection_info": {
            "direction_id": 0,
            "protocol_num": number,
            "protocol_name": proof.transport,
            "community_uid": community,
        },
        "data": { "time": proof.time, "via": proof.via },
    })
}

/// Clients of the case, whom a SIEM joins with other events.
fn observables(usage: &UsageFacts) -> Vec<Value> {
    let of = |client: &str| match client.parse::<IpAddr>() {
        Ok(_) => json!({ "type_id": 2, "type": "IP Address", "name": "client", "value": client }),
        Err(_) => json!({ "type_id": 99, "type": "pseudonym", "name": "client", "value": client }),
    };
    usage
        .clients
        .listed
        .iter()
        .filter(|client| &***client != "-")
        .map(|client| of(client))
        .collect()
}

fn attack(id: &str) -> Value {
    let Some(technique) = Technique::by_id(id) else { return Value::Null };
    let named = |t: &Technique| json!({ "uid": t.id, "name": t.name });
    json!({
        "tactic": { "uid": technique.tactic.0, "name": technique.tactic.1 },
        "technique": Technique::by_id(technique.whole()).map(named),
        "sub_technique": technique.is_part().then(|| named(technique)),
        "version": "18",
    })
}

fn is_host(name: &str) -> bool {
    name.contains('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

const fn millis(time: Time) -> u64 {
    time.nanos() / 1_000_000
}

const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
    }
}

const fn caption(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
    }
}
