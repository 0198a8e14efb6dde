//! Flows without a name of their own: what DNS, memory and the range of an address say of them, in this order.

use super::Collector;
use crate::decode::Transport;
use crate::pipeline::judge::{Resolved, evidence, judge, resolve};
use crate::pipeline::name::Via;
use crate::pipeline::record::Record;
use crate::pipeline::update::Sight;
use crate::signature::{Confidence, Verdict};
use crate::time::Time;

impl Collector {
    /// Asks all three about a flow that began at `start`.
    pub(super) fn name_by_others(
        &mut self,
        record: &mut Record,
        sight: Sight,
        start: Time,
        at: Time,
    ) {
        if record.is_named() || self.is_passed_on(record.ends) {
            return;
        }
        self.name_by_dns(record, start, at);
        self.name_by_memory(record, sight, at);
        self.name_by_address(record, at);
    }

    /// A flow without a name of its own has the one under which its client, or else anybody, asked for its server.
    fn name_by_dns(&mut self, record: &mut Record, start: Time, at: Time) {
        if !record.wants_dns() {
            return;
        }
        let ends = record.ends;
        let server = ends.server.ip.ip();
        let client = ends.client.ip.ip();
        let candidates = self.names.of_flow(client, server, start);
        let Some(candidates) = candidates else { return };
        match resolve(&self.now_in_force, &self.names, candidates, at) {
            Resolved::Decided(candidate, judged) => {
                let name = record.name(Via::Dns, &candidate.name, self.keep_lines);
                if self.keep_lines {
                    record.led_by(evidence(&candidate, server));
                }
                self.named(record, ends, name, judged, at);
            }
            Resolved::Ambiguous(names) => {
                record.is_shared = true;
                if self.keep_lines {
                    record.may_be(names);
                }
            }
        }
    }

    /// A flow older than the capture, which nothing else names, is what earlier flows between its ends were.
    fn name_by_memory(&mut self, record: &mut Record, sight: Sight, at: Time) {
        let ends = record.ends;
        if record.is_named() || sight != Sight::MidStream || ends.transport != Transport::Tcp {
            return;
        }
        let Some(name) = self.remembered.name(self.place(ends), at) else { return };
        // Another catalogue or policy may know the name no longer.
        let Some(mut judged) = judge(&self.now_in_force, &self.names, &name, at) else { return };
        judged.verdict.confidence = Confidence::Low;
        let name = record.name(Via::Remembered, &name, self.keep_lines);
        self.named(record, ends, name, Some(judged), at);
        self.remembered.used();
    }

    /// A flow that nothing else names is whose the range of its server's address is.
    fn name_by_address(&mut self, record: &mut Record, at: Time) {
        if !record.wants_address() {
            return;
        }
        let ends = record.ends;
        let server = ends.server.ip.ip();
        let Some(verdict) = self.now_in_force.catalog.address(server) else { return };
        let name = record.name(Via::Address, &server.to_string(), self.keep_lines);
        let verdict = Verdict { ambiguous: true, ..verdict };
        self.claimed(record, ends, name, Some(verdict), at);
    }
}
