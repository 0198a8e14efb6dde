//! What the store keeps, sets aside, gives up and migrates.

use std::sync::mpsc::channel;

use super::writer::MAX_OWED;
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
            spare: false,
        }],
        ..Batch::default()
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
fn what_a_sink_that_is_gone_refused_is_dropped_while_the_store_is_in_use() {
    let cells = Cells::new();
    let (writer, _answers) = Store::memory().unwrap().start(16, cells.clone()).unwrap();
    for n in 1..=3 {
        writer.commit(batch(n)).unwrap();
    }
    let all = ask(|reply| writer.fetch("siem", 0, 9, reply));
    assert!(writer.refused(vec![all[1].id]));
    assert!(writer.keep_sinks(vec!["siem".into()]));
    writer.flush();
    assert_eq!(cells.get(Counter::Orphaned), 0);
    assert!(writer.keep_sinks(vec!["other".into()]));
    assert!(ask(|reply| writer.fetch("siem", 0, 9, reply)).is_empty());
    assert_eq!(cells.get(Counter::Orphaned), 3, "one of them was set apart");
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
        let Damaged { aside, saved } = damaged.unwrap();
        assert_eq!((&aside, saved), (&folder.path().join(format!("a.db.damaged-{n}")), 0));
        assert!(aside.exists());
        assert!(store.windows().unwrap().is_empty());
    }
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.db");
    let (mut store, _) = Store::open(&whole).unwrap();
    store.commit(&(0..2_000).map(batch).collect::<Vec<_>>()).unwrap();
    drop(store);
    let whole = std::fs::read(whole).unwrap();
    for name in ["overwritten", "cut"] {
        let mut bytes = whole.clone();
        let (middle, end) = (bytes.len() / 2, bytes.len() * 3 / 4);
        match name {
            "cut" => bytes.truncate(end),
            _ => bytes[middle..middle + 8_192].fill(0xa5),
        }
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let (store, damaged) = Store::open(&path).unwrap();
        let Damaged { aside, saved } = damaged.unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), bytes, "{name}: it stays as it was");
        let windows = store.windows().unwrap().len();
        let letters = store.fetch("siem", 0, u32::MAX).unwrap();
        println!("{name}: {windows} windows, {} letters, {saved} rows", letters.len());
        let usages = store.usages().unwrap().len();
        assert!([windows, letters.len(), usages].iter().all(|n| (500..=2_000).contains(n)));
        assert!((1_500..6_000).contains(&saved) && saved == windows + letters.len() + usages);
        assert!(letters.iter().all(|letter| letter.event == format!("e-{}", letter.id - 1)));
    }
}

#[test]
fn names_are_kept_until_they_run_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let row = |key: &str, until| NameRow { key: key.into(), value: "[]".into(), until };
    let (writer, _answers) = Store::open(&path).unwrap().0.start(16, Cells::new()).unwrap();
    writer.keep_names(vec![row("cname/a", 100), row("cname/b", 300)], 50).unwrap();
    writer.keep_names(vec![row("cname/c", 200), row("cname/b", 400)], 50).unwrap();
    writer.close();
    let keys = |store: &Store| -> Vec<String> {
        store.names().unwrap().into_iter().map(|(key, _)| key).collect()
    };
    let (store, _) = Store::open(&path).unwrap();
    assert_eq!(keys(&store), ["cname/b", "cname/c", "cname/a"], "those that last come first");
    let (writer, _answers) = store.start(16, Cells::new()).unwrap();
    writer.keep_names(Vec::new(), 201).unwrap();
    writer.close();
    assert_eq!(keys(&Store::open(&path).unwrap().0), ["cname/b"]);
}

#[test]
fn a_store_of_the_first_schema_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (mut store, _) = Store::open(&path).unwrap();
    store.commit(&[batch(1)]).unwrap();
    let back = "DROP TABLE name; DROP TABLE quarantine; DROP TABLE hour; DROP TABLE rollup; \
                UPDATE meta SET value = '1' WHERE key = 'schema'";
    store.connection.execute_batch(back).unwrap();
    drop(store);
    let (store, aside) = Store::open(&path).unwrap();
    assert_eq!((store.names().unwrap().len(), aside), (0, None));
    assert_eq!(store.windows().unwrap().len(), 1);
    assert_eq!((store.hours().unwrap().len(), store.last_rollup().unwrap()), (0, None));
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
fn names_that_could_not_be_committed_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let (store, _) = Store::open(&path).unwrap();
    let beside = Connection::open(&path).unwrap();
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON name BEGIN SELECT RAISE(ABORT, 'no'); END";
    beside.execute_batch(refuse).unwrap();
    let cells = Cells::new();
    let (writer, _answers) = store.start(4, cells.clone()).unwrap();
    let row = |n: usize| NameRow { key: format!("cname/{n:05}"), value: "[]".into(), until: 100 };
    writer.keep_names(vec![row(0), row(1)], 1).unwrap();
    writer.flush();
    assert_eq!((cells.get(Counter::Failures), cells.get(Counter::NamesLost)), (1, 0));
    writer.keep_names((2..MAX_OWED + 1).map(row).collect(), 1).unwrap();
    writer.flush();
    assert_eq!((cells.get(Counter::Failures), cells.get(Counter::NamesLost)), (2, 1));
    beside.execute_batch("DROP TRIGGER no").unwrap();
    writer.flush();
    writer.close();
    let (store, _) = Store::open(&path).unwrap();
    let names = store.names().unwrap();
    assert_eq!(names.len(), MAX_OWED);
    assert!(names.iter().all(|(key, _)| *key != row(0).key), "the oldest was given up");
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
        spare: event.starts_with("spare"),
    };
    let usages = vec![
        usage("c-old", "2026-01-31T23:59:59.5Z"),
        usage("c-new", "2026-02-01T00:00:00Z"),
        usage("past", "2026-01-01T00:00:00Z"),
    ];
    let letters = vec![
        letter("old", 999),
        letter("new", 1_000),
        letter("spare old", 1_499),
        letter("spare new", 1_500),
    ];
    store.commit(&[Batch { usages, letters, ..Batch::default() }]).unwrap();
    let cells = Cells::new();
    let (writer, _answers) = store.start(8, cells.clone()).unwrap();
    let retention = Retention {
        clients: "2026-02-01T00:00:00Z".into(),
        sums: "2025-01-01T00:00:00Z".into(),
        sum: "past",
        alerts: 1_000,
        summaries: 1_500,
        rollups: 0,
    };
    assert!(writer.retire(retention));
    writer.close();
    assert_eq!(cells.get(Counter::Retired), 3);
    let store = Store::open(&dir.path().join("saastap.db")).unwrap().0;
    let left: Vec<String> = store.usages().unwrap().into_iter().map(|(k, _)| k.client).collect();
    assert_eq!(left, ["c-new", "past"]);
    let left = store.fetch("s", 0, 9).unwrap();
    assert_eq!(left.iter().map(|l| &*l.event).collect::<Vec<_>>(), ["new", "spare new"]);
}

#[test]
fn what_is_spare_gives_way_before_all_else_also_after_it_was_refused() {
    let mut store = Store::memory().unwrap();
    let letter = |event: &str, spare| Letter {
        sink: "s".into(),
        event: event.into(),
        payload: Vec::new(),
        created: 1,
        spare,
    };
    let letters = [("a", false), ("b", true), ("c", false), ("d", true)].map(|(e, s)| letter(e, s));
    store.commit(&[Batch { letters: letters.into(), ..Batch::default() }]).unwrap();
    let all: Vec<i64> = store.fetch("s", 0, 9).unwrap().iter().map(|l| l.id).collect();
    store.commit_group(&[], &[], &[], &all, None).unwrap();
    super::schema::release(&store.connection).unwrap();
    let mut trim = |keep| store.trim("s", keep, 0).unwrap();
    assert_eq!(trim(3), Trimmed { given_up: 1, depth: 3 });
    assert_eq!(trim(1), Trimmed { given_up: 2, depth: 1 });
    assert_eq!(trim(1), Trimmed { given_up: 0, depth: 1 });
    assert_eq!(store.fetch("s", 0, 9).unwrap()[0].event, "c", "the newest that is not spare");
}
