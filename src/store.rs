//! The SQLite file on disk: opens, migrates and commits; other stages give it rows.

mod forget;
mod rollup;
mod salvage;
mod schema;
#[cfg(test)]
mod tests;
mod visit;
mod writer;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use self::forget::forget;
pub use self::rollup::{Rollup, RollupSum};
use self::salvage::salvage;
pub use self::schema::Retention;
use self::schema::{migrate, put, put_names, quarantine, release};
pub use self::writer::{Windows, Writer, tell_orphaned};

crate::rows! {
    /// What the store counts.
    pub enum Counter {
        Commits => Counter "saastap_store_commits_total" "Transactions committed to the store.",
        Failures => Counter "saastap_store_commit_failures_total" "Transactions that the store could not commit.",
        Orphaned => Counter "saastap_store_orphaned_messages_total" "Messages dropped because their sink is no longer configured.",
        Retired => Counter "saastap_store_retired_rows_total" "Rows deleted because they were older than [store] keeps them.",
        Crowded => Counter "saastap_store_rollups_dropped_total" "Hourly roll-ups deleted because there were too many, though they were not too old.",
        NamesLost => Counter "saastap_store_names_lost_total" "Rows of names, remembered verdicts and leases given up because the store could not commit them for too long.",
        Outbox => Gauge "saastap_outbox_messages" "Messages waiting in the outbox for all sinks.",
    }
}

/// An open store, for one thread: read at start, then given to [`Store::start`].
///
/// Commits are durable when they return (WAL, synchronous=FULL).
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Octets of pages that SQLite may cache.
    pub const MEMORY: u64 = 8 << 20;

    /// Opens or makes the file. A damaged one is set aside, and a new one is made in its place with what could be read.
    pub fn open(path: &Path) -> Result<(Self, Option<Damaged>), Error> {
        match Self::open_whole(path) {
            Ok(store) => Ok((store, None)),
            Err(Error::Sqlite(error)) if is_damage(&error) => {
                let aside = set_aside(path).map_err(Error::Aside)?;
                let mut store = Self::open_whole(path)?;
                let saved = salvage(&aside, &mut store.connection)?;
                Ok((store, Some(Damaged { aside, saved })))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a file that nobody else has open, to delete from it for good: what is deleted is overwritten.
    pub fn open_alone(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Missing);
        }
        let store = Self::open_whole(path)?;
        store.connection.busy_timeout(Duration::from_millis(200))?;
        // SQLite leaves WAL only where no other connection is (sqlite.org/wal.html, section 1).
        let mode =
            store.connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
                row.get::<_, String>(0)
            });
        match mode {
            Ok(mode) if mode == "delete" => {}
            Ok(_) => return Err(Error::InUse),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                return Err(Error::InUse);
            }
            Err(error) => return Err(error.into()),
        }
        store.connection.pragma_update(None, "secure_delete", true)?;
        Ok(store)
    }

    /// A store that ends with the process.
    pub fn memory() -> Result<Self, Error> {
        let mut connection = Connection::open_in_memory()?;
        migrate(&mut connection)?;
        Ok(Self { connection })
    }

    /// All rows of `window`: key and value.
    pub fn windows(&self) -> Result<Vec<(String, String)>, Error> {
        let mut select = self.connection.prepare("SELECT key, value FROM window ORDER BY key")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }

    /// Rows of `window` whose key begins with `prefix`, at most `limit`, in the order of their keys.
    pub fn windows_under(&self, prefix: &str, limit: u32) -> Result<Vec<(String, String)>, Error> {
        let mut select = self.connection.prepare_cached(
            "SELECT key, value FROM window WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
        )?;
        let end = format!("{prefix}\u{10ffff}");
        let rows =
            select.query_map(params![prefix, end, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }

    /// All rows of `usage`: key and value.
    pub fn usages(&self) -> Result<Vec<(UsageKey, String)>, Error> {
        let mut select = self
            .connection
            .prepare("SELECT grp, client, vendor, tenant, role, value FROM usage")?;
        let rows = select.query_map([], |row| {
            let key = UsageKey {
                group: row.get(0)?,
                client: row.get(1)?,
                vendor: row.get(2)?,
                tenant: row.get(3)?,
                role: row.get(4)?,
            };
            Ok((key, row.get(5)?))
        })?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }

    /// Rows of `name`, key and value: of more than [`MAX_NAMES`] those that last longest.
    pub fn names(&self) -> Result<Vec<(String, String)>, Error> {
        let mut select = self
            .connection
            .prepare("SELECT key, value FROM name ORDER BY until DESC, key LIMIT ?1")?;
        let rows = select.query_map([MAX_NAMES], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }

    /// Drops messages for all sinks but these, which nobody would ever fetch, and says how many.
    pub fn keep_sinks(&mut self, names: &[&str]) -> Result<usize, Error> {
        let known = serde_json::to_string(names).unwrap_or_default();
        let transaction = self.connection.transaction()?;
        let mut dropped = 0;
        for table in ["outbox", "quarantine"] {
            let unknown = "sink NOT IN (SELECT value FROM json_each(?1))";
            dropped +=
                transaction.execute(&format!("DELETE FROM {table} WHERE {unknown}"), [&known])?;
        }
        transaction.commit()?;
        Ok(dropped)
    }

    /// Messages for `sink` after row `after`, oldest first.
    pub fn fetch(&self, sink: &str, after: i64, limit: u32) -> Result<Vec<Stored>, Error> {
        let mut select = self.connection.prepare_cached(
            "SELECT id, event, payload, created, attempts FROM outbox \
             WHERE sink = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let rows = select.query_map(params![sink, after, limit], |row| {
            Ok(Stored {
                id: row.get(0)?,
                event: row.get(1)?,
                payload: row.get(2)?,
                created: row.get(3)?,
                attempts: row.get(4)?,
            })
        })?;
        rows.collect::<Result<_, _>>().map_err(Error::from)
    }

    /// Deletes the clients of these ids: usages, names of these keys, messages that tell one, and cases that are about one or
    /// tell its address; in other cases their ids become `forgotten`. How many rows.
    pub fn forget(&mut self, ids: &[String], names: &[String]) -> Result<usize, Error> {
        let transaction = self.connection.transaction()?;
        let rows = forget(&transaction, ids, names)?;
        transaction.commit()?;
        self.connection.execute_batch("VACUUM")?;
        Ok(rows)
    }

    /// All batches in one transaction.
    pub fn commit(&mut self, batches: &[Batch]) -> Result<(), Error> {
        self.commit_group(batches, &[], &[], &[], None)
    }

    fn commit_group(
        &mut self,
        batches: &[Batch],
        delivered: &[i64],
        attempted: &[i64],
        refused: &[i64],
        names: Option<(&[NameRow], i64)>,
    ) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        if let Some((names, now)) = names {
            put_names(&transaction, names, now)?;
        }
        for batch in batches {
            put(&transaction, batch)?;
        }
        quarantine(&transaction, refused)?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
            for id in delivered {
                delete.execute([id])?;
            }
            let mut attempt = transaction
                .prepare_cached("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1")?;
            for id in attempted {
                attempt.execute([id])?;
            }
        }
        transaction.commit().map_err(Error::from)
    }

    fn trim(&mut self, sink: &str, keep: u32, created_since: i64) -> Result<Trimmed, Error> {
        let transaction = self.connection.transaction()?;
        let old = transaction.execute(
            "DELETE FROM outbox WHERE sink = ?1 AND created < ?2",
            params![sink, created_since],
        )?;
        let depth: i64 = transaction.query_row(
            "SELECT count(*) FROM outbox WHERE sink = ?1",
            [sink],
            |row| row.get(0),
        )?;
        let over = (depth - i64::from(keep)).max(0);
        if over > 0 {
            transaction.execute(
                "DELETE FROM outbox WHERE id IN \
                 (SELECT id FROM outbox WHERE sink = ?1 ORDER BY state DESC, id LIMIT ?2)",
                params![sink, over],
            )?;
        }
        transaction.commit()?;
        let given_up = old as u64 + over.unsigned_abs();
        Ok(Trimmed { given_up, depth: (depth - over).unsigned_abs() })
    }

    fn open_whole(path: &Path) -> Result<Self, Error> {
        // The file is its owner's alone, whatever the umask; SQLite gives its journals the same mode.
        let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -((Self::MEMORY >> 10) as i64))?;
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(Error::Sqlite(rusqlite::Error::SqliteFailure(code, Some(verdict))));
        }
        migrate(&mut connection)?;
        release(&connection)?;
        Ok(Self { connection })
    }
}

/// A file that could not be read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where it lies now: beside its place, as `*.damaged-N`.
    pub aside: PathBuf,
    /// Rows of it that were taken over.
    pub saved: usize,
}

/// What one transaction has to hold together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Comes back with the answer.
    pub token: u128,
    /// Key and value; no value deletes.
    pub windows: Vec<(String, Option<String>)>,
    pub usages: Vec<(UsageKey, Option<String>)>,
    /// Rows of hours that are not told yet: the hour since the epoch, key and value; no value deletes.
    pub hours: Vec<(u32, UsageKey, Option<String>)>,
    /// Added to what is there of the same hour and place.
    pub rollups: Vec<Rollup>,
    /// A message that is in the outbox already, by sink and event, is left as it is.
    pub letters: Vec<Letter>,
}

/// A key of the table `usage`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UsageKey {
    pub group: String,
    pub client: String,
    pub vendor: String,
    /// Empty where there is none.
    pub tenant: String,
    pub role: String,
}

/// A row of the table `name`: what DNS taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRow {
    pub key: String,
    pub value: String,
    /// Seconds since the epoch by packet time, after which it is worth nothing.
    pub until: i64,
}

/// Names read at a start; a campus has fewer.
const MAX_NAMES: u32 = 500_000;

/// A message for one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub sink: String,
    pub event: String,
    pub payload: Vec<u8>,
    /// Milliseconds since the epoch by the wall clock.
    pub created: i64,
    /// Given up before all others where too much waits for the sink.
    pub spare: bool,
}

/// A message as the outbox holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: i64,
    pub event: String,
    pub payload: Vec<u8>,
    pub created: i64,
    pub attempts: u32,
}

/// Whether the batch of this token is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub token: u128,
    pub accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    pub given_up: u64,
    /// What is left for the sink.
    pub depth: u64,
}

/// Called once, on the store's thread: must not block.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

/// Why the store cannot be used.
#[derive(Debug)]
pub enum Error {
    Sqlite(rusqlite::Error),
    /// Another version of the program wrote the file.
    Newer {
        found: usize,
        known: usize,
    },
    Missing,
    /// Another process has it open.
    InUse,
    /// The damaged file could not be renamed.
    Aside(std::io::Error),
    Thread(std::io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "store: {error}"),
            Self::Newer { found, known } => write!(
                f,
                "store: the file has schema {found}, this program knows {known}\n  \
                 mend: use the version that wrote it, or configure another path"
            ),
            Self::Missing => {
                write!(f, "store: there is no file\n  mend: name its directory in [store]")
            }
            Self::InUse => write!(f, "store: another process has it open"),
            Self::Aside(error) => write!(f, "store: the damaged file cannot be set aside: {error}"),
            Self::Thread(error) => write!(f, "store: its thread cannot be started: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames the file, and its log beside it, to the first free `*.damaged-N`.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let with = |tail: &str| {
        let mut name = OsString::from(path);
        name.push(tail);
        PathBuf::from(name)
    };
    let free = |n: &u32| !with(&format!(".damaged-{n}")).exists();
    let n = (1..10_000).find(free).unwrap_or(10_000);
    let aside = with(&format!(".damaged-{n}"));
    std::fs::rename(path, &aside)?;
    for log in ["-wal", "-shm"] {
        if with(log).exists() {
            std::fs::rename(with(log), with(&format!(".damaged-{n}{log}")))?;
        }
    }
    Ok(aside)
}
