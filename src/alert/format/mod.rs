//! Formats: how an event becomes text; one file each, and the table that lists them. `config/siem/FIELDS.md` says what each
//! field of each format means, and a test holds it against what is rendered.

mod cef;
mod ecs;
pub mod json;
mod leef;
mod ocsf;
mod pairs;

use std::sync::Arc;

use serde_json::Value;

use super::event::{About, Event, Report, UsageFacts, What, cut};
use super::lasting::Lasting;
use super::summary::Summary;

/// One row of [`FORMATS`].
#[derive(Debug)]
pub struct Format {
    /// As the configuration names it.
    pub name: &'static str,
    /// MIME type of one event.
    pub media: &'static str,
    /// Octets that every event fits, once its lists are gone and its words are cut.
    pub least: usize,
    /// The event in one line of at most so many octets, but never less than `least`: lists are cut first.
    pub render: fn(&Event, usize) -> String,
}

pub static FORMATS: &[Format] =
    &[json::FORMAT, ecs::FORMAT, ocsf::FORMAT, cef::FORMAT, leef::FORMAT];

impl Format {
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|f| f.name == name)
    }

    /// Whether a message is a JSON object.
    pub fn is_json(&self) -> bool {
        self.media == JSON
    }
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What `to_text` makes of the event, with less and less of its lists and words until it has at most `max` octets.
fn fit(event: &Event, max: usize, to_text: impl Fn(&Event) -> String) -> String {
    let text = to_text(event);
    if text.len() <= max {
        return text;
    }
    let mut short = event.clone();
    short.truncated = true;
    loop {
        let more = shorten(&mut short);
        let text = to_text(&short);
        if text.len() <= max || !more {
            return text;
        }
    }
}

/// Takes one thing away, the least telling first; false where nothing is left to take.
fn shorten(event: &mut Event) -> bool {
    match &mut event.what {
        What::Finding(report) => {
            if shorten_report(report) {
                return true;
            }
        }
        What::Heartbeat { values } => {
            if values.pop_last().is_some() {
                return true;
            }
        }
        What::Audit { audit } => audit.detail = (&*word(&audit.detail)).into(),
        What::Usage(summary) => {
            let Summary { vendor, client, tenant, group, rule, .. } = &mut **summary;
            for text in [group, &mut vendor.name, &mut vendor.id, &mut client.id] {
                *text = word(text);
            }
            for text in [tenant, rule, &mut vendor.category].into_iter().flatten() {
                *text = word(text);
            }
        }
    }
    event.sensor.name = word(&event.sensor.name);
    event.sensor.site = event.sensor.site.as_deref().map(word);
    false
}

/// As [`shorten`]; where it has no list to take from, its words are cut.
fn shorten_report(report: &mut Report) -> bool {
    // Who knows of the case can be asked of the sensor; all else would be lost.
    let last = |report: &mut Report| report.acknowledged = None;
    let vendor = match &mut report.about {
        About::Usage(usage) => {
            if shorten_lists(usage) {
                return true;
            }
            shorten_words(usage);
            &mut usage.vendor
        }
        About::Lasting(Lasting::Silence { vendor, .. }) => vendor,
        About::Lasting(Lasting::Loss { .. }) => {
            last(report);
            return false;
        }
    };
    for text in [&mut vendor.name, &mut vendor.id].into_iter().chain(&mut vendor.category) {
        *text = word(text);
    }
    last(report);
    false
}

fn shorten_lists(usage: &mut UsageFacts) -> bool {
    if usage.evidence.len() > 1 || usage.clients.listed.is_empty() {
        usage.evidence.pop().is_some()
    } else {
        usage.clients.listed.pop().is_some()
    }
}

fn shorten_words(usage: &mut UsageFacts) {
    usage.group = word(&usage.group);
    for text in [&mut usage.tenant, &mut usage.rule].into_iter().flatten() {
        *text = word(text);
    }
    usage.client.id = word(&usage.client.id);
    if let Some(flow) = &mut usage.flow {
        flow.name = (&*word(&flow.name)).into();
    }
}

/// The beginning of a word that somebody else chose, in characters that no format writes in six octets.
fn word(text: &str) -> Arc<str> {
    cut(text, MAX_WORD)
        .chars()
        .map(|c| if c.is_control() { '_' } else { c })
        .collect::<String>()
        .into()
}

/// What is left of a word that somebody else chose when all lists are gone and the message is still too long.
const MAX_WORD: usize = 48;

/// In one line of JSON.
fn to_line(value: &Value) -> String {
    value.to_string()
}

/// The value without nulls, empty texts, lists and objects; `None` where nothing is left.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(all) => {
            let all: Vec<Value> = all.into_iter().filter_map(pruned).collect();
            (!all.is_empty()).then_some(Value::Array(all))
        }
        Value::Object(all) => {
            let all: serde_json::Map<_, _> =
                all.into_iter().filter_map(|(key, value)| Some((key, pruned(value)?))).collect();
            (!all.is_empty()).then_some(Value::Object(all))
        }
        value => Some(value),
    }
}

#[cfg(test)]
mod tests;
