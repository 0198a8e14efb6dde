//! What leaves a trace: an audit event to the sinks by way of the store, and a line in a file beside it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::Failure;
use crate::alert::event::Audit;
use crate::alert::sink::Configured;
use crate::alert::{Sensor, audit_letters};
use crate::config::Config;
use crate::pipeline::Rules;
use crate::store::{Batch, Store};

/// Tells every sink, with the next look of the sensor or at its next start, and `audit.jsonl` in the directory of the store.
///
/// # Errors
/// The trace could not be left: then what it is about should not be done, or told.
pub fn trace(
    config: &Config,
    action: &'static str,
    detail: &str,
    store: &mut Store,
) -> Result<(), Failure> {
    let rules = Rules::load(config)?;
    let sinks = Configured::read(&config.sink, &config.file, &config.text)?;
    let sensor = Sensor {
        name: config.sensor.name().into(),
        site: config.sensor.site.as_deref().map(Into::into),
        version: env!("CARGO_PKG_VERSION").into(),
        catalog: rules.catalog.version().into(),
        policy: rules.policy_version.as_str().into(),
    };
    let audit = Audit { action, outcome: "success", detail: detail.into() };
    let (event, letters) = audit_letters(&sinks, &sensor, audit);
    store
        .commit(&[Batch { letters, ..Batch::default() }])
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    let path = config.store.directory.join("audit.jsonl");
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let line = serde_json::to_string(&event).map_err(std::io::Error::other)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    tracing::warn!("{action}: {detail}");
    Ok(())
}
