//! The SQLite file on disk: opens, migrates and commits; other stages give it rows.

mod forget;
mod schema;
mod visit;
mod writer;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use self::forget::forget;
pub use self::schema::Retention;
use self::schema::{migrate, put, put_names, quarantine, release};
pub use self::writer::{Windows, Writer};

crate::rows! {
    /// What the store counts.
    pub enum Counter {
        Commits => Counter "saastap_store_commits_total" "Transactions committed to the store.",
        Failures => Counter "saastap_store_commit_failures_total" "Transactions that the store could not commit.",
        Retired => Counter "saastap_store_retired_rows_total" "Rows deleted because they were older than [store] keeps them.",
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

    /// Opens or makes the file. A damaged one is set aside beside it as `*.damaged-N`, which the answer names, and a new one
    /// is made in its place.
    pub fn open(path: &Path) -> Result<(Self, Option<PathBuf>), Error> {
        match Self::open_whole(path) {
            Ok(store) => Ok((store, None)),
            Err(Error::Sqlite(error)) if is_damage(&error) => {
                let aside = set_aside(path).map_err(Error::Aside)?;
                Ok((Self::open_whole(path)?, Some(aside)))
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
        let dropped = self.connection.execute(
            "DELETE FROM outbox WHERE sink NOT IN (SELECT value FROM json_each(?1))",
            [known],
        )?;
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
        let over = transaction.execute(
            "DELETE FROM outbox WHERE sink = ?1 AND id <= \
             (SELECT id FROM outbox WHERE sink = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            params![sink, keep],
        )?;
        let depth: i64 = transaction.query_row(
            "SELECT count(*) FROM outbox WHERE sink = ?1",
            [sink],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        Ok(Trimmed { given_up: (old + over) as u64, depth: depth.unsigned_abs() })
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

/// What one transaction has to hold together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Comes back with the answer.
    pub token: u128,
    /// Key and value; no value deletes.
    pub windows: Vec<(String, Option<String>)>,
    pub usages: Vec<(UsageKey, Option<String>)>,
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::count::Cells;

    fn batch(n: u32) -> Batch {
        Batch {
            token: u128::from(n),
            windows: vec![(format!("case/{n}"), Some("{}".into()))],
            usages: vec![(
                UsageKey { client: n.to_string(), ..UsageKey::default() },
                Some("{}".into()),
            )],
            letters: vec![Letter {
                sink: "siem".into(),
                event: format!("e-{n}"),
                payload: b"\x00\xffnot text".to_vec(),
                created: i64::from(n),
            }],
        }
    }

    fn ask<T: Send + 'static>(ask: impl FnOnce(Reply<T>) -> bool) -> T {
        let (sender, answer) = channel();
        assert!(ask(Box::new(move |value| sender.send(value.unwrap()).unwrap())));
        answer.recv().unwrap()
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saastap.db");
        let (store, aside) = Store::open(&path).unwrap();
        assert_eq!(aside, None);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(store);
    }

    #[test]
    fn a_killed_process_leaves_what_was_answered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (store, damaged) = Store::open(&path).unwrap();
        assert_eq!(damaged, None);
        let (writer, answers) = store.start(16, Cells::new()).unwrap();
        for n in 1..=3 {
            writer.commit(batch(n)).unwrap();
        }
        for n in 1..=3 {
            assert_eq!(answers.recv().unwrap(), Answer { token: n, accepted: true });
        }
        // The files as a kill would leave them: nothing was closed, no checkpoint was made.
        let copy = folder.path().join("b.db");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(folder.path().join("a.db-wal"), folder.path().join("b.db-wal")).unwrap();
        let (store, damaged) = Store::open(&copy).unwrap();
        assert_eq!(damaged, None);
        let events: Vec<String> =
            store.fetch("siem", 0, 9).unwrap().into_iter().map(|s| s.event).collect();
        assert_eq!(events, ["e-1", "e-2", "e-3"]);
        assert_eq!(store.windows().unwrap().len(), 3);
        assert_eq!(store.usages().unwrap()[2].0.client, "3");
        assert_eq!(store.fetch("siem", 0, 1).unwrap()[0].payload, b"\x00\xffnot text");
    }

    #[test]
    fn the_outbox_keeps_order_and_forgets_what_was_delivered() {
        let (writer, _answers) = Store::memory().unwrap().start(64, Cells::new()).unwrap();
        for n in [1, 2, 2, 3, 4] {
            writer.commit(batch(n)).unwrap();
        }
        let all = ask(|reply| writer.fetch("siem", 0, 9, reply));
        let events: Vec<&str> = all.iter().map(|s| &*s.event).collect();
        assert_eq!(events, ["e-1", "e-2", "e-3", "e-4"], "an event twice is one message");
        assert!(ask(|reply| writer.fetch("other", 0, 9, reply)).is_empty());
        assert!(writer.delivered(vec![all[0].id]));
        writer.attempted(vec![all[1].id]);
        let rest = ask(|reply| writer.fetch("siem", 0, 9, reply));
        assert_eq!((rest.len(), rest[0].attempts, rest[1].attempts), (3, 1, 0));
        assert_eq!(ask(|reply| writer.fetch("siem", all[2].id, 9, reply)).len(), 1);
        let trimmed = ask(|reply| writer.trim("siem", 1, 3, reply));
        assert_eq!(trimmed, Trimmed { given_up: 2, depth: 1 }, "one too old, one too many");
        assert_eq!(ask(|reply| writer.fetch("siem", 0, 9, reply))[0].event, "e-4");
    }

    #[test]
    fn what_was_refused_is_set_apart_and_tried_again_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (writer, _answers) = Store::open(&path).unwrap().0.start(16, Cells::new()).unwrap();
        for n in 1..=3 {
            writer.commit(batch(n)).unwrap();
        }
        let all = ask(|reply| writer.fetch("siem", 0, 9, reply));
        assert!(writer.refused(vec![all[1].id]));
        let rest = ask(|reply| writer.fetch("siem", 0, 9, reply));
        assert_eq!(rest.iter().map(|s| &*s.event).collect::<Vec<_>>(), ["e-1", "e-3"]);
        writer.close();
        let (store, _) = Store::open(&path).unwrap();
        let events: Vec<String> =
            store.fetch("siem", 0, 9).unwrap().into_iter().map(|s| s.event).collect();
        assert_eq!(events, ["e-1", "e-3", "e-2"]);
    }

    #[test]
    fn messages_of_sinks_that_are_gone_are_dropped() {
        let mut store = Store::memory().unwrap();
        store.commit(&[batch(1), batch(2)]).unwrap();
        assert_eq!(store.keep_sinks(&["siem", "other"]).unwrap(), 0);
        assert_eq!(store.keep_sinks(&["other"]).unwrap(), 2);
        assert!(store.fetch("siem", 0, 9).unwrap().is_empty());
    }

    #[test]
    fn a_full_queue_gives_the_batch_back() {
        let (writer, answers) = Store::memory().unwrap().start(1, Cells::new()).unwrap();
        let back = (0..100).find_map(|n| writer.commit(batch(n)).err()).unwrap();
        assert!(back.token > 0);
        writer.flush();
        let told: Vec<u128> = answers.try_iter().map(|a| a.token).collect();
        assert_eq!(told, (0..back.token).collect::<Vec<_>>(), "all before it are answered");
        writer.close();
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_a_new_one_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for n in 1..=2 {
            std::fs::write(&path, b"no database at all, however long this text may be").unwrap();
            let (store, damaged) = Store::open(&path).unwrap();
            assert_eq!(damaged, Some(folder.path().join(format!("a.db.damaged-{n}"))));
            assert!(damaged.unwrap().exists());
            assert!(store.windows().unwrap().is_empty());
        }
        // Pages overwritten in the middle of a real one.
        let (mut store, _) = Store::open(&path).unwrap();
        store.commit(&(0..2_000).map(batch).collect::<Vec<_>>()).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8_192].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let (store, damaged) = Store::open(&path).unwrap();
        assert_eq!(damaged, Some(folder.path().join("a.db.damaged-3")));
        assert!(store.windows().unwrap().is_empty());
    }

    #[test]
    fn names_are_kept_until_they_run_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let row = |key: &str, until| NameRow { key: key.into(), value: "[]".into(), until };
        let (writer, _answers) = Store::open(&path).unwrap().0.start(16, Cells::new()).unwrap();
        assert!(writer.keep_names(vec![row("cname/a", 100), row("cname/b", 300)], 50));
        assert!(writer.keep_names(vec![row("cname/c", 200), row("cname/b", 400)], 50));
        writer.close();
        let keys = |store: &Store| -> Vec<String> {
            store.names().unwrap().into_iter().map(|(key, _)| key).collect()
        };
        let (store, _) = Store::open(&path).unwrap();
        assert_eq!(keys(&store), ["cname/b", "cname/c", "cname/a"], "those that last come first");
        let (writer, _answers) = store.start(16, Cells::new()).unwrap();
        assert!(writer.keep_names(Vec::new(), 201));
        writer.close();
        assert_eq!(keys(&Store::open(&path).unwrap().0), ["cname/b"]);
    }

    #[test]
    fn a_store_of_the_first_schema_is_brought_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (mut store, _) = Store::open(&path).unwrap();
        store.commit(&[batch(1)]).unwrap();
        let back = "DROP TABLE name; DROP TABLE quarantine; UPDATE meta SET value = '1' WHERE key = 'schema'";
        store.connection.execute_batch(back).unwrap();
        drop(store);
        let (store, aside) = Store::open(&path).unwrap();
        assert_eq!((store.names().unwrap().len(), aside), (0, None));
        assert_eq!(store.windows().unwrap().len(), 1);
    }

    #[test]
    fn a_later_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (store, _) = Store::open(&path).unwrap();
        store.connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'", []).unwrap();
        drop(store);
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
        assert!(path.exists());
    }

    #[test]
    fn a_failed_commit_is_answered_as_refused() {
        let store = Store::memory().unwrap();
        store.connection.execute_batch("DROP TABLE window").unwrap();
        let cells = Cells::new();
        let (writer, answers) = store.start(4, cells.clone()).unwrap();
        writer.commit(batch(7)).unwrap();
        assert_eq!(answers.recv().unwrap(), Answer { token: 7, accepted: false });
        assert_eq!(cells.get(Counter::Failures), 1);
    }

    #[test]
    fn what_is_too_old_is_deleted_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("saastap.db")).unwrap().0;
        let usage = |client: &str, last: &str| {
            let key = UsageKey { client: client.into(), ..UsageKey::default() };
            (key, Some(format!("{{\"last\":\"{last}\"}}")))
        };
        let letter = |event: &str, created| Letter {
            sink: "s".into(),
            event: event.into(),
            payload: Vec::new(),
            created,
        };
        let usages = vec![
            usage("c-old", "2026-01-31T23:59:59.5Z"),
            usage("c-new", "2026-02-01T00:00:00Z"),
            usage("past", "2026-01-01T00:00:00Z"),
        ];
        let letters = vec![letter("old", 999), letter("new", 1_000)];
        store.commit(&[Batch { usages, letters, ..Batch::default() }]).unwrap();
        let cells = Cells::new();
        let (writer, _answers) = store.start(8, cells.clone()).unwrap();
        let retention = Retention {
            clients: "2026-02-01T00:00:00Z".into(),
            sums: "2025-01-01T00:00:00Z".into(),
            sum: "past",
            alerts: 1_000,
        };
        assert!(writer.retire(retention));
        writer.close();
        assert_eq!(cells.get(Counter::Retired), 2);
        let store = Store::open(&dir.path().join("saastap.db")).unwrap().0;
        let left: Vec<String> =
            store.usages().unwrap().into_iter().map(|(k, _)| k.client).collect();
        assert_eq!(left, ["c-new", "past"]);
        assert_eq!(store.fetch("s", 0, 9).unwrap().len(), 1);
    }
}
