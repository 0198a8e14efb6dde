//! Sinks: where messages go; one file each, and the table that lists them.

mod alertmanager;
mod batch;
mod connection;
mod file;
mod filter;
mod http;
mod kafka;
mod secret;
mod splunk;
mod syslog;
mod webhook;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::{Spanned, Value};

pub use self::filter::Filter;
use super::event::Event;
use super::format::{FORMATS, Format};
use crate::fault::{Fault, Faults};
use crate::store::Stored;

/// One row of [`SINKS`].
#[derive(Debug)]
pub struct Kind {
    /// As the configuration names it.
    pub name: &'static str,
    /// The only format that makes sense to its receiver.
    own_format: Option<&'static Format>,
    /// Heartbeat and audit are wanted unless the file says otherwise.
    extras: bool,
    /// Its receiver has a use for messages that are no alerts.
    summaries: bool,
    build: Build,
}

type Build = fn(&mut Fields<'_>, &'static Format) -> Result<Built, Fault>;

impl Kind {
    const fn new(name: &'static str, build: Build) -> Self {
        Self { name, own_format: None, extras: true, summaries: true, build }
    }
}

pub static SINKS: &[Kind] =
    &[file::KIND, syslog::KIND, webhook::KIND, splunk::KIND, alertmanager::KIND, kafka::KIND];

/// One `[[sink]]` as it stands in the file; its keys are the business of its kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table(Spanned<BTreeMap<Spanned<String>, Spanned<Value>>>);

/// A sink that is ready to be started.
pub struct Configured {
    pub name: String,
    pub kind: &'static str,
    pub format: &'static Format,
    /// Messages, and their age, that may wait for it.
    pub max_messages: u32,
    pub max_age: Duration,
    pub filter: Filter,
    /// What a person should know who configures it so.
    pub note: Option<&'static str>,
    pub(super) built: Built,
}

impl Configured {
    /// Reads all `[[sink]]` of `file`, whose whole text is `text`.
    pub fn read(tables: &[Table], file: &str, text: &str) -> Result<Vec<Self>, Faults> {
        let mut sinks: Vec<Self> = Vec::new();
        let mut faults = Faults::default();
        for table in tables {
            let mut fields = Fields::new(table, file, text);
            match Self::from_fields(&mut fields) {
                Ok(sink) if sinks.iter().any(|s| s.name == sink.name) => {
                    let what = format!("two sinks are called `{}`", sink.name);
                    faults.0.push(fields.fault("name", what, "give each sink a name of its own"));
                }
                Ok(sink) => sinks.push(sink),
                Err(fault) => faults.0.push(fault),
            }
        }
        if faults.0.is_empty() { Ok(sinks) } else { Err(faults) }
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Fault> {
        let name = fields.text("name")?;
        let wanted = fields.text("kind")?;
        let Some(kind) = SINKS.iter().find(|k| k.name == wanted) else {
            let what = format!("there is no sink of kind `{wanted}`");
            return Err(fields.fault("kind", what, one_of(SINKS.iter().map(|k| k.name))));
        };
        let format = format(fields, kind)?;
        let filter = Filter::read_keys(fields, kind)?;
        let max_messages = fields.number_or("max_messages", 100_000, 1..=10_000_000)?;
        let days = fields.number_or("max_age_days", 7, 1..=3_650)?;
        let built = (kind.build)(fields, format)?;
        fields.finish()?;
        Ok(Self {
            name,
            kind: kind.name,
            format,
            max_messages: u32::try_from(max_messages).unwrap_or(u32::MAX),
            max_age: Duration::from_secs(days.unsigned_abs() * 86_400),
            filter,
            note: built.note,
            built,
        })
    }
}

/// The two sides of a sink: what wraps a message when it is accepted, and what carries it later.
pub(super) struct Built {
    pub(super) envelope: Box<dyn Envelope>,
    pub(super) sink: Box<dyn Sink>,
    /// It wants all open cases again and again.
    pub(super) standing: bool,
    note: Option<&'static str>,
}

impl Built {
    fn new(envelope: Box<dyn Envelope>, sink: Box<dyn Sink>) -> Self {
        Self { envelope, sink, standing: false, note: None }
    }
}

/// Makes the octets that the sink writes.
pub(super) trait Envelope: Send {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8>;
}

/// Carries messages in the order in which they are given.
pub(super) trait Sink: Send {
    /// Writes as many of the first as it likes; after an error it is unknown what arrived, and the sink begins anew with the
    /// next call.
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>>;

    /// Takes all open cases as they stand, where it asked for them.
    fn stand<'a>(&'a mut self, _standing: &'a [Vec<u8>]) -> Soon<'a, io::Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// A message is acknowledged when [`Sink::broken`] has not answered for so long after it was written.
    fn acknowledges_after(&self) -> Duration {
        Duration::ZERO
    }

    /// Answers when the connection is broken.
    fn broken(&mut self) -> Soon<'_, io::Error> {
        Box::pin(std::future::pending())
    }
}

/// What became of the first messages of those that were given.
pub(super) enum Written {
    /// So many were written. None: ask again.
    Taken(usize),
    /// So many were refused for good, and why.
    Refused(usize, String),
}

pub(super) type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reads the keys of one `[[sink]]`, and knows the line of each.
pub(super) struct Fields<'a> {
    table: &'a Table,
    file: &'a str,
    text: &'a str,
    read: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    const fn new(table: &'a Table, file: &'a str, text: &'a str) -> Self {
        Self { table, file, text, read: Vec::new() }
    }

    fn text(&mut self, key: &'static str) -> Result<String, Fault> {
        match self.value(key) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(self.fault(key, format!("`{key}` is no text"), "write it in quotes")),
            None => {
                let what = format!("a sink has no `{key}`");
                Err(self.fault(key, what, format!("add `{key} = \"...\"` to this [[sink]]")))
            }
        }
    }

    fn text_or(&mut self, key: &'static str, default: &str) -> Result<String, Fault> {
        if self.value(key).is_none() { Ok(default.into()) } else { self.text(key) }
    }

    fn text_some(&mut self, key: &'static str) -> Result<Option<String>, Fault> {
        if self.value(key).is_none() { Ok(None) } else { self.text(key).map(Some) }
    }

    /// One of `known`, where it is given.
    fn text_of(
        &mut self,
        key: &'static str,
        mut known: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<Option<String>, Fault> {
        let Some(text) = self.text_some(key)? else { return Ok(None) };
        if known.clone().any(|name| name == text) {
            return Ok(Some(text));
        }
        let what = format!("there is no `{text}` among the values of `{key}`");
        Err(self.fault(key, what, one_of(&mut known)))
    }

    /// A list of texts, not empty.
    fn list(&mut self, key: &'static str) -> Result<Vec<String>, Fault> {
        let all = self.value(key).and_then(Value::as_array);
        let texts: Option<Vec<String>> =
            all.and_then(|all| all.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
            let what = format!("`{key}` is no list of texts, or is empty");
            self.fault(key, what, format!("write `{key} = [\"...\"]`"))
        })
    }

    /// A list of some of `known`; empty where it is not given.
    fn texts_of(
        &mut self,
        key: &'static str,
        mut known: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<Vec<String>, Fault> {
        let all = match self.value(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(all)) => all,
            Some(_) => {
                let what = format!("`{key}` is no list");
                return Err(self.fault(key, what, "write it as [\"...\", \"...\"]"));
            }
        };
        let mut texts = Vec::new();
        for value in all {
            match value.as_str().filter(|text| known.clone().any(|name| name == *text)) {
                Some(text) => texts.push(text.to_owned()),
                None => {
                    let what = format!("there is no {value} among the values of `{key}`");
                    return Err(self.fault(key, what, one_of(&mut known)));
                }
            }
        }
        Ok(texts)
    }

    fn flag_or(&mut self, key: &'static str, default: bool) -> Result<bool, Fault> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Boolean(flag)) => Ok(*flag),
            Some(_) => Err(self.fault(
                key,
                format!("`{key}` is neither true nor false"),
                "write true or false",
            )),
        }
    }

    fn number_or(
        &mut self,
        key: &'static str,
        default: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, Fault> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Integer(number)) if range.contains(number) => Ok(*number),
            Some(_) => {
                let mend = format!("give a number from {} to {}", range.start(), range.end());
                Err(self.fault(key, format!("`{key}` is not such a number"), mend))
            }
        }
    }

    /// Refuses keys that nobody asked for.
    fn finish(&self) -> Result<(), Fault> {
        let unknown = self.table.0.get_ref().keys().find(|k| !self.read.contains(&&**k.get_ref()));
        unknown.map_or(Ok(()), |key| {
            let what = format!("unknown key `{}` in [[sink]]", key.get_ref());
            Err(self.fault(key.get_ref(), what, one_of(self.read.iter().copied())))
        })
    }

    /// A mistake at the line of `key`, or of the table where it has no such key.
    fn fault(&self, key: &str, what: impl Into<String>, mend: impl Into<String>) -> Fault {
        let key = self.table.0.get_ref().keys().find(|k| k.get_ref() == key);
        let offset = key.map_or(self.table.0.span().start, |k| k.span().start);
        Fault::new(self.file, what, mend).at_offset(self.text, offset)
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.read.contains(&key) {
            self.read.push(key);
        }
        self.table.0.get_ref().get(key).map(Spanned::get_ref)
    }
}

fn format(fields: &mut Fields<'_>, kind: &Kind) -> Result<&'static Format, Fault> {
    if let Some(own) = kind.own_format {
        return match fields.value("format") {
            None => Ok(own),
            Some(_) => {
                let what = format!("a sink of kind `{}` has a format of its own", kind.name);
                Err(fields.fault("format", what, "remove `format`"))
            }
        };
    }
    let wanted = fields.text_or("format", "json")?;
    Format::by_name(&wanted).ok_or_else(|| {
        let what = format!("there is no format `{wanted}`");
        fields.fault("format", what, one_of(FORMATS.iter().map(|f| f.name)))
    })
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    format!("use one of: {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::case::tests::lasting;
    use crate::alert::lasting::tests::{loss, silence};

    fn read(text: &str) -> Result<Vec<Configured>, Faults> {
        #[derive(Deserialize)]
        struct Whole {
            sink: Vec<Table>,
        }
        let whole: Whole = toml::from_str(text).unwrap();
        Configured::read(&whole.sink, "saastap.toml", text)
    }

    fn fault(text: &str) -> String {
        read(text).err().unwrap().to_string()
    }

    #[test]
    fn reads_both_kinds() {
        let sinks = read(
            "[[sink]]\nname = 'a'\nkind = 'file'\npath = '/x'\n\
             [[sink]]\nname = 'b'\nkind = 'syslog'\naddress = '[::1]:6514'\nack_seconds = 1\nmax_age_days = 1\n",
        )
        .unwrap();
        let told: Vec<_> = sinks.iter().map(|s| (&*s.name, s.kind, s.format.name)).collect();
        assert_eq!(told, [("a", "file", "json"), ("b", "syslog", "json")]);
        assert_eq!(sinks[1].max_age, Duration::from_secs(86_400));
        assert_eq!(sinks[1].built.sink.acknowledges_after(), Duration::from_secs(1));
    }

    #[test]
    fn tells_mistakes_with_line_and_remedy() {
        let unknown = fault("# x\n[[sink]]\nname = 'a'\nkind = 'file'\npath = '/x'\ncolour = 1\n");
        assert!(unknown.starts_with("saastap.toml:6: unknown key `colour`"), "{unknown}");
        assert!(unknown.contains("path"), "{unknown}");
        let kind = fault("[[sink]]\nname = 'a'\nkind = 'fax'\n");
        assert!(kind.starts_with("saastap.toml:3: there is no sink of kind `fax`"), "{kind}");
        assert!(kind.contains("file, syslog, webhook"), "{kind}");
        let format = fault("[[sink]]\nname = 'a'\nkind = 'file'\nformat = 'morse'\n");
        assert!(format.starts_with("saastap.toml:4: there is no format `morse`"), "{format}");
        let missing = fault("\n[[sink]]\nname = 'a'\nkind = 'file'\n");
        assert!(missing.starts_with("saastap.toml:2: a sink has no `path`"), "{missing}");
        let typed = fault("[[sink]]\nname = 'a'\nkind = 'syslog'\naddress = 514\n");
        assert!(typed.starts_with("saastap.toml:4: `address` is no text"), "{typed}");
        let port = fault("[[sink]]\nname = 'a'\nkind = 'syslog'\naddress = 'siem'\n");
        assert!(port.starts_with("saastap.toml:4: `siem` has no port"), "{port}");
        let range = fault("[[sink]]\nname='a'\nkind='file'\npath='/x'\nmax_messages = 0\n");
        assert!(range.starts_with("saastap.toml:5: `max_messages`"), "{range}");
        let one = "[[sink]]\nname = 'a'\nkind = 'file'\npath = '/x'\n";
        let twice = fault(&format!("{one}{one}"));
        assert!(twice.starts_with("saastap.toml:6: two sinks are called `a`"), "{twice}");
    }

    #[test]
    fn refuses_formats_and_values_that_make_no_sense() {
        let sink = |rest: &str| format!("[[sink]]\nname = 'a'\n{rest}\n");
        let told = |rest: &str, expected: &str| {
            let fault = fault(&sink(rest));
            assert!(fault.contains(expected), "{fault}");
        };
        let manager = "kind = 'alertmanager'\nurl = 'http://[::1]:9093'\n";
        assert_eq!(read(&sink(manager)).unwrap()[0].format.name, "alertmanager");
        told(
            &format!("{manager}usage = 'hourly'"),
            "saastap.toml:5: a sink of kind `alertmanager`",
        );
        let weekly = "kind = 'file'\npath = '/x'\nusage = 'weekly'\n";
        told(weekly, "saastap.toml:5: there is no `weekly` among the values of `usage`");
        told(&format!("{manager}format = 'cef'"), "saastap.toml:5: a sink of kind `alertmanager`");
        told("kind = 'webhook'\nurl = 'ftp://x'", "saastap.toml:4: `ftp://x` begins neither");
        told("kind = 'webhook'\nurl = 'https://u:p@x/'", "has no host, or a password");
        told("kind = 'splunk_hec'\nurl = 'http://x'", "add `token_file` or `token_env`");
        told("kind = 'webhook'\nurl = 'http://x'\nsecret_file = '/none'", "saastap.toml:5: /none");
        told("kind = 'file'\npath = '/x'\nmin_severity = 'huge'", "use one of: informational, low");
        told("kind = 'file'\npath = '/x'\nfindings = ['x']", "first_seen");
        told("kind = 'file'\npath = '/x'\nstates = 'x'", "`states` is no list");
        let syslog = "kind = 'syslog'\naddress = 'siem:514'\n";
        told(&format!("{syslog}transport = 'fax'"), "use one of: tcp, tls, udp");
        told(&format!("{syslog}transport = 'tls'\nca_file = '/none'"), "saastap.toml:6: /none");
        told(&format!("{syslog}format = 'ecs'\nmax_octets = 4000"), "from 4608 to");
        let udp = read(&sink(&format!("{syslog}transport = 'udp'"))).unwrap();
        assert!(udp[0].note.unwrap().contains("lost"));
        told(&format!("{syslog}transport = 'udp'\nack_seconds = 1"), "unknown key `ack_seconds`");
    }

    #[test]
    fn a_filter_takes_what_it_names() {
        let text = "[[sink]]\nname = 'a'\nkind = 'file'\npath = '/x'\n";
        let wants = |rest: &str, event: &Event| {
            read(&format!("{text}{rest}\n")).unwrap()[0].filter.wants(event)
        };
        let event = crate::alert::case::tests::raised(1, 1).event;
        assert!(wants("", &event));
        for (rest, wanted) in [
            ("min_severity = 'high'", true),
            ("findings = ['first_seen']", false),
            ("findings = ['first_seen', 'unsanctioned_use']", true),
            ("states = ['unsanctioned']", false),
            ("states = ['unreviewed']", true),
            ("heartbeat = false", true),
        ] {
            assert_eq!(wants(rest, &event), wanted, "{rest}");
        }
        let beat = Event {
            what: crate::alert::event::What::Heartbeat { values: BTreeMap::new() },
            ..event
        };
        assert!(wants("min_severity = 'high'", &beat) && !wants("heartbeat = false", &beat));

        let (silence, loss) = (lasting(silence()).event, lasting(loss()).event);
        for (rest, of_vendor, of_sensor) in [
            ("states = ['sanctioned']", true, true),
            ("states = ['unreviewed']", false, true),
            ("findings = ['visibility_loss']", false, true),
            ("min_severity = 'medium'", false, true),
        ] {
            assert_eq!(
                (wants(rest, &silence), wants(rest, &loss)),
                (of_vendor, of_sensor),
                "{rest}"
            );
        }
    }
}
