//! One interface: opened, drained, and watched for going away and coming back.

use std::fs;

use pcap::{Active, Capture, Device, Packet, Precision, Stat};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::batch::Batch;
use super::{BATCH_FRAMES, BATCH_OCTETS, BLOCK_MILLIS};
use crate::capture::{Counter, Error, Link, Options};
use crate::count::Cells;
use crate::time::Time;

pub(super) struct Interface {
    name: String,
    /// `None` while the interface is gone.
    opened: Option<Opened>,
    /// Whether it was up when it was last told.
    up: bool,
}

struct Opened {
    handle: Capture<Active>,
    link: Link,
    /// The kernel's index: an interface that vanished and came back has another.
    index: u32,
    /// The kernel's counters as they were taken over last.
    seen: Stat,
}

impl Interface {
    /// Opens `name` for the first time: whatever is wrong is told with its remedy.
    pub(super) fn open(name: &str, options: &Options) -> Result<Self, Error> {
        let Some(index) = index_of(name) else { return Err(missing(name)) };
        let opened = Opened::open(name, index, options)?;
        Ok(Self { name: name.to_owned(), opened: Some(opened), up: true })
    }

    pub(super) const fn is_up(&self) -> bool {
        self.up
    }

    /// What to poll.
    pub(super) fn handle(&self) -> Option<&Capture<Active>> {
        self.opened.as_ref().map(|o| &o.handle)
    }

    /// Copies the frames that lie ready, so many as a batch may take of one interface.
    pub(super) fn drain(&mut self, batch: &mut Batch, number: u16, counts: &Cells<Counter>) {
        let Some(opened) = &mut self.opened else { return };
        let link = opened.link;
        let full = batch.octets() + BATCH_OCTETS;
        while batch.octets() < full {
            let push = |packet: Packet<'_>| {
                let header = packet.header;
                batch.push(time_of(header), link, number, header.len, packet.data);
            };
            match opened.handle.dispatch(Some(BATCH_FRAMES), push) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    opened.take_over_counters(counts);
                    self.opened = None;
                    self.tell_down(&words(&error), counts);
                    return;
                }
            }
        }
    }

    /// Called about each second: closes a dead handle, opens it again where the interface is back, tells changes.
    pub(super) fn look(&mut self, options: &Options, counts: &Cells<Counter>) {
        let index = index_of(&self.name);
        if let Some(opened) = &mut self.opened {
            opened.take_over_counters(counts);
            // The socket of an interface that was removed reports nothing by itself, even if one of that name exists again.
            if index != Some(opened.index) {
                self.opened = None;
                self.tell_down("the interface was removed", counts);
            }
        }
        if self.opened.is_none() {
            let Some(index) = index else { return };
            match Opened::open(&self.name, index, options) {
                Ok(opened) => self.opened = Some(opened),
                // Told once when it went down; not each second anew.
                Err(error) => {
                    tracing::debug!(interface = %self.name, error = %error.what, "not back yet")
                }
            }
        }
        match (self.opened.is_some() && link_is_up(&self.name), self.up) {
            (true, false) => {
                self.up = true;
                counts.add(Counter::InterfaceReopened, 1);
                tracing::info!(interface = %self.name, "the interface is back");
            }
            (false, true) => self.tell_down("the link is down", counts),
            _ => {}
        }
    }

    fn tell_down(&mut self, why: &str, counts: &Cells<Counter>) {
        if std::mem::replace(&mut self.up, false) {
            counts.add(Counter::InterfaceDown, 1);
            tracing::warn!(interface = %self.name, why, "the interface went down; waiting for it");
        }
    }
}

impl Opened {
    fn open(name: &str, index: u32, options: &Options) -> Result<Self, Error> {
        let octets = options.buffer_mib.saturating_mul(1024 * 1024);
        let mut handle = Capture::from_device(name)
            .and_then(|inactive| {
                inactive
                    .promisc(options.promiscuous)
                    .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
                    .buffer_size(i32::try_from(octets).unwrap_or(i32::MAX))
                    .timeout(BLOCK_MILLIS)
                    .precision(Precision::Nano)
                    .open()
            })
            .and_then(Capture::setnonblock)
            .map_err(|error| refused(name, &words(&error)))?;
        // Without any program the kernel copies whole frames, and libpcap cuts them afterwards.
        if !options.filter.is_empty() || options.snaplen < WHOLE {
            handle.filter(&options.filter, true).map_err(|error| {
                Error::new(
                    format!("the filter `{}` cannot be used: {}", options.filter, words(&error)),
                    "write it as for tcpdump, see pcap-filter(7)",
                )
            })?;
        }
        let link = Link::of_live(handle.get_datalink().0);
        Ok(Self { handle, link, index, seen: Stat { received: 0, dropped: 0, if_dropped: 0 } })
    }

    /// Adds what the kernel counted since the last time. Its counters have 32 bits and wrap.
    fn take_over_counters(&mut self, counts: &Cells<Counter>) {
        let Ok(now) = self.handle.stats() else { return };
        let before = std::mem::replace(&mut self.seen, now);
        for (row, now, before) in [
            (Counter::KernelReceived, now.received, before.received),
            (Counter::KernelDropped, now.dropped, before.dropped),
            (Counter::InterfaceDropped, now.if_dropped, before.if_dropped),
        ] {
            counts.add(row, u64::from(now.wrapping_sub(before)));
        }
    }
}

/// The handle was opened for nanoseconds: they stand where a timeval has microseconds.
fn time_of(header: &pcap::PacketHeader) -> Time {
    let seconds = u64::try_from(header.ts.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(header.ts.tv_usec).unwrap_or_default();
    Time::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// The kernel's index of `name` in this thread's network namespace.
fn index_of(name: &str) -> Option<u32> {
    let any = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(any, name).ok()
}

/// Whether the link can carry frames. Where the kernel does not say (or may not be asked), it is taken for up.
fn link_is_up(name: &str) -> bool {
    let state = fs::read_to_string(format!("/sys/class/net/{name}/operstate")).unwrap_or_default();
    !matches!(state.trim(), "down" | "lowerlayerdown" | "notpresent")
}

fn missing(name: &str) -> Error {
    let devices = Device::list().unwrap_or_default();
    // libpcap also lists what is no interface: `any`, buses, log sockets.
    let mut names: Vec<_> =
        devices.into_iter().map(|d| d.name).filter(|n| index_of(n).is_some()).collect();
    names.sort();
    let mend = if names.is_empty() {
        "see `ip link` for the interfaces of this machine".to_owned()
    } else {
        format!("name one that does: {}", names.join(", "))
    };
    Error::new(format!("the interface {name} does not exist"), mend)
}

fn refused(name: &str, words: &str) -> Error {
    let lower = words.to_lowercase();
    let what = format!("the interface {name} cannot be opened: {words}");
    let mend = if ["permi", "cap_net_raw", "not permitted"].iter().any(|w| lower.contains(w)) {
        let program = std::env::current_exe()
            .map_or_else(|_| "/usr/bin/saastap".to_owned(), |path| path.display().to_string());
        format!(
            "give the program the right to listen, `setcap cap_net_raw=ep {program}`, or start it by its unit, \
             `systemctl start saastap`"
        )
    } else if lower.contains("not up") || lower.contains("down") {
        format!("bring it up: `ip link set dev {name} up`")
    } else if lower.contains("memory") || lower.contains("buffer") {
        "make `buffer_mib` of [capture] smaller".to_owned()
    } else {
        "see `ip link` and the kernel's log".to_owned()
    };
    Error::new(what, mend)
}

/// libpcap's own words.
fn words(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) => words.clone(),
        other => other.to_string(),
    }
}

/// From this snaplen on nothing is cut.
const WHOLE: u32 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_remedy() {
        for (words, remedy) in [
            (
                "Attempt to create packet socket failed - CAP_NET_RAW may be required",
                "setcap cap_net_raw=ep /",
            ),
            ("socket: Operation not permitted", "systemctl start saastap"),
            ("That device is not up", "ip link set dev eth1 up"),
            ("can't create rx ring: Cannot allocate memory", "buffer_mib"),
        ] {
            let error = refused("eth1", words);
            assert!(error.mend.contains(remedy), "{error}");
            assert!(error.what.contains("eth1") && error.what.contains(words), "{error}");
        }
    }

    #[test]
    fn the_loopback_interface_has_an_index_and_nonsense_has_none() {
        assert!(index_of("lo").is_some());
        assert!(index_of("nosuch7").is_none());
        assert!(index_of("a-name-longer-than-any-interface-has").is_none());
        assert!(link_is_up("lo"));
    }
}
