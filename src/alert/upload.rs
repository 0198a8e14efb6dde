//! Uploads: what a client sends a vendor within an hour, and what its group usually sends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Options;
use super::finding::Sighting;
use crate::signature::Role;

/// An hour in which a client sent more than it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Octets that the client sent the vendor in this hour so far, without what acknowledges.
    pub hour_bytes: u64,
    pub threshold_bytes: u64,
    /// The threshold is that of what the group usually sends, and not the fixed one.
    pub usual: bool,
}

/// What is sent in the present hour, and what was usual in the hours before. It holds no clock.
#[derive(Debug, Default)]
pub struct Uploads {
    /// Of packet time, since the epoch (UTC).
    hour: u32,
    senders: BTreeMap<Sender, u64>,
    /// Those of them that have rows, those whose rows are to be written, and rows of hours that are over.
    kept: BTreeSet<Sender>,
    grown: BTreeSet<Sender>,
    over: BTreeSet<Sender>,
    usual: BTreeMap<Place, Usual>,
}

/// There is no room for one more client or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Uploads {
    /// Adds what a report tells; the hour, where that is above its threshold by now. What goes through a relay is the session's
    /// screen or media.
    ///
    /// # Errors
    /// [`Full`]: what is not counted can raise nothing.
    pub fn add(&mut self, seen: &Sighting<'_>, options: &Options) -> Result<Option<Upload>, Full> {
        let (sent, received) = seen.added;
        let sent = sent.saturating_sub(received / ACKNOWLEDGES);
        if sent == 0 || seen.key.role == Role::Relay {
            return Ok(None);
        }
        let hour = u32::try_from(seen.at.secs() / 3_600).unwrap_or(u32::MAX);
        let closed = if hour > self.hour { self.close(hour, options) } else { Ok(()) };
        let place = Place { group: seen.key.group.clone(), vendor: seen.key.vendor.clone() };
        let (floor, usual) = (options.upload_floor, self.usual.get(&place));
        let usual = usual.and_then(|usual| usual.threshold(hour, options));
        let (threshold_bytes, usual) = match usual {
            Some(usual) if usual > floor => (usual, true),
            _ => (floor, false),
        };
        let room = self.senders.len() < MAX_SENDERS;
        let sender = Sender { place, client: seen.key.client.clone() };
        let sum = match self.senders.get_mut(&sender) {
            Some(sum) => sum,
            None if room => self.senders.entry(sender.clone()).or_default(),
            None => return Err(Full),
        };
        *sum = sum.saturating_add(sent);
        if *sum >= options.upload_floor / KEPT_PART && !self.grown.contains(&sender) {
            self.grown.insert(sender);
        }
        let told = Upload { hour_bytes: *sum, threshold_bytes, usual };
        closed.map(|()| (told.hour_bytes > threshold_bytes).then_some(told))
    }

    /// Rows of what became usual since the last call, and of clients that have sent much in this hour: key and value.
    pub fn changed(&mut self) -> Vec<(String, Option<String>)> {
        let mut rows: Vec<_> =
            std::mem::take(&mut self.over).iter().map(|sender| (sender.row_key(), None)).collect();
        for sender in std::mem::take(&mut self.grown) {
            let Some(sent) = self.senders.get(&sender).copied() else { continue };
            let row = Running { hour: self.hour, sent };
            rows.push((sender.row_key(), serde_json::to_string(&row).ok()));
            self.kept.insert(sender);
        }
        let changed = self.usual.iter_mut().filter(|(_, usual)| usual.changed);
        let row = |(place, usual): (&Place, &mut Usual)| {
            usual.changed = false;
            let key = serde_json::to_string(place).unwrap_or_default();
            (format!("{USUAL}{key}"), serde_json::to_string(usual).ok())
        };
        rows.extend(changed.map(row));
        rows
    }

    /// Whether a row is one of these.
    pub fn owns(key: &str) -> bool {
        key.starts_with(USUAL) || key.starts_with(RUNNING)
    }

    /// Takes a row back; `None` where it cannot be read.
    pub fn restore(&mut self, key: &str, value: &str) -> Option<()> {
        if let Some(sender) = key.strip_prefix(RUNNING) {
            return self.resume(Sender::read(sender)?, serde_json::from_str(value).ok()?);
        }
        let place = serde_json::from_str(key.strip_prefix(USUAL)?).ok()?;
        self.usual.insert(place, serde_json::from_str(value).ok()?);
        Some(())
    }

    /// The latest hour goes on where it stopped; those before it are over.
    fn resume(&mut self, sender: Sender, Running { hour, sent }: Running) -> Option<()> {
        if hour > self.hour {
            self.hour = hour;
            self.senders.clear();
            self.over.append(&mut self.kept);
        }
        if hour == self.hour {
            self.senders.insert(sender.clone(), sent);
            self.kept.insert(sender);
        } else {
            self.over.insert(sender);
        }
        Some(())
    }

    /// The hour is over: what was sent in it becomes part of what is usual.
    fn close(&mut self, hour: u32, options: &Options) -> Result<(), Full> {
        let closed = std::mem::replace(&mut self.hour, hour);
        self.grown.clear();
        self.over.append(&mut self.kept);
        let mut all = Ok(());
        for (Sender { place, .. }, sent) in std::mem::take(&mut self.senders) {
            if self.usual.len() >= options.max_cases && !self.usual.contains_key(&place) {
                all = Err(Full);
                continue;
            }
            let fresh = || Usual { since: closed, aged: closed, ..Usual::default() };
            self.usual.entry(place).or_insert_with(fresh).add(closed, sent, options);
        }
        all
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    group: Arc<str>,
    vendor: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sender {
    place: Place,
    client: Arc<str>,
}

impl Sender {
    /// The client stands at the end, behind a sign that no client's name holds.
    fn row_key(&self) -> String {
        let place = serde_json::to_string(&self.place).unwrap_or_default();
        format!("{RUNNING}{place}#{}", self.client)
    }

    fn read(text: &str) -> Option<Self> {
        let (place, client) = text.rsplit_once('#')?;
        Some(Self { place: serde_json::from_str(place).ok()?, client: client.into() })
    }
}

/// What a client has sent in the hour that runs, as its row keeps it.
#[derive(Serialize, Deserialize)]
struct Running {
    hour: u32,
    sent: u64,
}

/// The hours in which clients of one group sent one vendor something.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Usual {
    /// The first of them; and when they were last halved, so that what is long ago weighs less.
    since: u32,
    aged: u32,
    /// Hours by the size of what was sent, in steps of a quarter of an octave.
    hours: BTreeMap<u8, u32>,
    #[serde(skip)]
    changed: bool,
}

impl Usual {
    fn add(&mut self, hour: u32, sent: u64, options: &Options) {
        if hour.saturating_sub(self.aged) >= options.upload_learn_days.saturating_mul(24).max(1) {
            self.aged = hour;
            self.hours.values_mut().for_each(|count| *count /= 2);
            self.hours.retain(|_, count| *count > 0);
        }
        let count = self.hours.entry(step(sent)).or_default();
        *count = count.saturating_add(1);
        self.changed = true;
    }

    /// The median and so many median absolute deviations; `None` while too little is known.
    fn threshold(&self, hour: u32, options: &Options) -> Option<u64> {
        let total: u64 = self.hours.values().map(|count| u64::from(*count)).sum();
        let known = hour.saturating_sub(self.since);
        if known < options.upload_learn_days.saturating_mul(24) || total < LEAST_HOURS {
            return None;
        }
        let sizes = self.hours.iter().map(|(step, count)| (middle(*step), *count));
        let median = median(sizes.clone().collect(), total);
        let apart = median_of_distances(sizes, median, total);
        // Sizes are known to an eighth.
        let apart = apart.max(median / 8);
        Some(median.saturating_add(apart.saturating_mul(options.upload_deviations.into())))
    }
}

fn median_of_distances(sizes: impl Iterator<Item = (u64, u32)>, from: u64, total: u64) -> u64 {
    median(sizes.map(|(size, count)| (size.abs_diff(from), count)).collect(), total)
}

/// Of values with how often each is there.
fn median(mut values: Vec<(u64, u32)>, total: u64) -> u64 {
    values.sort_unstable();
    let mut before = 0;
    for (value, count) in &values {
        before += u64::from(*count);
        if before * 2 >= total {
            return *value;
        }
    }
    0
}

/// The quarter of an octave in which so many octets lie: four times the binary logarithm.
fn step(octets: u64) -> u8 {
    let octets = octets.max(1);
    let whole = octets.ilog2();
    let quarter = if whole >= 2 { (octets >> (whole - 2)) & 3 } else { 0 };
    u8::try_from(u64::from(whole) * 4 + quarter).unwrap_or(u8::MAX)
}

/// The middle of a step.
const fn middle(step: u8) -> u64 {
    let (whole, quarter) = (step / 4, (step % 4) as u64);
    if whole < 2 {
        return 1 << whole;
    }
    ((4 + quarter) << (whole - 2)) + ((1_u64 << (whole - 2)) >> 1)
}

/// Acknowledgements are a smaller part than this of what they acknowledge: 66 octets for each full segment of 1,514, or 94 with
/// selective ones (RFC 2018 section 3).
const ACKNOWLEDGES: u64 = 16;

/// Clients that send within one hour, times vendors: those of a large organisation.
const MAX_SENDERS: usize = 100_000;

/// Fewer hours show nothing usual.
const LEAST_HOURS: u64 = 20;

/// Octets of a sender in a tree whose nodes are half full, its client's name, and what a group usually sends.
pub const SENDERS_MEMORY: u64 = MAX_SENDERS as u64 * (SETS * 2 * size_of::<Sender>() as u64 + 64);
/// The tree, and three sets that tell which rows are to be written and deleted.
const SETS: u64 = 4;
pub const USUAL_MEMORY: u64 = 256 * 10 + 256;

const USUAL: &str = "usual/";
const RUNNING: &str = "hour/";

/// Who has sent this part of the floor within the hour is kept over a restart; what others sent is too little to matter.
const KEPT_PART: u64 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::finding::tests::Sample;
    use crate::time::Time;

    const MB: u64 = 1_000_000;
    const START: Time = Time::from_secs(1_795_000_000 / 3_600 * 3_600);

    /// Reports of one client by hour.
    struct Bench {
        uploads: Uploads,
        options: Options,
        sample: Sample,
    }

    impl Bench {
        fn new() -> Self {
            let (uploads, sample) = (Uploads::default(), Sample::new("zendesk", "helpdesk"));
            Self { uploads, options: Options::default(), sample }
        }

        /// What an upload of so many octets gives, in a report of that hour.
        fn send(&mut self, client: &str, hour: u64, sent: u64) -> Option<Upload> {
            self.sample.at = START.plus(Duration::from_secs(hour * 3_600 + 60));
            self.sample.key.client = client.into();
            self.sample.added = (sent, 0);
            self.uploads.add(&self.sample.sighting(), &self.options).unwrap()
        }

        /// So many weeks of eight hours on five days, in which two clients send about this much.
        fn weeks(&mut self, weeks: u64, megabytes: u64) {
            for (day, hour) in (0..weeks * 7).flat_map(|day| (8..16).map(move |h| (day, h))) {
                if day % 7 < 5 {
                    let more = (day + hour) % 5;
                    for client in ["c-1", "c-2"] {
                        self.send(client, day * 24 + hour, (megabytes + more) * MB);
                    }
                }
            }
        }
    }

    #[test]
    fn a_fixed_floor_holds_until_four_weeks_are_known() {
        let mut bench = Bench::new();
        assert_eq!(bench.send("c-1", 0, 30 * MB), None);
        let told = bench.send("c-1", 0, 30 * MB).unwrap();
        assert_eq!(told, Upload { hour_bytes: 60 * MB, threshold_bytes: 50 * MB, usual: false });
        assert_eq!(bench.send("c-2", 0, 30 * MB), None, "another client");
        assert_eq!(bench.send("c-1", 1, 30 * MB), None, "another hour");

        let mut bench = Bench::new();
        bench.weeks(3, 40);
        assert!(bench.send("c-1", 3 * 168 + 9, 51 * MB).is_some(), "three weeks");
        let mut bench = Bench::new();
        bench.weeks(5, 40);
        assert_eq!(bench.send("c-1", 5 * 168 + 9, 51 * MB), None, "what is usual here");
        let told = bench.send("c-1", 5 * 168 + 9, 100 * MB).unwrap();
        assert!(told.usual && (75 * MB..100 * MB).contains(&told.threshold_bytes), "{told:?}");
        assert!(bench.send("c-9", 5 * 168 + 9, 151 * MB).is_some(), "a client that is new");
    }

    #[test]
    fn where_little_is_usual_the_floor_holds_for_ever() {
        let mut bench = Bench::new();
        bench.weeks(5, 1);
        assert_eq!(bench.send("c-1", 5 * 168 + 9, 49 * MB), None);
        assert!(!bench.send("c-1", 5 * 168 + 9, 2 * MB).unwrap().usual);
    }

    #[test]
    fn of_what_is_usual_elsewhere_nothing_follows_here() {
        let mut bench = Bench::new();
        bench.weeks(5, 40);
        bench.sample.key.group = "sales".into();
        assert!(bench.send("c-1", 5 * 168 + 9, 51 * MB).is_some());
    }

    #[test]
    fn a_download_and_a_session_are_no_upload() {
        let mut bench = Bench::new();
        bench.sample.added = (60 * MB, 1_000 * MB);
        let told = bench.uploads.add(&bench.sample.sighting(), &bench.options);
        assert_eq!(told, Ok(None), "60 MB of acknowledgements");
        bench.sample = bench.sample.role(Role::Relay);
        assert_eq!(bench.send("c-1", 0, 900 * MB), None);
        bench.sample = bench.sample.role(Role::Telemetry);
        assert!(bench.send("c-1", 0, 900 * MB).is_some());
    }

    #[test]
    fn rows_bring_back_what_is_usual() {
        let mut bench = Bench::new();
        bench.weeks(5, 40);
        let rows = usual(bench.uploads.changed());
        assert_eq!(rows.len(), 1, "one of the group and the vendor");
        assert!(rows[0].1.len() < 300, "{}", rows[0].1);
        assert!(usual(bench.uploads.changed()).is_empty());
        let mut later = Bench::new();
        assert!(Uploads::owns(&rows[0].0));
        later.uploads.restore(&rows[0].0, &rows[0].1).unwrap();
        assert_eq!(later.send("c-1", 5 * 168 + 9, 51 * MB), None);
        assert!(later.send("c-1", 5 * 168 + 9, 100 * MB).unwrap().usual);
        assert_eq!(later.uploads.restore("usual/x", "{"), None);
    }

    fn usual(rows: Vec<(String, Option<String>)>) -> Vec<(String, String)> {
        let rows = rows.into_iter().filter(|(key, _)| key.starts_with(USUAL));
        rows.map(|(key, value)| (key, value.unwrap())).collect()
    }

    #[test]
    fn an_hour_goes_on_over_a_restart_and_its_rows_go_with_it() {
        let mut bench = Bench::new();
        assert_eq!(bench.send("c-1", 0, 30 * MB), None);
        assert_eq!(bench.send("c-2", 0, 4 * MB), None);
        let rows = bench.uploads.changed();
        let keys: Vec<&str> = rows.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, [r##"hour/{"group":"support","vendor":"zendesk"}#c-1"##]);
        assert!(bench.uploads.changed().is_empty());
        assert_eq!(bench.send("c-1", 0, MB), None);
        let rows = bench.uploads.changed();
        let (key, value) = (rows[0].0.clone(), rows[0].1.clone().unwrap());
        assert!(Uploads::owns(&key));

        let mut later = Bench::new();
        later.uploads.restore(&key, &value).unwrap();
        let told = later.send("c-1", 0, 20 * MB).unwrap();
        assert_eq!(told.hour_bytes, 51 * MB);
        assert_eq!(later.send("c-2", 0, 49 * MB), None, "another client");
        let mut next = Bench::new();
        next.uploads.restore(&key, &value).unwrap();
        assert_eq!(next.send("c-1", 1, 20 * MB), None, "another hour");
        assert!(next.uploads.changed().contains(&(key.clone(), None)), "its row goes");
        let older = value.replace(&format!("\"hour\":{}", bench.uploads.hour), "\"hour\":7");
        let mut mixed = Bench::new();
        mixed.uploads.restore(&key, &value).unwrap();
        mixed.uploads.restore(&key.replace("c-1", "c-7"), &older).unwrap();
        assert_eq!(mixed.uploads.senders.len(), 1);
        assert!(
            mixed.uploads.changed().iter().any(|(key, row)| key.ends_with("#c-7") && row.is_none())
        );
        for (wrong, value) in [("hour/x", "{}"), ("hour/{}#c-1", "{}"), (key.as_str(), "7")] {
            assert_eq!(mixed.uploads.restore(wrong, value), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_usual_long_ago_is_not_usual_for_ever() {
        let mut bench = Bench::new();
        bench.weeks(5, 40);
        for hour in 5 * 168..40 * 168 {
            bench.send("c-1", hour, MB);
        }
        assert!(!bench.send("c-1", 40 * 168, 51 * MB).unwrap().usual);
    }

    #[test]
    fn a_storm_of_clients_and_groups_takes_no_memory() {
        let mut bench = Bench::new();
        for client in 0..MAX_SENDERS {
            bench.send(&format!("c-{client}"), 0, 1);
        }
        bench.sample.key.client = "one more".into();
        assert_eq!(bench.uploads.add(&bench.sample.sighting(), &bench.options), Err(Full));
        assert_eq!(bench.send("c-7", 0, 60 * MB).map(|u| u.usual), Some(false), "a known one");

        let mut bench = Bench::new();
        bench.options.max_cases = 1;
        bench.send("c-1", 0, 1);
        bench.sample.key.group = "sales".into();
        bench.send("c-1", 0, 1);
        bench.sample.at = START.plus(Duration::from_secs(7_200));
        assert_eq!(bench.uploads.add(&bench.sample.sighting(), &bench.options), Err(Full));
        assert_eq!(bench.uploads.usual.len(), 1);
    }

    #[test]
    fn every_size_lies_in_its_step() {
        for octets in (0..64).map(|bit| 1_u64 << bit).flat_map(|o| [o, o | o >> 1, o | (o - 1)]) {
            let near = middle(step(octets));
            assert!(near.abs_diff(octets) <= octets / 8 + 1, "{octets} {near}");
        }
        assert_eq!(step(0), 0);
    }
}
