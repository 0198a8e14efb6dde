//! The files of leases while the daemon runs: read again when they change, the rows before kept where they are refused.

use std::sync::Arc;

use crate::count::Cells;
use crate::identity::lease_file::{Counter, Options, Stamps};
use crate::pipeline::rules::{InForce, Rules};

/// What is looked for, and how it lay there when it was last read.
pub struct Followed {
    options: Options,
    tried: Stamps,
    cells: Arc<Cells<Counter>>,
}

impl Followed {
    pub fn new(options: &Options, rules: &Rules) -> Self {
        let cells = Cells::new();
        let mut followed = Self { options: Options::default(), tried: Stamps::default(), cells };
        followed.taken_up(options, rules);
        followed
    }

    pub const fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// The files came into force with a configuration.
    pub fn taken_up(&mut self, options: &Options, rules: &Rules) {
        self.options = options.clone();
        self.tried = rules.leases.stamps().clone();
        if !options.files.is_empty() {
            self.cells.add(Counter::Read, 1);
        }
        self.cells.set(Counter::Rows, rules.leases.len() as u64);
        self.cells.set(Counter::Fresh, 1);
    }

    /// Reads the files again if they have changed, and brings them into force.
    pub fn follow(&mut self, in_force: &InForce) {
        let now = Stamps::of(&self.options);
        if now == self.tried {
            return;
        }
        self.tried = now;
        self.cells.add(Counter::Read, 1);
        match in_force.load().with_leases(&self.options) {
            Ok(rules) => {
                let rows = rules.leases.len();
                self.cells.set(Counter::Rows, rows as u64);
                self.cells.set(Counter::Fresh, 1);
                in_force.replace(rules);
                tracing::info!(rows, "files of leases read again");
            }
            Err(refused) => {
                self.cells.add(refused.counter(), 1);
                self.cells.set(Counter::Fresh, 0);
                let faults = refused.faults();
                tracing::error!(
                    "files of leases not taken up, the old rows stay in force: {faults}"
                );
            }
        }
    }
}
