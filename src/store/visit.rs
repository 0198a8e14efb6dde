//! A visit to the file of a store that a daemon may have open: nothing is made, migrated or set aside.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::schema::VERSION;
use super::{Error, Store};

impl Store {
    /// Opens a file that is there, to read it. What a daemon commits meanwhile is seen by the next query.
    ///
    /// # Errors
    /// The file is missing, damaged, or has another schema than this program's.
    pub fn read_only(path: &Path) -> Result<Self, Error> {
        Self::visit(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Opens a file that is there, to [commit](Self::commit) rows beside a daemon: each waits for the other.
    ///
    /// # Errors
    /// As for [`read_only`](Self::read_only).
    pub fn beside(path: &Path) -> Result<Self, Error> {
        let store = Self::visit(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store.connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(store)
    }

    fn visit(path: &Path, how: OpenFlags) -> Result<Self, Error> {
        let connection = Connection::open_with_flags(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(PATIENCE)?;
        let found: Option<String> = connection
            .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))
            .optional()?;
        let found = found.and_then(|version| version.parse::<usize>().ok()).unwrap_or(0);
        if found != VERSION {
            return Err(Error::Newer { found, known: VERSION });
        }
        Ok(Self { connection })
    }
}

/// A daemon's transaction takes milliseconds; a checkpoint of a large log some hundreds.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Batch;

    fn row(key: &str) -> Batch {
        Batch { windows: vec![(key.into(), Some("{}".into()))], ..Batch::default() }
    }

    #[test]
    fn a_visitor_sees_and_adds_rows_while_the_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (mut own, _) = Store::open(&path).unwrap();
        own.commit(&[row("case/1")]).unwrap();
        let reader = Store::read_only(&path).unwrap();
        assert_eq!(reader.windows().unwrap().len(), 1);
        let mut reader = reader;
        assert!(reader.commit(&[row("case/2")]).is_err(), "it only reads");
        Store::beside(&path).unwrap().commit(&[row("case/0")]).unwrap();
        own.commit(&[row("case/3")]).unwrap();
        let keys = |rows: Vec<(String, String)>| -> Vec<String> {
            rows.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(reader.windows().unwrap()), ["case/0", "case/1", "case/3"]);
        assert_eq!(keys(own.windows_under("case/", 2).unwrap()), ["case/0", "case/1"]);
        assert!(own.windows_under("told/", 9).unwrap().is_empty());
    }

    #[test]
    fn a_visitor_makes_mends_and_moves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert!(Store::read_only(&path).is_err() && Store::beside(&path).is_err());
        assert!(!path.exists());
        std::fs::write(&path, "no database at all, but long enough to be one".repeat(99)).unwrap();
        assert!(Store::read_only(&path).is_err() && Store::beside(&path).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::remove_file(&path).unwrap();
        drop(Store::open(&path).unwrap());
        let other = Connection::open(&path).unwrap();
        other.execute("UPDATE meta SET value = '1' WHERE key = 'schema'", []).unwrap();
        let refused = Store::beside(&path).unwrap_err().to_string();
        assert!(refused.contains("schema 1") && refused.contains("mend: "), "{refused}");
        let left: String = other
            .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, "1");
    }
}
