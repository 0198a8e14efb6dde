//! Which events a sink wants.

use super::Fields;
use crate::alert::event::{Event, What};
use crate::alert::finding::{FINDINGS, Severity};
use crate::fault::Fault;
use crate::policy::State;

/// Keys of every sink: `findings` (all), `min_severity` (informational), `states` (all), `heartbeat` and `audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Empty: all.
    findings: Vec<String>,
    least: Severity,
    /// Empty: all.
    states: Vec<String>,
    heartbeat: bool,
    audit: bool,
}

impl Filter {
    /// `extras`: whether heartbeat and audit are wanted unless the file says otherwise.
    pub(super) fn read_keys(fields: &mut Fields<'_>, extras: bool) -> Result<Self, Fault> {
        let findings = FINDINGS.iter().map(|f| f.id);
        let states = State::ALL.iter().map(|s| s.name());
        let severities = SEVERITIES.iter().map(|s| s.name());
        let least = fields.text_of("min_severity", severities)?;
        let least = SEVERITIES.into_iter().find(|s| Some(s.name()) == least.as_deref());
        Ok(Self {
            findings: fields.texts_of("findings", findings)?,
            least: least.unwrap_or(Severity::Informational),
            states: fields.texts_of("states", states)?,
            heartbeat: fields.flag_or("heartbeat", extras)?,
            audit: fields.flag_or("audit", extras)?,
        })
    }

    pub fn wants(&self, event: &Event) -> bool {
        let any = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
        match &event.what {
            What::Finding(report) => {
                event.severity >= self.least
                    && any(&self.findings, report.finding.id)
                    && any(&self.states, report.state.name())
            }
            What::Heartbeat { .. } => self.heartbeat,
            What::Audit { .. } => self.audit,
        }
    }
}

const SEVERITIES: [Severity; 4] =
    [Severity::Informational, Severity::Low, Severity::Medium, Severity::High];
