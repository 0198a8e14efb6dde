//! Which events a sink wants.

use super::{Fields, Kind};
use crate::alert::event::{Event, What};
use crate::alert::finding::{FINDINGS, Severity};
use crate::fault::Fault;
use crate::policy::State;

/// Keys of every sink: `findings` (all), `min_severity` (informational), `states` (all), `heartbeat`, `audit`, and `usage` (none).
/// What is about the sensor has no state, and passes whatever the states are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Empty: all.
    findings: Vec<String>,
    least: Severity,
    /// Empty: all.
    states: Vec<String>,
    heartbeat: bool,
    audit: bool,
    /// Of each hour.
    usage: bool,
}

impl Filter {
    /// Those of a sink of this kind.
    pub(super) fn read_keys(fields: &mut Fields<'_>, kind: &Kind) -> Result<Self, Fault> {
        let extras = kind.extras;
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
            usage: Self::read_usage(fields, kind)?,
        })
    }

    pub fn wants(&self, event: &Event) -> bool {
        let any = |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
        match &event.what {
            What::Finding(report) => {
                event.severity >= self.least
                    && any(&self.findings, report.finding.id)
                    && report.state().is_none_or(|state| any(&self.states, state.name()))
            }
            What::Heartbeat { .. } => self.heartbeat,
            What::Audit { .. } => self.audit,
            What::Usage(summary) => self.usage && any(&self.states, summary.state.name()),
        }
    }

    /// Whether summaries of each hour are wanted.
    pub const fn wants_usage(&self) -> bool {
        self.usage
    }

    fn read_usage(fields: &mut Fields<'_>, kind: &Kind) -> Result<bool, Fault> {
        let asked = fields.text_of("usage", std::iter::once("hourly"))?.is_some();
        if asked && !kind.summaries {
            let what = format!("a sink of kind `{}` takes no usage summaries", kind.name);
            return Err(fields.fault("usage", what, "remove `usage`, or give it to another sink"));
        }
        Ok(asked)
    }
}

const SEVERITIES: [Severity; 4] =
    [Severity::Informational, Severity::Low, Severity::Medium, Severity::High];
