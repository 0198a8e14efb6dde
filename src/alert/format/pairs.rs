//! An event as a list of (key, value) in text: what the two pair formats, CEF and LEEF, have in common.

use crate::alert::event::{Event, What, cut};
use crate::alert::finding::Severity;

/// Pairs in the order in which they are shown; a value that is missing or empty leaves no pair.
#[derive(Default)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl Pairs {
    /// Adds a pair, cut to `max` octets.
    pub(super) fn put(&mut self, key: &str, max: usize, value: impl ToString) {
        let value = value.to_string();
        if !value.is_empty() {
            self.0.push((key.into(), cut(&value, max).into()));
        }
    }

    pub(super) fn put_some(&mut self, key: &str, max: usize, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.put(key, max, value);
        }
    }
}

/// Words that stand alone in the header: id of what happened, and its name.
pub(super) fn heading(event: &Event) -> (&'static str, &'static str) {
    match &event.what {
        What::Finding(report) => (report.finding.id, report.finding.title),
        What::Heartbeat { .. } => ("heartbeat", "Sensor is alive"),
        What::Audit { audit } => ("audit", audit.action),
        What::Usage(_) => ("usage", "Hourly usage"),
    }
}

/// 0 to 10: low to 3, medium to 6, high to 8, very high above.
pub(super) const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 3,
        Severity::Medium => 6,
        Severity::High => 8,
    }
}

/// Control characters that the format cannot show become blanks; `\n`, `\r` and `\\` are the business of its escapes.
pub(super) fn tame(c: char) -> char {
    if c.is_control() && !matches!(c, '\n' | '\r') { ' ' } else { c }
}
