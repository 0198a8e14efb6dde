//! What can still be read of a damaged file is taken over into the one that takes its place: what is owed, said and known.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

/// Copies rows from the damaged file, which stays as it is; how many.
///
/// Each table is read from both its ends up to where it cannot be read. What a damaged page says in the right form is taken
/// for true: whoever reads the rows leaves out what makes no sense.
///
/// # Errors
/// The new file cannot be written.
pub(super) fn salvage(damaged: &Path, into: &mut Connection) -> Result<usize, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(from) = Connection::open_with_flags(damaged, flags) else { return Ok(0) };
    // Else SQLite reads no page at all of a file that is shorter than its header says.
    let _ = from.pragma_update(None, "writable_schema", true);
    let transaction = into.transaction()?;
    let mut rows = 0;
    for table in &TABLES {
        for direction in ["ASC", "DESC"] {
            rows += copy(&from, &transaction, table, direction)?;
        }
    }
    transaction.commit()?;
    Ok(rows)
}

struct Table {
    name: &'static str,
    key: &'static [&'static str],
    rest: &'static [&'static str],
}

/// Ids of the outbox are kept: they are the order of delivery. Names are learned again.
const TABLES: [Table; 5] = [
    Table {
        name: "outbox",
        key: &["id"],
        rest: &["sink", "event", "payload", "created", "attempts", "state"],
    },
    Table { name: "window", key: &["key"], rest: &["value"] },
    Table { name: "usage", key: &["grp", "client", "vendor", "tenant", "role"], rest: &["value"] },
    Table {
        name: "hour",
        key: &["hour", "grp", "client", "vendor", "tenant", "role"],
        rest: &["value"],
    },
    Table {
        name: "rollup",
        key: &["hour", "grp", "vendor", "tenant", "role", "deployment"],
        rest: &["clients", "flows", "sessions", "sent", "received", "active_minutes"],
    },
];

/// Reads until the end or the damage.
fn copy(
    from: &Connection,
    into: &Connection,
    Table { name, key, rest }: &Table,
    direction: &str,
) -> Result<usize, rusqlite::Error> {
    let columns = [*key, *rest].concat();
    let order: Vec<String> = key.iter().map(|column| format!("{column} {direction}")).collect();
    let list = columns.join(", ");
    let select = format!("SELECT {list} FROM {name} ORDER BY {}", order.join(", "));
    let Ok(mut select) = from.prepare(&select) else { return Ok(0) };
    let Ok(mut read) = select.query([]) else { return Ok(0) };
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert =
        into.prepare(&format!("INSERT OR IGNORE INTO {name} ({list}) VALUES ({places})"))?;
    let mut rows = 0;
    while let Ok(Some(row)) = read.next() {
        let values: Result<Vec<Value>, _> = (0..columns.len()).map(|n| row.get(n)).collect();
        let Ok(values) = values else { continue };
        match insert.execute(params_from_iter(values)) {
            Ok(inserted) => rows += inserted,
            // Of another type than the column's: no row that we wrote.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}
