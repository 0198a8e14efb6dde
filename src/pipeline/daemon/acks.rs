//! Acknowledgments that `saastap case ack` leaves in the store: looked for once a second, taken over with their audit event.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::alert::{Cases, LEFT, Outbox};
use crate::store::{Windows, Writer};

/// One question to the store's thread at a time, so that its answer never shows what is already on its way there.
pub struct Acks {
    asked: bool,
    sender: Sender<Windows>,
    found: Receiver<Windows>,
}

impl Default for Acks {
    fn default() -> Self {
        let (sender, found) = channel();
        Self { asked: false, sender, found }
    }
}

impl Acks {
    /// Asks the store, unless an answer is still to come.
    pub fn ask(&mut self, writer: &Writer) {
        if self.asked {
            return;
        }
        let sender = self.sender.clone();
        let reply = Box::new(move |rows: Result<Windows, _>| {
            // A store that cannot be read says so when it is next written; the rows stay.
            let _ = sender.send(rows.unwrap_or_default());
        });
        self.asked = writer.windows_under(LEFT, AT_ONCE, reply);
    }

    /// Takes over what was found.
    pub fn take(&mut self, cases: &mut Cases, outbox: &Outbox) {
        let Ok(rows) = self.found.try_recv() else { return };
        self.asked = false;
        for (audit, rows) in cases.acknowledge(&rows) {
            tracing::info!("{}: {}", audit.action, audit.detail);
            outbox.audit(cases.sensor(), audit, rows);
        }
    }
}

/// People leave one at a time; more wait for the next second.
const AT_ONCE: u32 = 100;
