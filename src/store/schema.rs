//! The tables of the store: how they came about, and how rows are written into them.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::rollup::{add_rollups, put_hours};
use super::{Batch, Error, Letter, NameRow, UsageKey};

/// Brings the file to the schema that this program knows.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
    )?;
    let version: Option<String> = transaction
        .query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| row.get(0))
        .optional()?;
    let version = version.and_then(|v| v.parse::<usize>().ok()).unwrap_or(0);
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(Error::Newer { found: version, known: MIGRATIONS.len() });
    };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema', ?1)",
        [MIGRATIONS.len().to_string()],
    )?;
    transaction.commit().map_err(Error::from)
}

/// Writes the rows of one batch.
pub(super) fn put(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), rusqlite::Error> {
    for (key, value) in &batch.windows {
        match value {
            Some(value) => transaction
                .prepare_cached("INSERT OR REPLACE INTO window (key, value) VALUES (?1, ?2)")?
                .execute(params![key, value])?,
            None => transaction
                .prepare_cached("DELETE FROM window WHERE key = ?1")?
                .execute(params![key])?,
        };
    }
    for (key, value) in &batch.usages {
        let UsageKey { group, client, vendor, tenant, role } = key;
        match value {
            Some(value) => transaction
                .prepare_cached("INSERT OR REPLACE INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![group, client, vendor, tenant, role, value])?,
            None => transaction
                .prepare_cached(
                    "DELETE FROM usage WHERE grp = ?1 AND client = ?2 AND vendor = ?3 \
                     AND tenant = ?4 AND role = ?5",
                )?
                .execute(params![group, client, vendor, tenant, role])?,
        };
    }
    put_hours(transaction, &batch.hours)?;
    add_rollups(transaction, &batch.rollups)?;
    for Letter { sink, event, payload, created, spare } in &batch.letters {
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO outbox (sink, event, payload, created, state) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![sink, event, payload, created, spare])?;
    }
    Ok(())
}

/// Writes names, and forgets those that have run out at `now` (seconds since the epoch).
pub(super) fn put_names(
    transaction: &Transaction<'_>,
    names: &[NameRow],
    now: i64,
) -> Result<(), rusqlite::Error> {
    let mut insert = transaction
        .prepare_cached("INSERT OR REPLACE INTO name (key, value, until) VALUES (?1, ?2, ?3)")?;
    for NameRow { key, value, until } in names {
        insert.execute(params![key, value, until])?;
    }
    transaction.prepare_cached("DELETE FROM name WHERE until < ?1")?.execute([now])?;
    Ok(())
}

/// Takes messages out of the outbox that their receiver will never take. The oldest beyond [`MAX_REFUSED`] go for good.
pub(super) fn quarantine(
    transaction: &Transaction<'_>,
    ids: &[i64],
) -> Result<(), rusqlite::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    for id in ids {
        transaction
            .prepare_cached(
                "INSERT INTO quarantine (sink, event, payload, created, state) \
                 SELECT sink, event, payload, created, state FROM outbox WHERE id = ?1",
            )?
            .execute([id])?;
        transaction.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM quarantine WHERE id <= (SELECT id FROM quarantine ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([MAX_REFUSED])?;
    Ok(())
}

/// What is kept until when: older rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Times as usages hold them (RFC 3339): for those of clients, and for the sums whose client is `sum`.
    pub clients: String,
    pub sums: String,
    pub sum: &'static str,
    /// Milliseconds since the epoch, for messages.
    pub alerts: i64,
    /// The same for messages that tell what one client did.
    pub summaries: i64,
    /// Hours since the epoch, for roll-ups.
    pub rollups: u32,
}

/// Deletes what is too old; how many rows. Usages as well that memory had no room for.
pub(super) fn retire(
    connection: &Connection,
    retention: &Retention,
) -> Result<usize, rusqlite::Error> {
    let Retention { clients, sums, sum, alerts, summaries, rollups } = retention;
    let old = connection.execute(
        "DELETE FROM usage WHERE json_valid(value) AND json_extract(value, '$.last') < \
         CASE client WHEN ?1 THEN ?2 ELSE ?3 END",
        params![sum, sums, clients],
    )?;
    let mut rows = old;
    for table in ["quarantine", "outbox"] {
        rows += connection.execute(
            &format!(
                "DELETE FROM {table} WHERE created < CASE state WHEN {SPARE} THEN ?1 ELSE ?2 END"
            ),
            params![summaries, alerts],
        )?;
    }
    rows += connection.execute("DELETE FROM rollup WHERE hour < ?1", [rollups])?;
    Ok(rows)
}

/// What `state` says of messages that are given up first.
const SPARE: u8 = 1;

/// Puts what was refused back into the outbox: since then the receiver, or the sink's configuration, may have been mended.
pub(super) fn release(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(
        "INSERT OR IGNORE INTO outbox (sink, event, payload, created, state) \
         SELECT sink, event, payload, created, state FROM quarantine ORDER BY id; \
         DELETE FROM quarantine;",
    )
}

/// Refused messages that are kept for the next start.
const MAX_REFUSED: u32 = 10_000;

/// The schema that this program knows.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Step n brings the schema from version n to n + 1.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE usage (
        grp TEXT NOT NULL, client TEXT NOT NULL, vendor TEXT NOT NULL, tenant TEXT NOT NULL, role TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (grp, client, vendor, tenant, role)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE window (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sink TEXT NOT NULL, event TEXT NOT NULL, payload BLOB NOT NULL,
        created INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0,
        UNIQUE (sink, event)
    ) STRICT;
    CREATE INDEX outbox_order ON outbox (sink, id);
", "
    CREATE TABLE name (key TEXT PRIMARY KEY, value TEXT NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX name_until ON name (until);
", "
    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sink TEXT NOT NULL, event TEXT NOT NULL, payload BLOB NOT NULL, created INTEGER NOT NULL
    ) STRICT;
", "
    ALTER TABLE quarantine ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE hour (
        hour INTEGER NOT NULL,
        grp TEXT NOT NULL, client TEXT NOT NULL, vendor TEXT NOT NULL, tenant TEXT NOT NULL, role TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (hour, grp, client, vendor, tenant, role)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE rollup (
        hour INTEGER NOT NULL,
        grp TEXT NOT NULL, vendor TEXT NOT NULL, tenant TEXT NOT NULL, role TEXT NOT NULL, deployment TEXT NOT NULL,
        clients INTEGER NOT NULL, flows INTEGER NOT NULL, sessions INTEGER NOT NULL,
        sent INTEGER NOT NULL, received INTEGER NOT NULL, active_minutes INTEGER NOT NULL,
        PRIMARY KEY (hour, grp, vendor, tenant, role, deployment)
    ) STRICT, WITHOUT ROWID;
"];
