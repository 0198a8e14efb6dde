//! Erases clients from every table.

use rusqlite::{Transaction, params};

/// Deletes what is about clients of these ids, and names of these keys; how many rows were deleted or changed.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    ids: &[String],
    names: &[String],
) -> Result<usize, rusqlite::Error> {
    let mut rows = 0;
    for key in names {
        rows += transaction.execute("DELETE FROM name WHERE key = ?1", [key])?;
    }
    for id in ids {
        rows += transaction.execute("DELETE FROM usage WHERE client = ?1", [id])?;
        rows += transaction.execute("DELETE FROM hour WHERE client = ?1", [id])?;
        // A case about one server or client has its id at the end of the key; where addresses are shown, flows have a port too.
        rows += transaction.execute(
            "DELETE FROM window WHERE substr(key, -length(?1) - 1) IN ('@' || ?1, '#' || ?1) \
             OR instr(value, '\"' || ?1 || ':') > 0 OR instr(value, '\"[' || ?1 || ']:') > 0",
            [id],
        )?;
        rows += transaction.execute(
            "UPDATE window SET value = replace(value, '\"' || ?1 || '\"', '\"forgotten\"') \
             WHERE instr(value, '\"' || ?1 || '\"') > 0",
            [id],
        )?;
    }
    for table in ["outbox", "quarantine"] {
        let mut select = transaction.prepare(&format!("SELECT id, payload FROM {table}"))?;
        let mut delete = transaction.prepare(&format!("DELETE FROM {table} WHERE id = ?1"))?;
        let mut messages = select.query([])?;
        while let Some(message) = messages.next()? {
            let payload: Vec<u8> = message.get(1)?;
            if ids.iter().any(|id| tells(&payload, id.as_bytes())) {
                rows += delete.execute(params![message.get::<_, i64>(0)?])?;
            }
        }
    }
    Ok(rows)
}

/// Whether an id stands in a message whole, and not as the beginning or end of another.
fn tells(payload: &[u8], id: &[u8]) -> bool {
    let goes_on = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    payload.windows(id.len().max(1)).enumerate().any(|(at, here)| {
        let before = at.checked_sub(1).and_then(|at| payload.get(at));
        !id.is_empty() && here == id && !goes_on(before) && !goes_on(payload.get(at + id.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Letter, Store, UsageKey};

    #[test]
    fn a_client_goes_and_others_stay() {
        let mut store = Store::memory().unwrap();
        let usage = |client: &str| {
            (UsageKey { client: client.into(), ..UsageKey::default() }, Some("{}".into()))
        };
        let window = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let letter = |event: &str, text: &str| Letter {
            sink: "s".into(),
            event: event.into(),
            payload: text.into(),
            created: 0,
            spare: false,
        };
        let batch = Batch {
            usages: vec![usage("10.0.0.1"), usage("10.0.0.12")],
            hours: vec![
                (7, usage("10.0.0.1").0, Some("{}".into())),
                (7, usage("10.0.0.12").0, Some("{}".into())),
            ],
            windows: vec![
                window("case/listed", r#"{"listed":["10.0.0.1","10.0.0.12"]}"#),
                window("case/flow", r#"{"client":"10.0.0.1:4000"}"#),
                window("case/[]@10.0.0.1", "{}"),
                window("case/[]#10.0.0.1", "{}"),
                window("case/[]@110.0.0.1", "{}"),
            ],
            letters: vec![
                letter("a", "src=10.0.0.1 dst=192.0.2.1"),
                letter("b", "src=10.0.0.12 dst=192.0.2.1"),
            ],
            ..Batch::default()
        };
        store.commit(&[batch]).unwrap();
        assert_eq!(store.forget(&["10.0.0.1".into()], &[]).unwrap(), 7);
        let hours = store.hours().unwrap();
        assert!(hours.len() == 1 && hours[0].1.client == "10.0.0.12");
        let usages = store.usages().unwrap();
        assert_eq!(usages.len(), 1);
        assert_eq!(usages[0].0.client, "10.0.0.12");
        let windows = store.windows().unwrap();
        let kept: Vec<&str> = windows.iter().map(|(key, _)| &**key).collect();
        assert_eq!(kept, ["case/[]@110.0.0.1", "case/listed"]);
        assert_eq!(windows[1].1, r#"{"listed":["forgotten","10.0.0.12"]}"#);
        let left = store.fetch("s", 0, 9).unwrap();
        assert_eq!(left.iter().map(|l| &*l.event).collect::<Vec<_>>(), ["b"]);
        assert!(!tells(b"", b"x") && !tells(b"x", b""));
    }

    #[test]
    fn a_store_that_is_open_elsewhere_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saastap.db");
        assert!(matches!(Store::open_alone(&path), Err(crate::store::Error::Missing)));
        let running = Store::open(&path).unwrap();
        assert!(matches!(Store::open_alone(&path), Err(crate::store::Error::InUse)));
        drop(running);
        drop(Store::open_alone(&path).unwrap());
        Store::open(&path).unwrap();
    }
}
