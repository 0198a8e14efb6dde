//! Common Event Format, version 0, which most receivers read.
//!
//! ```text
//! CEF:0|saastap|saastap|VERSION|FINDING|TITLE|0-10|key=value key=value
//! ```

use std::net::{IpAddr, SocketAddr};

use super::pairs::{Pairs, heading, severity, tame};
use super::{Format, TEXT, fit};
use crate::alert::event::{About, Event, Report, UsageFacts, What};
use crate::alert::lasting::Lasting;
use crate::alert::summary::Summary;
use crate::time::Time;

pub(super) const FORMAT: Format = Format { name: "cef", media: TEXT, least: 2_688, render };

fn render(event: &Event, max: usize) -> String {
    fit(event, max, to_text)
}

fn to_text(event: &Event) -> String {
    let (id, name) = heading(event);
    let mut text = format!(
        "CEF:0|saastap|saastap|{}|{}|{}|{}|",
        header(&event.sensor.version),
        header(id),
        header(name),
        severity(event.severity)
    );
    let pairs = pairs(event).0;
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={}", extension(v))).collect();
    text.push_str(&pairs.join(" "));
    text
}

/// Lengths of the dictionary: names of hosts and most texts, and the custom strings.
const TEXT_MAX: usize = 1_023;
const CUSTOM_MAX: usize = 4_000;

fn pairs(event: &Event) -> Pairs {
    let mut pairs = Pairs::default();
    pairs.put("rt", TEXT_MAX, millis(event.time));
    pairs.put("externalId", 40, event.id);
    pairs.put("dvchost", 100, &event.sensor.name);
    pairs.put_some("dvcLocation", TEXT_MAX, event.sensor.site.as_deref());
    pairs.put("msg", TEXT_MAX, event.summary());
    match &event.what {
        What::Finding(report) => finding(&mut pairs, report),
        What::Heartbeat { values } => {
            pairs.put("act", 63, "heartbeat");
            for (name, value) in values {
                pairs.put(&format!("saastap_{name}"), TEXT_MAX, value);
            }
        }
        What::Audit { audit } => {
            pairs.put("act", 63, audit.action);
            pairs.put("outcome", 63, audit.outcome);
            pairs.put("reason", TEXT_MAX, &audit.detail);
        }
        What::Usage(summary) => usage(&mut pairs, summary),
    }
    pairs.put("saastap_catalog", TEXT_MAX, &event.sensor.catalog);
    pairs.put("saastap_policy", TEXT_MAX, &event.sensor.policy);
    if event.truncated {
        pairs.put("saastap_truncated", 4, "true");
    }
    pairs
}

fn finding(pairs: &mut Pairs, report: &Report) {
    pairs.put("cat", TEXT_MAX, report.finding.id);
    pairs.put("act", 63, report.finding.action.name());
    pairs.put("start", TEXT_MAX, millis(report.opened));
    pairs.put("end", TEXT_MAX, millis(report.last_seen));
    pairs.put("cnt", TEXT_MAX, report.sightings);
    pairs.put("reason", TEXT_MAX, &report.threshold);
    if let Some(vendor) = report.vendor() {
        pairs.put("destinationServiceName", TEXT_MAX, &vendor.name);
        custom(pairs, "cs2", "vendor", Some(&vendor.id));
    }
    custom(pairs, "cs1", "state", report.state().map(|state| state.name()));
    match &report.about {
        About::Usage(usage) => contacts(pairs, usage),
        About::Lasting(about) => lasting(pairs, about),
    }
    // Beyond the custom fields receivers keep keys of a product's own as they are.
    pairs.put("saastap_uid", 40, report.finding.uid);
    let category = report.vendor().and_then(|vendor| vendor.category.as_deref());
    pairs.put_some("saastap_category", TEXT_MAX, category);
    if let Some(known) = &report.acknowledged {
        pairs.put("saastap_ack_owner", TEXT_MAX, &known.owner);
        pairs.put("saastap_ack_reason", TEXT_MAX, &known.reason);
        pairs.put("saastap_ack_until", TEXT_MAX, known.until);
    }
    pairs.put("saastap_attack", TEXT_MAX, report.finding.attack.join(","));
}

fn contacts(pairs: &mut Pairs, usage: &UsageFacts) {
    let flow = usage.flow.as_ref();
    let client = usage.client.id.parse::<IpAddr>().ok();
    end(pairs, ("src", "spt", "c6a2", "Source IPv6 Address"), flow.and_then(|f| f.client), client);
    end(
        pairs,
        ("dst", "dpt", "c6a3", "Destination IPv6 Address"),
        flow.and_then(|f| f.server),
        None,
    );
    if let Some(flow) = flow {
        pairs.put("dhost", TEXT_MAX, &flow.name);
        pairs.put("proto", 31, flow.transport.to_ascii_uppercase());
    }
    pairs.put("suid", TEXT_MAX, &usage.client.id);
    custom(pairs, "cs3", "tenant", usage.tenant.as_deref());
    custom(pairs, "cs4", "evidence", flow.map(|f| &*f.via));
    custom(pairs, "cs5", "community_id", flow.and_then(|f| f.community_id.as_deref()));
    custom(pairs, "cs6", "group", Some(&usage.group));
    pairs.put("cn1", TEXT_MAX, usage.clients.count);
    pairs.put("cn1Label", TEXT_MAX, "clients");
    pairs.put("cn2", TEXT_MAX, usage.engagement.active_minutes_today);
    pairs.put("cn2Label", TEXT_MAX, "active_minutes_today");
    pairs.put("cn3", TEXT_MAX, usage.engagement.sent_bytes_today);
    pairs.put("cn3Label", TEXT_MAX, "sent_bytes_today");
    pairs.put_some("saastap_rule", TEXT_MAX, usage.rule.as_deref());
    pairs.put("saastap_role", TEXT_MAX, usage.role);
    pairs.put("saastap_relation", TEXT_MAX, usage.relation.name());
    pairs.put("saastap_engagement", TEXT_MAX, usage.engagement.level.name());
    pairs.put("saastap_client_kind", TEXT_MAX, usage.client.kind.name());
    pairs.put("saastap_clients_exact", TEXT_MAX, usage.clients.exact);
    pairs.put("saastap_clients", CUSTOM_MAX, usage.clients.listed.join(","));
    pairs.put_some("saastap_scope", TEXT_MAX, usage.scope);
    if let Some(upload) = usage.upload {
        pairs.put("saastap_upload_hour_bytes", TEXT_MAX, upload.hour_bytes);
        pairs.put("saastap_upload_threshold_bytes", TEXT_MAX, upload.threshold_bytes);
        pairs.put("saastap_upload_usual", TEXT_MAX, upload.usual);
    }
    if let Some(session) = usage.session {
        pairs.put("saastap_session_path", TEXT_MAX, session.path.name());
        pairs.put("saastap_session_direction", TEXT_MAX, session.direction.name());
        pairs.put("saastap_session_confidence", TEXT_MAX, session.confidence.name());
    }
    pairs.put_some("saastap_server", TEXT_MAX, usage.server.as_deref());
    let names: Vec<&str> = usage.evidence.iter().map(|proof| &*proof.name).collect();
    pairs.put("saastap_names", CUSTOM_MAX, names.join(","));
}

fn usage(pairs: &mut Pairs, summary: &Summary) {
    let Summary { vendor, usage, client, .. } = summary;
    pairs.put("cat", TEXT_MAX, "usage");
    pairs.put("act", 63, "usage");
    pairs.put("start", TEXT_MAX, millis(usage.first_seen));
    pairs.put("end", TEXT_MAX, millis(usage.last_seen));
    pairs.put("cnt", TEXT_MAX, usage.flows);
    pairs.put("out", TEXT_MAX, usage.sent_bytes);
    pairs.put("in", TEXT_MAX, usage.received_bytes);
    pairs.put("destinationServiceName", TEXT_MAX, &vendor.name);
    let address = client.id.parse::<IpAddr>().ok();
    end(pairs, ("src", "spt", "c6a2", "Source IPv6 Address"), None, address);
    pairs.put("suid", TEXT_MAX, &client.id);
    custom(pairs, "cs1", "state", Some(summary.state.name()));
    custom(pairs, "cs2", "vendor", Some(&vendor.id));
    custom(pairs, "cs3", "tenant", summary.tenant.as_deref());
    custom(pairs, "cs6", "group", Some(&summary.group));
    pairs.put("saastap_hour", TEXT_MAX, millis(usage.hour));
    pairs.put("saastap_active_minutes", TEXT_MAX, usage.active_minutes);
    pairs.put("saastap_sessions", TEXT_MAX, usage.sessions);
    pairs.put("saastap_engagement", TEXT_MAX, usage.engagement.name());
    pairs.put("saastap_deployment", TEXT_MAX, usage.deployment.name());
    pairs.put_some("saastap_rule", TEXT_MAX, summary.rule.as_deref());
    pairs.put("saastap_role", TEXT_MAX, summary.role);
    pairs.put("saastap_relation", TEXT_MAX, summary.relation.name());
    pairs.put("saastap_client_kind", TEXT_MAX, client.kind.name());
    pairs.put_some("saastap_category", TEXT_MAX, vendor.category.as_deref());
}

fn lasting(pairs: &mut Pairs, about: &Lasting) {
    match about {
        Lasting::Silence { silence, .. } => {
            pairs.put("saastap_silence_days", TEXT_MAX, silence.days);
            pairs.put("saastap_silence_known_days", TEXT_MAX, silence.known_days);
            pairs.put("saastap_silence_clients_a_day", TEXT_MAX, silence.clients_a_day);
            pairs.put("saastap_silence_last_used", TEXT_MAX, silence.last_used);
        }
        Lasting::Loss { loss } => {
            pairs.put("saastap_loss_cause", TEXT_MAX, loss.cause);
            pairs.put("saastap_loss_part", TEXT_MAX, loss.part);
            pairs.put("saastap_loss_whole", TEXT_MAX, loss.whole);
            pairs.put("saastap_loss_minutes", TEXT_MAX, loss.minutes);
            pairs.put("saastap_loss_threshold_percent", TEXT_MAX, loss.threshold_percent);
        }
    }
}

/// IPv6 has keys of its own.
fn end(
    pairs: &mut Pairs,
    keys: (&str, &str, &str, &str),
    end: Option<SocketAddr>,
    or: Option<IpAddr>,
) {
    let (ip, port, six, label) = keys;
    match end.map(|end| end.ip()).or(or) {
        Some(IpAddr::V4(address)) => pairs.put(ip, 15, address),
        Some(IpAddr::V6(address)) => {
            pairs.put(six, 45, address);
            pairs.put(&format!("{six}Label"), TEXT_MAX, label);
        }
        None => {}
    }
    pairs.put_some(port, 5, end.map(|end| end.port()));
}

fn custom(pairs: &mut Pairs, key: &str, label: &str, value: Option<&str>) {
    if let Some(value) = value {
        pairs.put(key, CUSTOM_MAX, value);
        pairs.put(&format!("{key}Label"), TEXT_MAX, label);
    }
}

const fn millis(time: Time) -> u64 {
    time.nanos() / 1_000_000
}

/// In the header `\` and `|` are escaped, and there are no line ends.
fn header(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().map(tame) {
        match c {
            '\\' | '|' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// In a value `\` and `=` are escaped, and line ends are written as `\n` and `\r`.
fn extension(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().map(tame) {
        match c {
            '\\' | '=' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out
}
