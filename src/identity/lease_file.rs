//! Files of leases: who had an address from when to when, as DHCP servers, VPN gateways and RADIUS accounting tell it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::StringRecord;
use serde::{Deserialize, Serialize};

use super::leases::Mac;
use crate::fault::{Fault, Faults};
use crate::time::Time;

/// `[leases]`.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub files: Vec<PathBuf>,
    /// Of all files together; what has more is refused whole.
    pub max_rows: usize,
    pub max_mib: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { files: Vec::new(), max_rows: 100_000, max_mib: 16 }
    }
}

impl Options {
    /// Octets of the rows in force and of those that are about to replace them, beside the text that is being read.
    pub fn memory(&self) -> u64 {
        if self.files.is_empty() {
            return 0;
        }
        // Those in force once; those that are read in a vector that grows by doubling, with two words each.
        let row = 4 * size_of::<(IpAddr, LeaseRow)>() + 2 * WORD_OCTETS;
        let rows = (self.max_rows as u64).saturating_mul(row as u64);
        rows.saturating_add(self.max_mib.saturating_mul(3 << 20))
    }
}

crate::rows! {
    pub enum Counter {
        Read => Counter "saastap_lease_file_reads_total" "Times that the files of [leases] were read.",
        Broken => Counter "saastap_lease_file_failed_reads_total" "Times that they were refused, and the rows before stayed in force." ("reason", "broken"),
        TooLarge => Counter "saastap_lease_file_failed_reads_total" "Times that they were refused, and the rows before stayed in force." ("reason", "too_large"),
        Rows => Gauge "saastap_lease_file_rows" "Rows of the files of [leases] that are in force.",
        Fresh => Gauge "saastap_lease_file_last_read_successful" "1 where the files of [leases] were taken up when they were last read, or there are none.",
    }
}

/// The rows of all files. The default has none.
#[derive(Clone, Debug, Default)]
pub struct LeaseFile {
    /// By address and beginning; no two of one address overlap.
    rows: Vec<(IpAddr, LeaseRow)>,
    files: Vec<Arc<str>>,
    stamps: Stamps,
}

/// Whose an address was for a time, and to which group they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    pub owner: Option<Owner>,
    pub group: Option<Arc<str>>,
    from: Time,
    /// The first moment at which it no longer holds.
    until: Time,
    /// It has no end: it holds until the next row of its address begins.
    open: bool,
    file: u32,
    line: u32,
}

/// Who a row names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// One that is written as a hardware address is the machine that DHCP knows by it.
    Machine(Mac),
    /// A user or host name, in small letters: accounting writes it in several ways.
    Name(Arc<str>),
}

impl Owner {
    /// Reads the column `identity`; `None` where it is empty or too long.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_IDENTITY {
            return None;
        }
        let name = || Self::Name(text.to_lowercase().into());
        Some(parse_mac(text).map_or_else(name, Self::Machine))
    }

    pub const fn mac(&self) -> Option<Mac> {
        match self {
            Self::Machine(mac) => Some(*mac),
            Self::Name(_) => None,
        }
    }
}

/// How files lie on the disk: which they are, how long, and when they were written. Equal stamps, equal rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(Vec<Option<[i64; 5]>>);

impl Stamps {
    /// How they lie there now.
    pub fn of(options: &Options) -> Self {
        let stamp = |path: &PathBuf| {
            let told = fs::metadata(path).ok()?;
            let len = i64::try_from(told.len()).unwrap_or(i64::MAX);
            let [inode, written] = [told.ino().cast_signed(), told.mtime()];
            Some([inode, len, written, told.mtime_nsec(), told.ctime_nsec()])
        };
        Self(options.files.iter().map(stamp).collect())
    }
}

/// Why files are not taken up.
#[derive(Debug)]
pub enum Refused {
    Broken(Faults),
    /// They have more rows or octets than the options allow.
    TooLarge(Faults),
}

impl Refused {
    pub const fn faults(&self) -> &Faults {
        match self {
            Self::Broken(faults) | Self::TooLarge(faults) => faults,
        }
    }

    pub const fn counter(&self) -> Counter {
        match self {
            Self::Broken(_) => Counter::Broken,
            Self::TooLarge(_) => Counter::TooLarge,
        }
    }
}

impl From<Refused> for Faults {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Broken(faults) | Refused::TooLarge(faults) => faults,
        }
    }
}

impl LeaseFile {
    /// Reads all files. `known` says of a group that is not declared how to mend that.
    ///
    /// # Errors
    /// All mistakes in all files by line, [`MAX_FAULTS`] at most. No fault repeats an address or an identity: faults are logged.
    pub fn read(
        options: &Options,
        known: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Self, Refused> {
        // Before they are read: what changes in between is read again.
        let stamps = Stamps::of(options);
        let mut reading = Reading {
            options,
            known: &known,
            octets: 0,
            rows: Vec::new(),
            words: HashSet::new(),
            faults: Vec::new(),
        };
        for (number, path) in options.files.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            reading.file(number, path).map_err(|fault| Refused::TooLarge(fault.into()))?;
        }
        let files: Vec<Arc<str>> =
            options.files.iter().map(|path| path.display().to_string().into()).collect();
        let Reading { mut rows, mut faults, .. } = reading;
        settle(&mut rows, &files, &mut faults);
        if faults.is_empty() {
            return Ok(Self { rows, files, stamps });
        }
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        faults.truncate(MAX_FAULTS);
        Err(Refused::Broken(Faults(faults)))
    }

    /// How the files lay on the disk when they were read.
    pub const fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// The row of an address that holds at a time.
    pub fn at(&self, address: IpAddr, at: Time) -> Option<&LeaseRow> {
        let address = address.to_canonical();
        let behind = self.rows.partition_point(|(other, row)| (*other, row.from) <= (address, at));
        let (found, row) = self.rows.get(behind.checked_sub(1)?)?;
        (*found == address && at < row.until).then_some(row)
    }

    /// Whether any row is of this address.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.rows.binary_search_by(|(other, _)| other.cmp(&address)).is_ok()
    }

    /// `leases.csv:7`: where a row stands.
    pub fn place(&self, row: &LeaseRow) -> String {
        place(&self.files, row)
    }

    /// Whom the rows name, each once.
    pub fn owners(&self) -> HashSet<&Owner> {
        self.rows.iter().filter_map(|(_, row)| row.owner.as_ref()).collect()
    }

    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub const fn files(&self) -> usize {
        self.files.len()
    }
}

/// What has been read so far.
struct Reading<'a> {
    options: &'a Options,
    known: &'a dyn Fn(&str) -> Result<(), String>,
    octets: u64,
    rows: Vec<(IpAddr, LeaseRow)>,
    /// Groups and identities recur in many rows.
    words: HashSet<Arc<str>>,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    /// The error is a file that is too large.
    fn file(&mut self, number: u32, path: &Path) -> Result<(), Fault> {
        let shown = path.display().to_string();
        let text = match self.text(path) {
            Ok(Some(text)) => text,
            Ok(None) => {
                let most = self.options.max_mib;
                let what = format!("the files of [leases] have more than {most} MiB");
                let mend = "leave rows out that have ended long ago, or raise max_mib of [leases]";
                return Err(Fault::new(shown, what, mend));
            }
            Err(error) => {
                let mend = "name a readable CSV file in UTF-8 in `files` of [leases]";
                let what = format!("cannot be read: {error}");
                self.faults.push(Fault::new(shown, what, mend));
                return Ok(());
            }
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(text.as_bytes());
        let Some(columns) = reader.headers().ok().and_then(Columns::of) else {
            let what = "the first line does not name the columns";
            let mend = "begin it with `address,from,to,identity,group`";
            self.faults.push(Fault::new(shown, what, mend).at_line(1));
            return Ok(());
        };
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    let what = "has another number of columns than the first line";
                    let mend = "write all columns in each line; what is not known stays empty";
                    self.faults.push(Fault::new(shown.clone(), what, mend).at_line(line as usize));
                    if self.faults.len() > MAX_FAULTS {
                        return Ok(());
                    }
                    continue;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            if self.rows.len() >= self.options.max_rows {
                let most = self.options.max_rows;
                let what = format!("the files of [leases] have more than {most} rows");
                let mend = "leave rows out that have ended long ago, or raise max_rows of [leases]";
                return Err(Fault::new(shown, what, mend).at_line(line as usize));
            }
            let place = (number, u32::try_from(line).unwrap_or(u32::MAX));
            match self.row(&record, &columns, place) {
                Ok(row) => self.rows.push(row),
                Err((what, mend)) => {
                    self.faults.push(Fault::new(shown.clone(), what, mend).at_line(line as usize));
                    if self.faults.len() > MAX_FAULTS {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// `None` where it is too large.
    fn text(&mut self, path: &Path) -> std::io::Result<Option<String>> {
        let left = (self.options.max_mib << 20).saturating_sub(self.octets);
        let mut text = String::new();
        let file = File::open(path)?;
        if file.metadata()?.len() > left {
            return Ok(None);
        }
        file.take(left + 1).read_to_string(&mut text)?;
        self.octets += text.len() as u64;
        Ok((text.len() as u64 <= left).then_some(text))
    }

    /// The error is what is wrong, and the remedy.
    fn row(
        &mut self,
        record: &StringRecord,
        columns: &Columns,
        (file, line): (u32, u32),
    ) -> Result<(IpAddr, LeaseRow), (String, String)> {
        let wrong = |what: &str, mend: &str| Err((what.to_owned(), mend.to_owned()));
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let Ok(address) = cell(columns.address).parse::<IpAddr>() else {
            return wrong("`address` is no IP address", "write one address, as `192.0.2.7`");
        };
        let times = [cell(columns.from), cell(columns.to)].map(moment);
        let [Some(from), Some(to)] = times else {
            return wrong(
                "`from` or `to` is no time",
                "write it as `2026-11-22T14:30:00Z` or in seconds since 1970, or leave it empty",
            );
        };
        let (from, until) = (from.unwrap_or(Time::ZERO), to.unwrap_or(Time::MAX));
        if until <= from {
            return wrong("`to` is not after `from`", "write the end of the lease in `to`");
        }
        let identity = cell(columns.identity);
        let owner = Owner::read(identity);
        if owner.is_none() && !identity.is_empty() {
            let what = format!("`identity` has more than {MAX_IDENTITY} octets");
            return Err((what, "write a user name, host name or hardware address".to_owned()));
        }
        let owner = match owner {
            Some(Owner::Name(name)) => Some(Owner::Name(self.word(&name))),
            other => other,
        };
        let group = columns.group.map(cell).unwrap_or_default();
        if group.is_empty() && owner.is_none() {
            return wrong("a row without `identity` and `group`", "fill one of the two");
        }
        if !group.is_empty()
            && !self.words.contains(group)
            && let Err(mend) = (self.known)(group)
        {
            return Err((format!("unknown group `{group}`"), mend));
        }
        let group = (!group.is_empty()).then(|| self.word(group));
        let open = to.is_none();
        Ok((address.to_canonical(), LeaseRow { owner, group, from, until, open, file, line }))
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return word.clone();
        }
        let word: Arc<str> = text.into();
        self.words.insert(word.clone());
        word
    }
}

/// Where the columns stand.
struct Columns {
    address: usize,
    from: usize,
    to: usize,
    identity: usize,
    group: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Option<Self> {
        let at = |name: &str| header.iter().position(|cell| cell.eq_ignore_ascii_case(name));
        Some(Self {
            address: at("address")?,
            from: at("from")?,
            to: at("to")?,
            identity: at("identity")?,
            group: at("group"),
        })
    }
}

/// Sorts the rows; those of one address that say the same and overlap become one, and two that contradict each other are a
/// fault.
fn settle(rows: &mut Vec<(IpAddr, LeaseRow)>, files: &[Arc<str>], faults: &mut Vec<Fault>) {
    rows.sort_by_key(|(address, row)| (*address, row.from));
    rows.dedup_by(|(address, row), (other, before)| {
        if address != other {
            return false;
        }
        if before.open && before.from < row.from {
            before.until = row.from;
        }
        if row.from >= before.until {
            return false;
        }
        if before.owner == row.owner && before.group == row.group {
            before.until = before.until.max(row.until);
            before.open |= row.open;
        } else {
            let first = place(files, before);
            let what = format!("says of an address what {first} says otherwise, for the same time");
            let mend = "keep one of the two rows, or end the first where the second begins";
            let file = files.get(row.file as usize).map_or("", |file| file);
            faults.push(Fault::new(file, what, mend).at_line(row.line as usize));
        }
        true
    });
    rows.shrink_to_fit();
}

fn place(files: &[Arc<str>], row: &LeaseRow) -> String {
    format!("{}:{}", files.get(row.file as usize).map_or("", |file| file), row.line)
}

/// RFC 3339, or seconds since the epoch; the inner `None` for nothing, the outer for no time.
fn moment(text: &str) -> Option<Option<Time>> {
    if text.is_empty() {
        return Some(None);
    }
    let time = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok().map(Time::from_secs)
    } else {
        text.parse().ok()
    };
    time.map(Some)
}

/// `3c:22:fb:01:02:03`, or with hyphens.
pub fn parse_mac(text: &str) -> Option<Mac> {
    let octet = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    text.split([':', '-']).map(octet).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// Octets of a word beside its text: its counts, and its place in a set that may be half empty.
const WORD_OCTETS: usize = 64;

/// Octets of an identity: more than a name of a user with its realm has (RFC 7542).
const MAX_IDENTITY: usize = 255;

/// Faults told at once: a file that is wrong in all its rows is wrong for one reason.
pub const MAX_FAULTS: usize = 20;

#[cfg(test)]
mod tests;
