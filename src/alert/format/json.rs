//! JSON in one line: flat snake_case keys, with nested objects where several belong together.
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `time` | string | RFC 3339, UTC: packet time of what is told |
//! | `event_id` | string | UUID; the same message sent twice has the same |
//! | `severity` | string | `informational`, `low`, `medium`, `high` |
//! | `sensor` | object | `name`, `site`, `version`, `catalog`, `policy` |
//! | `event_kind` | string | `finding` or `heartbeat` |
//! | `finding` | object | `id`, `uid` (of the case), `title`, `action` (`create`, `update`, `close`), `attack` (list) |
//! | `vendor` | object | `id`, `name`, `category` |
//! | `tenant` | string, null | the instance |
//! | `role` | string | of the last contact |
//! | `relation` | string | `own`, `foreign`, `unknown` |
//! | `group` | string | of the clients |
//! | `state` | string | what policy says |
//! | `rule` | string, null | the rule that said it |
//! | `threshold` | string | what decided that it is told |
//! | `scope` | string | `first_seen` only: `organisation` or `group` |
//! | `client` | object | of the last contact: `id`, `kind` |
//! | `engagement` | object | of that client: `level`, `active_minutes_today`, `sent_bytes_today` |
//! | `clients` | object | of the case: `count`, `exact`, `listed` (at most 20) |
//! | `sightings` | number | reports of flows in the case |
//! | `opened` | string | when the case was opened |
//! | `last_seen` | string | its last contact |
//! | `evidence` | list | at most 5 flows: `time`, `name`, `via`, and by privacy `client`, `server`, `community_id` |
//! | `values` | object | `heartbeat` only: counters of the sensor |
//! | `truncated` | true | only where lists were shortened |

use super::Format;
use crate::alert::event::{Event, What, cut};

pub const FORMAT: Format = Format { name: "json", render };

/// At most `max` octets, and JSON whatever was cut.
pub fn render(event: &Event, max: usize) -> String {
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
            if report.evidence.len() > 1 || report.clients.listed.is_empty() {
                if report.evidence.pop().is_some() {
                    return true;
                }
            } else if report.clients.listed.pop().is_some() {
                return true;
            }
            for text in [&mut report.group, &mut report.vendor.name, &mut report.vendor.id] {
                *text = cut(text, MAX_WORD).into();
            }
            let words = [&mut report.tenant, &mut report.rule, &mut report.vendor.category];
            for text in words.into_iter().flatten() {
                *text = cut(text, MAX_WORD).into();
            }
            report.client.id = cut(&report.client.id, MAX_WORD).into();
        }
        What::Heartbeat { values } => return values.pop_last().is_some(),
    }
    event.sensor.name = cut(&event.sensor.name, MAX_WORD).into();
    event.sensor.site = event.sensor.site.as_deref().map(|site| cut(site, MAX_WORD).into());
    false
}

/// What is left of a word that somebody else chose when all lists are gone and the message is still too long.
const MAX_WORD: usize = 64;

fn to_text(event: &Event) -> String {
    // Nothing in an event can fail to serialise: its only map has text for keys.
    serde_json::to_string(event).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::alert::case::tests::raised;
    use crate::alert::event::{Id, Sensor};
    use crate::alert::finding::Severity;
    use crate::time::Time;

    fn keys(event: &Event) -> BTreeSet<String> {
        let value: Value = serde_json::from_str(&render(event, usize::MAX)).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    fn heartbeat() -> Event {
        Event {
            time: Time::from_secs(1),
            id: Id::of(&["x"]),
            severity: Severity::Informational,
            sensor: Sensor::default(),
            what: What::Heartbeat { values: [("saastap_frames_total", 7)].into() },
            truncated: false,
        }
    }

    #[test]
    fn the_table_above_names_every_field() {
        let table: BTreeSet<String> = include_str!("json.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next())
            .map(String::from)
            .collect();
        let mut told = keys(&raised(5, 20).event);
        told.extend(keys(&heartbeat()));
        told.extend(["scope".into(), "truncated".into()]);
        assert_eq!(told, table);
    }

    #[test]
    fn fits_every_bound_and_stays_json() {
        let event = raised(5, 20).event;
        let whole = render(&event, usize::MAX);
        assert!(!whole.contains("truncated"));
        assert!(whole.is_ascii() && !whole.contains('\n'));
        let least = render(&event, 0).len();
        for max in least..=whole.len() {
            let text = render(&event, max);
            assert!(text.len() <= max, "{max}");
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["finding"]["id"], "unsanctioned_use");
            assert_eq!(value["clients"]["count"], 20, "the count is never cut");
            assert_eq!(value["truncated"].is_null(), text == whole);
        }
    }
}
