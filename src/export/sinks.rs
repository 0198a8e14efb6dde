//! Sinks as metrics: their names come from the configuration, so their series are made at run time.

use std::sync::{Arc, Mutex};

use super::metrics::{Provider, Sample, locked};
use crate::alert::SinkStats;
use crate::count::Kind;

/// The latest state of all sinks: set by whoever owns the outbox, read when scraped.
#[derive(Default)]
pub struct Sinks(Mutex<Vec<SinkStats>>);

impl Sinks {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn set(&self, sinks: Vec<SinkStats>) {
        *locked(&self.0) = sinks;
    }
}

impl Provider for Sinks {
    fn samples(&self, out: &mut Vec<Sample>) {
        for sink in locked(&self.0).iter() {
            let mut push = |name, help, kind, value: u64| {
                let labels = vec![("sink", sink.name.clone())];
                out.push(Sample { name, help, kind, labels, value: value as f64 });
            };
            push(
                "saastap_sink_up",
                "Whether the last attempt to deliver went well.",
                Kind::Gauge,
                u64::from(sink.up),
            );
            push(
                "saastap_sink_delivered_messages_total",
                "Messages that the sink acknowledged.",
                Kind::Counter,
                sink.delivered,
            );
            push(
                "saastap_sink_failed_attempts_total",
                "Attempts to deliver that broke.",
                Kind::Counter,
                sink.failures,
            );
            push(
                "saastap_sink_dropped_messages_total",
                "Messages given up because they were too many or too old.",
                Kind::Counter,
                sink.given_up,
            );
            push(
                "saastap_sink_refused_messages_total",
                "Messages that the sink refused for good; they are set apart until the next start.",
                Kind::Counter,
                sink.refused,
            );
            push(
                "saastap_sink_waiting_messages",
                "Messages that wait for the sink.",
                Kind::Gauge,
                sink.waiting,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sink_has_its_series() {
        let sinks = Sinks::new();
        sinks.set(vec![
            SinkStats { name: "siem".into(), up: true, delivered: 7, ..SinkStats::default() },
            SinkStats { name: "file".into(), waiting: 3, ..SinkStats::default() },
        ]);
        let mut out = Vec::new();
        sinks.samples(&mut out);
        let value = |name: &str, sink: &str| {
            let found =
                out.iter().find(|s| s.name == name && s.labels == [("sink", sink.to_owned())]);
            found.map(|s| s.value)
        };
        assert_eq!(value("saastap_sink_up", "siem"), Some(1.0));
        assert_eq!(value("saastap_sink_up", "file"), Some(0.0));
        assert_eq!(value("saastap_sink_delivered_messages_total", "siem"), Some(7.0));
        assert_eq!(value("saastap_sink_waiting_messages", "file"), Some(3.0));
    }
}
