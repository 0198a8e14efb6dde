//! Alertmanager v2: an alert for each open case, sent again while it is open and resolved when it closes.
//!
//! Prometheus with the rules that come with saastap is the main road; this one shows single cases.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::batch::Batch;
use super::http::{Client, Verdict, content_type};
use super::secret::Secret;
use super::{Built, Envelope, Fields, Kind, Sink, Soon, Written};
use crate::alert::event::{Action, Event, Report, What};
use crate::alert::finding::Life;
use crate::alert::format::Format;
use crate::alert::lasting::Lasting;
use crate::alert::{FINDINGS, Finding};
use crate::fault::Fault;
use crate::store::Stored;
use crate::time::Time;

pub(super) const KIND: Kind = Kind {
    own_format: Some(&FORMAT),
    // An alert that always fires would page somebody: it is for those who ask for it.
    extras: false,
    summaries: false,
    ..Kind::new("alertmanager", build)
};

static FORMAT: Format =
    Format { name: "alertmanager", media: "application/json", least: 4_096, render };

const ALERTS: &str = "/api/v2/alerts";
/// An alert that is not sent again ends by itself after so long: four rounds of what the sensor sends again each minute.
const LIVES: Duration = Duration::from_secs(240);
/// What is said once and has no case that closes.
const LIVES_ONCE: Duration = Duration::from_secs(86_400);
/// A heartbeat comes each five minutes.
const LIVES_BEAT: Duration = Duration::from_secs(900);
/// So long the end of an alert is sent again: a receiver may have been away.
const RESOLVED: Duration = Duration::from_secs(300);

/// Keys: those of [`Client`]; `token_file` or `token_env` for a bearer token.
fn build(fields: &mut Fields<'_>, _: &'static Format) -> Result<Built, Fault> {
    let client = Client::read_keys(fields, ALERTS)?;
    let token = Secret::read_key(fields, "token_file", "token_env")?;
    let clear = token.is_some() && !client.is_secure();
    let note = clear.then_some("its token goes over the network in clear text; use https");
    let sink = Alerts { client, token, resolved: Vec::new(), batch: Batch::default() };
    Ok(Built { note, standing: true, ..Built::new(Box::new(Rendered), Box::new(sink)) })
}

struct Rendered;

impl Envelope for Rendered {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8> {
        (format.render)(event, usize::MAX).into_bytes()
    }
}

/// The alert without its end, which is reckoned when it is sent, and how that is done.
fn render(event: &Event, _: usize) -> String {
    let (labels, annotations, starts, ends) = match &event.what {
        What::Finding(report) => {
            let once = Finding::by_id(report.finding.id).is_some_and(|f| f.life == Life::Once);
            let ends = match report.finding.action {
                Action::Close => END_NOW,
                _ if once => END_ONCE,
                _ => END_LATER,
            };
            (labels(event, report), annotations(event, report), report.opened, ends)
        }
        What::Heartbeat { .. } => {
            let labels = json!({ "alertname": "SaastapHeartbeat", "sensor": event.sensor.name });
            (labels, json!({ "summary": event.summary() }), event.time, END_BEAT)
        }
        What::Audit { audit } => {
            let labels = json!({
                "alertname": "SaastapAudit",
                "sensor": event.sensor.name,
                "action": audit.action,
                "outcome": audit.outcome,
            });
            let annotations = json!({ "summary": event.summary(), "detail": audit.detail });
            (labels, annotations, event.time, END_LATER)
        }
        // None reaches it: the configuration is refused.
        What::Usage(_) => return String::new(),
    };
    json!({ "labels": labels, "annotations": annotations, "startsAt": starts, ENDS: ends })
        .to_string()
}

/// Key of what [`render`] says of the end, and its words.
const ENDS: &str = "ends";
const END_NOW: &str = "now";
const END_LATER: &str = "later";
const END_ONCE: &str = "once";
const END_BEAT: &str = "beat";

/// The identity of the alert: bounded, and the same as long as the case lives. What may change is an annotation.
fn labels(event: &Event, report: &Report) -> Value {
    let mut labels = json!({
        "alertname": camel(report.finding.id),
        "severity": event.severity.name(),
        "finding": report.finding.id,
        "case": report.finding.uid,
        "sensor": event.sensor.name,
    });
    let more = [
        ("vendor", report.vendor().map(|vendor| &*vendor.id)),
        ("group", report.usage().map(|usage| &*usage.group)),
        ("cause", report.lasting().and_then(Lasting::loss).map(|loss| loss.cause.name())),
    ];
    for (name, value) in more {
        if let (Some(labels), Some(value)) = (labels.as_object_mut(), value) {
            labels.insert(name.into(), value.into());
        }
    }
    labels
}

fn annotations(event: &Event, report: &Report) -> Value {
    let definition = FINDINGS.iter().find(|f| f.id == report.finding.id).map(|f| f.definition);
    let usage = report.usage();
    let flow = usage.and_then(|usage| usage.flow.as_ref());
    let all = [
        ("summary", Some(event.summary())),
        ("description", definition.map(str::to_owned)),
        ("event_id", Some(event.id.to_string())),
        ("tenant", usage.and_then(|u| u.tenant.as_deref()).map(str::to_owned)),
        ("role", usage.map(|u| u.role.to_string())),
        ("relation", usage.map(|u| u.relation.name().to_owned())),
        ("state", report.state().map(|state| state.to_string())),
        ("rule", usage.and_then(|u| u.rule.as_deref()).map(str::to_owned)),
        ("threshold", Some(report.threshold.to_string())),
        ("client", usage.map(|u| u.client.id.to_string())),
        ("clients", usage.map(|u| u.clients.count.to_string())),
        ("name", flow.map(|f| f.name.to_string())),
        ("attack", Some(report.finding.attack.join(","))),
        ("policy", Some(event.sensor.policy.to_string())),
    ];
    let told = all.into_iter().filter_map(|(key, value)| Some((key, value?)));
    told.filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), Value::String(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// `SaastapUnsanctionedUse` of `unsanctioned_use`.
fn camel(id: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    id.split('_').fold("Saastap".to_owned(), |name, part| name + &word(part))
}

struct Alerts {
    client: Client,
    token: Option<Secret>,
    /// Ended alerts as they were sent, and until when they are sent again.
    resolved: Vec<(Value, Instant)>,
    batch: Batch,
}

impl Sink for Alerts {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let count = self.batch.most(letters.len());
            let now = now();
            let payloads = letters.iter().take(count).map(|letter| &*letter.payload);
            let alerts: Vec<(Value, bool)> = payloads.filter_map(|p| alert(p, now)).collect();
            let body: Vec<Value> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
            let reply = self.send(body).await?;
            match reply.verdict() {
                Verdict::Taken => {
                    let until = Instant::now() + RESOLVED;
                    let ended = alerts.into_iter().filter(|(_, ended)| *ended);
                    self.resolved.extend(ended.map(|(alert, _)| (alert, until)));
                    Ok(self.batch.taken(count))
                }
                Verdict::Refused => Ok(self.batch.refused(count, reply.told())),
                Verdict::Again => Err(reply.error()),
            }
        })
    }

    fn stand<'a>(&'a mut self, standing: &'a [Vec<u8>]) -> Soon<'a, io::Result<()>> {
        Box::pin(async move {
            let at = Instant::now();
            self.resolved.retain(|(_, until)| *until > at);
            let now = now();
            let open = standing.iter().filter_map(|payload| Some(alert(payload, now)?.0));
            let all: Vec<Value> =
                open.chain(self.resolved.iter().map(|(alert, _)| alert.clone())).collect();
            for some in all.chunks(MAX_ALERTS) {
                let reply = self.send(some.to_vec()).await?;
                if matches!(reply.verdict(), Verdict::Again) {
                    return Err(reply.error());
                }
            }
            Ok(())
        })
    }
}

/// Alerts of one request.
const MAX_ALERTS: usize = 256;

impl Alerts {
    async fn send(&mut self, alerts: Vec<Value>) -> io::Result<super::http::Reply> {
        let mut headers = vec![content_type("application/json")];
        if let Some(token) = &self.token {
            headers.push((AUTHORIZATION, format!("Bearer {}", token.reveal()?.plain())));
        }
        let path = self.client.path().to_owned();
        self.client.post(&path, &headers, Value::Array(alerts).to_string().into_bytes()).await
    }
}

/// The alert of a message as it is sent at `now`, and whether it has ended.
fn alert(payload: &[u8], now: Time) -> Option<(Value, bool)> {
    let mut value: Value = serde_json::from_slice(payload).ok()?;
    let alert = value.as_object_mut()?;
    let ends = alert.remove(ENDS)?;
    let lives = match ends.as_str()? {
        END_NOW => Duration::ZERO,
        END_ONCE => LIVES_ONCE,
        END_BEAT => LIVES_BEAT,
        _ => LIVES,
    };
    alert.insert("endsAt".into(), now.plus(lives).to_string().into());
    Some((value, lives.is_zero()))
}

// How long an alert fires is a matter of the receiver's clock, not of the packets.
#[allow(clippy::disallowed_methods)]
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::case::tests::{lasting, raised};
    use crate::alert::lasting::tests::{loss, silence};

    #[test]
    fn labels_are_bounded_and_an_end_is_reckoned_when_it_is_sent() {
        let mut event = raised(5, 20).event;
        let now = Time::from_secs(1_800_000_000);
        let (sent, ended) = alert(render(&event, usize::MAX).as_bytes(), now).unwrap();
        let labels: Vec<_> = sent["labels"].as_object().unwrap().keys().collect();
        assert_eq!(
            labels,
            ["alertname", "case", "finding", "group", "sensor", "severity", "vendor"]
        );
        assert_eq!(sent["labels"]["alertname"], "SaastapUnsanctionedUse");
        assert_eq!(sent["endsAt"], now.plus(LIVES).to_string());
        assert!(!ended && sent.get(ENDS).is_none());
        let What::Finding(report) = &mut event.what else { panic!() };
        report.finding.action = Action::Close;
        let (sent, ended) = alert(render(&event, usize::MAX).as_bytes(), now).unwrap();
        assert!(ended);
        assert_eq!(sent["endsAt"], now.to_string());
    }

    #[test]
    fn what_is_about_the_sensor_has_a_cause_and_no_vendor() {
        let now = Time::from_secs(1_800_000_000);
        let told = |about| {
            let event = lasting(about).event;
            alert(render(&event, usize::MAX).as_bytes(), now).unwrap().0
        };
        let (loss, silence) = (told(loss()), told(silence()));
        let labels: Vec<_> = loss["labels"].as_object().unwrap().keys().collect();
        assert_eq!(labels, ["alertname", "case", "cause", "finding", "sensor", "severity"]);
        assert_eq!(loss["labels"]["cause"], "one_way");
        assert!(loss["annotations"].get("client").is_none());
        assert_eq!(silence["labels"]["vendor"], "zendesk");
        assert_eq!(silence["annotations"]["state"], "sanctioned");
    }
}
