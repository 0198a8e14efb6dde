//! Log Event Extended Format 2.0.
//!
//! ```text
//! LEEF:2.0|saastap|saastap|VERSION|FINDING|^|key=value^key=value
//! ```
//! The format has no escape for its delimiter, but each message names its own: the first of [`DELIMITERS`] that none of its
//! values holds.

use std::net::IpAddr;

use super::pairs::{Pairs, heading, severity, tame};
use super::{Format, TEXT, fit};
use crate::alert::event::{About, Event, Report, UsageFacts, What};
use crate::alert::lasting::Lasting;
use crate::alert::summary::Summary;
use crate::time::Time;

pub(super) const FORMAT: Format = Format { name: "leef", media: TEXT, least: 2_432, render };

/// None of them is a letter, a digit, or in a host name, so that the first is nearly always free. No tab: relays of syslog
/// escape control characters.
const DELIMITERS: [char; 8] = ['^', '~', '`', '#', '$', '!', ';', '%'];

fn render(event: &Event, max: usize) -> String {
    fit(event, max, to_text)
}

fn to_text(event: &Event) -> String {
    let (id, _) = heading(event);
    let mut pairs = pairs(event).0;
    for (_, value) in &mut pairs {
        *value = line(value);
    }
    let free = |d: &char| pairs.iter().all(|(_, value)| !value.contains(*d));
    let delimiter = DELIMITERS.into_iter().find(free).unwrap_or_else(|| {
        // Somebody made a name that holds them all: it loses the first.
        for (_, value) in &mut pairs {
            *value = value.replace('^', " ");
        }
        '^'
    });
    let pairs: Vec<String> =
        pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let version = event.sensor.version.replace('|', " ");
    let delimited = pairs.join(&delimiter.to_string());
    format!("LEEF:2.0|saastap|saastap|{}|{id}|{delimiter}|{delimited}", line(&version))
}

/// Bound of a value: receivers cut messages, and it is better done where the end is known.
const MAX: usize = 1_024;

fn pairs(event: &Event) -> Pairs {
    let mut pairs = Pairs::default();
    pairs.put("devTime", MAX, millis(event.time));
    pairs.put("sev", MAX, severity(event.severity));
    pairs.put("eventId", MAX, event.id);
    pairs.put("sensor", MAX, &event.sensor.name);
    pairs.put_some("site", MAX, event.sensor.site.as_deref());
    pairs.put("msg", MAX, event.summary());
    match &event.what {
        What::Finding(report) => finding(&mut pairs, report),
        What::Heartbeat { values } => {
            pairs.put("cat", MAX, "heartbeat");
            for (name, value) in values {
                pairs.put(&format!("value_{name}"), MAX, value);
            }
        }
        What::Audit { audit } => {
            pairs.put("cat", MAX, "audit");
            pairs.put("action", MAX, audit.action);
            pairs.put("outcome", MAX, audit.outcome);
            pairs.put("reason", MAX, &audit.detail);
        }
        What::Usage(summary) => usage(&mut pairs, summary),
    }
    pairs.put("catalog", MAX, &event.sensor.catalog);
    pairs.put("policyVersion", MAX, &event.sensor.policy);
    if event.truncated {
        pairs.put("truncated", MAX, "true");
    }
    pairs
}

fn finding(pairs: &mut Pairs, report: &Report) {
    pairs.put("cat", MAX, report.finding.id);
    pairs.put("action", MAX, report.finding.action.name());
    pairs.put("caseId", MAX, report.finding.uid);
    pairs.put("reason", MAX, &report.threshold);
    if let Some(vendor) = report.vendor() {
        pairs.put("vendor", MAX, &vendor.id);
        pairs.put("vendorName", MAX, &vendor.name);
        pairs.put_some("vendorCategory", MAX, vendor.category.as_deref());
    }
    pairs.put_some("state", MAX, report.state());
    match &report.about {
        About::Usage(usage) => contacts(pairs, usage),
        About::Lasting(about) => lasting(pairs, about),
    }
    pairs.put("sightings", MAX, report.sightings);
    pairs.put("firstSeen", MAX, millis(report.opened));
    pairs.put("lastSeen", MAX, millis(report.last_seen));
    if let Some(known) = &report.acknowledged {
        pairs.put("ackOwner", MAX, &known.owner);
        pairs.put("ackReason", MAX, &known.reason);
        pairs.put("ackUntil", MAX, known.until);
    }
    pairs.put("attack", MAX, report.finding.attack.join(","));
}

fn contacts(pairs: &mut Pairs, usage: &UsageFacts) {
    if let Some(flow) = &usage.flow {
        pairs.put_some("src", MAX, flow.client.map(|end| end.ip()));
        pairs.put_some("srcPort", MAX, flow.client.map(|end| end.port()));
        pairs.put_some("dst", MAX, flow.server.map(|end| end.ip()));
        pairs.put_some("dstPort", MAX, flow.server.map(|end| end.port()));
        pairs.put("proto", MAX, flow.transport.to_ascii_uppercase());
        pairs.put("dstHost", MAX, &flow.name);
        pairs.put("via", MAX, &flow.via);
        pairs.put_some("communityId", MAX, flow.community_id.as_deref());
    }
    pairs.put("client", MAX, &usage.client.id);
    pairs.put("clientKind", MAX, usage.client.kind.name());
    pairs.put("groupName", MAX, &usage.group);
    pairs.put_some("tenant", MAX, usage.tenant.as_deref());
    if let Some(upload) = usage.upload {
        pairs.put("uploadHourBytes", MAX, upload.hour_bytes);
        pairs.put("uploadThresholdBytes", MAX, upload.threshold_bytes);
        pairs.put("uploadUsual", MAX, upload.usual);
    }
    if let Some(session) = usage.session {
        pairs.put("sessionPath", MAX, session.path.name());
        pairs.put("sessionDirection", MAX, session.direction.name());
        pairs.put("sessionConfidence", MAX, session.confidence.name());
    }
    pairs.put_some("server", MAX, usage.server.as_deref());
    pairs.put("role", MAX, usage.role);
    pairs.put("relation", MAX, usage.relation.name());
    pairs.put_some("policy", MAX, usage.rule.as_deref());
    pairs.put_some("scope", MAX, usage.scope);
    pairs.put("engagement", MAX, usage.engagement.level.name());
    pairs.put("activeMinutesToday", MAX, usage.engagement.active_minutes_today);
    pairs.put("sentBytesToday", MAX, usage.engagement.sent_bytes_today);
    pairs.put("clients", MAX, usage.clients.count);
    pairs.put("clientsExact", MAX, usage.clients.exact);
    pairs.put("clientList", MAX, usage.clients.listed.join(","));
    let names: Vec<&str> = usage.evidence.iter().map(|proof| &*proof.name).collect();
    pairs.put("names", MAX, names.join(","));
}

fn usage(pairs: &mut Pairs, summary: &Summary) {
    let Summary { vendor, usage, client, .. } = summary;
    pairs.put("cat", MAX, "usage");
    pairs.put_some("src", MAX, client.id.parse::<IpAddr>().ok());
    pairs.put("srcBytes", MAX, usage.sent_bytes);
    pairs.put("dstBytes", MAX, usage.received_bytes);
    pairs.put("client", MAX, &client.id);
    pairs.put("clientKind", MAX, client.kind.name());
    pairs.put("groupName", MAX, &summary.group);
    pairs.put("vendor", MAX, &vendor.id);
    pairs.put("vendorName", MAX, &vendor.name);
    pairs.put_some("vendorCategory", MAX, vendor.category.as_deref());
    pairs.put_some("tenant", MAX, summary.tenant.as_deref());
    pairs.put("role", MAX, summary.role);
    pairs.put("relation", MAX, summary.relation.name());
    pairs.put("state", MAX, summary.state);
    pairs.put_some("policy", MAX, summary.rule.as_deref());
    pairs.put("engagement", MAX, usage.engagement.name());
    pairs.put("hour", MAX, millis(usage.hour));
    pairs.put("flows", MAX, usage.flows);
    pairs.put("sessions", MAX, usage.sessions);
    pairs.put("activeMinutes", MAX, usage.active_minutes);
    pairs.put("deployment", MAX, usage.deployment.name());
    pairs.put("firstSeen", MAX, millis(usage.first_seen));
    pairs.put("lastSeen", MAX, millis(usage.last_seen));
}

fn lasting(pairs: &mut Pairs, about: &Lasting) {
    match about {
        Lasting::Silence { silence, .. } => {
            pairs.put("silenceDays", MAX, silence.days);
            pairs.put("silenceKnownDays", MAX, silence.known_days);
            pairs.put("silenceClientsADay", MAX, silence.clients_a_day);
            pairs.put("silenceLastUsed", MAX, silence.last_used);
        }
        Lasting::Loss { loss } => {
            pairs.put("lossCause", MAX, loss.cause);
            pairs.put("lossPart", MAX, loss.part);
            pairs.put("lossWhole", MAX, loss.whole);
            pairs.put("lossMinutes", MAX, loss.minutes);
            pairs.put("lossThresholdPercent", MAX, loss.threshold_percent);
        }
    }
}

const fn millis(time: Time) -> u64 {
    time.nanos() / 1_000_000
}

/// `\` is doubled and line ends are written as `\n` and `\r`; the format itself has no such rule.
fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().map(tame) {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out
}
