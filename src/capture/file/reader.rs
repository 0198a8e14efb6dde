//! One capture file: finds its format, unpacks it, and stands at its current record.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::kind::{FIRST, Kind};
use super::pcap::{FILE_HEADER, Pcap};
use super::pcapng::Pcapng;
use super::record::{Parsed, Record};
use super::window::Window;
use crate::capture::{Counter, Error};
use crate::count::Cells;
use crate::time::Time;

pub(super) struct Reader {
    name: String,
    window: Window,
    format: Format,
    gzip: bool,
    record: Option<Record>,
    /// Whether a damaged block was told already; further ones are only counted.
    told: bool,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Box<Pcapng>),
}

impl Reader {
    /// Stands before the first record of `input`; `name` is how a person calls it.
    pub(super) fn open(name: String, input: Box<dyn Read + Send>) -> Result<Self, Error> {
        let mut window = Window::new(input);
        let mut gzip = false;
        let mut kind = first(&name, &mut window, gzip)?;
        if kind == Kind::Gzip {
            gzip = true;
            let packed = BufReader::with_capacity(PACKED, window.into_rest());
            window = Window::new(Box::new(MultiGzDecoder::new(packed)));
            kind = first(&name, &mut window, gzip)?;
        }
        let format = match kind {
            Kind::Pcap(pcap) => {
                window.skip(FILE_HEADER as u64).map_err(|e| unreadable(&name, &e))?;
                Format::Pcap(pcap)
            }
            Kind::Pcapng => Format::Pcapng(Box::new(Pcapng::new())),
            Kind::Gzip => {
                let what = format!("{name}: no capture: it is gzip within gzip");
                return Err(Error::new(what, "unpack it once: `gzip -dc FILE | saastap read -`"));
            }
        };
        Ok(Self { name, window, format, gzip, record: None, told: false })
    }

    /// Leaves the current record behind. The timestamp of the next one, or `None` where there is no more.
    #[inline]
    pub(super) fn advance(
        &mut self,
        counts: &Cells<Counter>,
        notices: &mut Vec<String>,
    ) -> Result<Option<Time>, Error> {
        // A record is in the window as a whole before it is handed out.
        self.window.pass(self.record.take().map_or(0, |record| record.whole));
        if let Format::Pcap(pcap) = &self.format
            && let Some(record) = pcap.plain(self.window.all())
        {
            self.record = Some(record);
            return Ok(Some(record.raw));
        }
        self.find(counts, notices)
    }

    /// The next record where it is not simply what comes next in the window.
    #[inline(never)]
    fn find(
        &mut self,
        counts: &Cells<Counter>,
        notices: &mut Vec<String>,
    ) -> Result<Option<Time>, Error> {
        loop {
            let at = self.window.offset();
            let parsed = match &mut self.format {
                Format::Pcap(pcap) => pcap.next(&mut self.window),
                Format::Pcapng(pcapng) => pcapng.next(&mut self.window),
            };
            let (row, notice) = match parsed {
                Ok(Parsed::Record(record)) => {
                    self.record = Some(record);
                    return Ok(Some(record.raw));
                }
                Ok(Parsed::End) => return Ok(None),
                Ok(Parsed::Skipped(what)) => {
                    counts.add(Counter::Bad, 1);
                    if !std::mem::replace(&mut self.told, true) {
                        notices.push(format!(
                            "{}: {what}, near octet {at}: left out; further ones are only counted",
                            self.name
                        ));
                    }
                    continue;
                }
                Ok(Parsed::CutOff) => {
                    let at = self.window.offset();
                    (Counter::CutOff, format!("the record at octet {at} is cut off"))
                }
                Ok(Parsed::Damaged(what)) => {
                    let at = self.window.offset();
                    (Counter::Bad, format!("damaged at octet {at}: {what}"))
                }
                Err(error) if self.gzip && is_gzip_fault(&error) => {
                    let at = self.window.offset();
                    let what = format!("the gzip data is damaged or cut off ({error})");
                    (Counter::CutOff, format!("{what} after octet {at}"))
                }
                Err(error) => return Err(unreadable(&self.name, &error)),
            };
            counts.add(row, 1);
            let unpacked = if self.gzip { " (octets of the unpacked data)" } else { "" };
            notices.push(format!("{}: {notice}{unpacked}; what precedes it is used", self.name));
            return Ok(None);
        }
    }

    pub(super) const fn record(&self) -> Option<Record> {
        self.record
    }

    /// The captured octets of `record`, which must be the current one.
    pub(super) fn bytes(&self, record: &Record) -> &[u8] {
        self.window.within(record.skip, record.len).unwrap_or_default()
    }
}

/// What the window's stream begins with.
fn first(name: &str, window: &mut Window, gzip: bool) -> Result<Kind, Error> {
    match window.have(FIRST) {
        Ok(_) => {}
        // Where the packed data ends early, its beginning may still hold frames.
        Err(error) if gzip && is_gzip_fault(&error) => {}
        Err(error) => return Err(unreadable(name, &error)),
    }
    Kind::of(name, window.peek(window.available().min(FIRST)).unwrap_or_default())
}

fn is_gzip_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

pub(super) fn unreadable(name: &str, error: &io::Error) -> Error {
    let mend = match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "read it as a user who may, or change its mode",
        io::ErrorKind::IsADirectory => "give the capture files in it, as in `DIRECTORY/*`",
        _ if error.raw_os_error() == Some(EMFILE) => {
            "give fewer files at once, or raise the limit with `ulimit -n`"
        }
        _ => "see whether the file can be read at all, as with `cat FILE > /dev/null`",
    };
    Error::new(format!("{name}: cannot be read: {error}"), mend)
}

const EMFILE: i32 = 24;

/// Octets of packed data read at a time.
const PACKED: usize = 128 * 1024;
