//! Elastic Common Schema 9: fields of the schema where it has one, and `saastap.*` for what it does not know.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::{Format, JSON, fit, pruned, to_line};
use crate::alert::attack::Technique;
use crate::alert::event::{About, Audit, Event, Proof, Report, Sensor, UsageFacts, What};
use crate::alert::finding::Severity;
use crate::alert::summary::Summary;
use crate::usage::OTHER;

pub(super) const FORMAT: Format = Format { name: "ecs", media: JSON, least: 4_096, render };

/// All fields used here are in every 9.x.
const VERSION: &str = "9.0.0";

fn render(event: &Event, max: usize) -> String {
    fit(event, max, |event| to_line(&document(event)))
}

fn document(event: &Event) -> Value {
    let mut document = match &event.what {
        What::Finding(report) => finding(event, report),
        What::Heartbeat { values } => json!({
            "event": { "kind": "metric", "action": "heartbeat", "dataset": "saastap.heartbeat" },
            "saastap": { "values": values },
        }),
        What::Audit { audit } => audited(audit),
        What::Usage(summary) => usage(event, summary),
    };
    merge(&mut document, &frame(event));
    pruned(document).unwrap_or_default()
}

/// What every event has.
fn frame(event: &Event) -> Value {
    let Sensor { name, site, version, catalog, policy } = &event.sensor;
    json!({
        "@timestamp": event.time,
        "ecs": { "version": VERSION },
        "message": event.summary(),
        "event": {
            "id": event.id,
            "code": event.name(),
            "module": "saastap",
            "provider": "saastap",
            "severity": level(event.severity),
            "risk_score": risk(event.severity),
        },
        "observer": {
            "vendor": "saastap",
            "product": "saastap",
            "type": "sensor",
            "version": version,
            "name": name,
            "geo": { "name": site },
        },
        "saastap": {
            "catalog": catalog,
            "policy": policy,
            "truncated": event.truncated.then_some(true),
        },
    })
}

fn finding(event: &Event, report: &Report) -> Value {
    let mut document = json!({
        "event": {
            "kind": "alert",
            "category": ["network", "intrusion_detection"],
            "type": ["info"],
            "dataset": "saastap.alert",
            "action": report.finding.action.name(),
            "reason": report.threshold,
            "start": report.opened,
            "end": report.last_seen,
            "duration": nanos(event, report),
        },
        "network": { "application": report.vendor().map(|vendor| vendor.id.to_lowercase()) },
        "rule": {
            "name": report.finding.title,
            "category": report.finding.id,
            "ruleset": "saastap policy",
            "version": event.sensor.policy,
        },
        "threat": threat(report.finding.attack),
        "saastap": {
            "case": {
                "uid": report.finding.uid,
                "sightings": report.sightings,
                "acknowledged": report.acknowledged,
            },
            "vendor": report.vendor(),
            "state": report.state(),
        },
    });
    let more = match &report.about {
        About::Usage(usage) => contacts(usage),
        About::Lasting(lasting) => json!({
            "saastap": { "silence": lasting.silence(), "loss": lasting.loss() },
        }),
    };
    merge(&mut document, &more);
    document
}

fn contacts(usage: &UsageFacts) -> Value {
    let client = usage.client.id.parse::<IpAddr>().ok();
    let hash = hash(&usage.client.id);
    let listed = |wanted: bool| -> Vec<&str> {
        let listed = usage.clients.listed.iter().map(|client| &**client);
        listed.filter(|c| *c != "-" && c.parse::<IpAddr>().is_ok() == wanted).collect()
    };
    let flow = usage.flow.as_ref();
    let near = ends(flow.and_then(|f| f.client), client);
    let far = ends(flow.and_then(|f| f.server), None);
    let name = flow.map(|f| &f.name);
    let (source, destination) = (near.clone(), far.clone());
    let mut document = json!({
        "source": source,
        "client": near,
        "destination": destination,
        "server": far,
        "network": {
            "transport": flow.map(|f| &f.transport),
            "type": flow.and_then(|f| f.server).map(|s| if s.is_ipv4() { "ipv4" } else { "ipv6" }),
            "community_id": flow.and_then(|f| f.community_id.as_ref()),
        },
        "rule": { "id": usage.rule },
        "related": { "ip": listed(true), "hash": listed(false), "hosts": name.map(|n| [n]) },
        "saastap": {
            "case": {
                "clients": { "count": usage.clients.count, "exact": usage.clients.exact },
            },
            "tenant": usage.tenant,
            "server": usage.server,
            "role": usage.role,
            "relation": usage.relation,
            "group": usage.group,
            "scope": usage.scope,
            "session": usage.session,
            "upload": usage.upload,
            "client": usage.client,
            "engagement": usage.engagement,
            "via": flow.map(|f| &f.via),
            "evidence": usage.evidence.iter().map(evidence).collect::<Vec<_>>(),
        },
    });
    let user = json!({ "user": { "hash": hash, "group": { "name": usage.group } } });
    merge(&mut document, &json!({ "source": user, "client": user }));
    merge(
        &mut document,
        &json!({ "destination": { "domain": name }, "server": { "domain": name } }),
    );
    document
}

/// A pseudonym stands where the hash of a user would: a client is no user, but the only field of the schema for it.
fn hash(client: &str) -> Option<&str> {
    let none = client == "-" || client == OTHER || client.parse::<IpAddr>().is_ok();
    (!none).then_some(client)
}

fn usage(event: &Event, summary: &Summary) -> Value {
    let Summary { vendor, usage, client, .. } = summary;
    let (ip, hash) = (client.id.parse::<IpAddr>().ok(), hash(&client.id));
    let near = json!({
        "ip": ip,
        "bytes": usage.sent_bytes,
        "user": { "hash": hash, "group": { "name": summary.group } },
    });
    let far = json!({ "bytes": usage.received_bytes });
    let (source, destination) = (near.clone(), far.clone());
    let lasted = usage.last_seen.since(usage.first_seen).as_nanos();
    json!({
        "event": {
            "kind": "metric",
            "category": ["network"],
            "type": ["info"],
            "dataset": "saastap.usage",
            "action": "usage",
            "start": usage.first_seen,
            "end": usage.last_seen,
            "duration": u64::try_from(lasted).unwrap_or(u64::MAX),
        },
        "source": source,
        "client": near,
        "destination": destination,
        "server": far,
        "network": {
            "application": vendor.id.to_lowercase(),
            "bytes": usage.sent_bytes.saturating_add(usage.received_bytes),
        },
        "rule": {
            "id": summary.rule,
            "ruleset": "saastap policy",
            "version": event.sensor.policy,
        },
        "related": { "ip": ip.map(|ip| [ip]), "hash": hash.map(|hash| [hash]) },
        "saastap": {
            "vendor": vendor,
            "tenant": summary.tenant,
            "role": summary.role,
            "relation": summary.relation,
            "state": summary.state,
            "group": summary.group,
            "client": client,
            "usage": usage,
        },
    })
}

fn audited(audit: &Audit) -> Value {
    json!({
        "event": {
            "kind": "event",
            "category": ["configuration"],
            "type": ["change"],
            "action": audit.action,
            "outcome": audit.outcome,
            "reason": audit.detail,
            "dataset": "saastap.audit",
        },
    })
}

/// An end of the flow; where that is kept back, the address of the client if that is its name.
fn ends(end: Option<SocketAddr>, or: Option<IpAddr>) -> Value {
    let ip = end.map(|end| end.ip()).or(or);
    json!({ "ip": ip, "port": end.map(|end| end.port()) })
}

fn evidence(proof: &Proof) -> Value {
    json!({
        "time": proof.time,
        "name": proof.name,
        "via": proof.via,
        "transport": proof.transport,
        "client": proof.client,
        "server": proof.server,
        "community_id": proof.community_id,
    })
}

fn threat(ids: &[&str]) -> Value {
    let all: Vec<&Technique> = ids.iter().filter_map(|id| Technique::by_id(id)).collect();
    if all.is_empty() {
        return Value::Null;
    }
    let parts: Vec<&&Technique> = all.iter().filter(|t| t.is_part()).collect();
    let wholes: Vec<&Technique> = all.iter().filter_map(|t| Technique::by_id(t.whole())).collect();
    json!({
        "framework": "MITRE ATT&CK",
        "tactic": {
            "id": all.iter().map(|t| t.tactic.0).collect::<Vec<_>>(),
            "name": all.iter().map(|t| t.tactic.1).collect::<Vec<_>>(),
        },
        "technique": {
            "id": wholes.iter().map(|t| t.id).collect::<Vec<_>>(),
            "name": wholes.iter().map(|t| t.name).collect::<Vec<_>>(),
            "subtechnique": {
                "id": parts.iter().map(|t| t.id).collect::<Vec<_>>(),
                "name": parts.iter().map(|t| t.name).collect::<Vec<_>>(),
            },
        },
    })
}

/// Nanoseconds, as the schema wants them.
fn nanos(event: &Event, report: &Report) -> u64 {
    let end = report.last_seen.max(report.opened).min(event.time.max(report.last_seen));
    u64::try_from(end.since(report.opened).as_nanos()).unwrap_or(u64::MAX)
}

const fn level(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
    }
}

/// In the steps of Elastic's own detections.
const fn risk(severity: Severity) -> f64 {
    match severity {
        Severity::Informational => 1.0,
        Severity::Low => 21.0,
        Severity::Medium => 47.0,
        Severity::High => 73.0,
    }
}

/// Adds what is in `more`; objects are merged.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}
