//! The flow log: one line of JSON for each flow that ends, written by a thread of its own.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::pipeline::record::{FlowLine, write_ascii};

/// Batches of lines that wait for the disk. A disk that is slower than the flows holds the collector up, and with it the
/// rings, where flows keep what they have to tell.
const WAITING: usize = 256;

pub struct FlowLog {
    lines: SyncSender<Vec<FlowLine>>,
    thread: JoinHandle<io::Result<()>>,
}

impl FlowLog {
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::create(&path).map_err(|error| {
            let mend = "name a file that may be written with --flows";
            io::Error::other(format!("{}: {error}\n  mend: {mend}", path.display()))
        })?;
        let (lines, received) = sync_channel::<Vec<FlowLine>>(WAITING);
        let thread = thread::Builder::new().name("flow-log".into()).spawn(move || {
            let mut out = BufWriter::new(file);
            for batch in received {
                for line in &batch {
                    write_ascii(&mut out, line)?;
                }
                out.flush()?;
            }
            out.flush()
        })?;
        Ok(Self { lines, thread })
    }

    pub fn write(&self, lines: Vec<FlowLine>) {
        if !lines.is_empty() && self.lines.send(lines).is_err() {
            // The thread ended by an error, which `close` tells.
        }
    }

    pub fn close(self) -> io::Result<()> {
        drop(self.lines);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the flow log's thread failed")))
    }
}
