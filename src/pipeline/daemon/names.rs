//! Rows of names, remembered verdicts and leases on their way to the store: where its queue is full they wait for the next time.

use crate::store::{NameRow, Writer};

/// Rows that the queue had no room for: never more than one hand-over.
#[derive(Default)]
pub struct Names {
    waiting: Vec<NameRow>,
}

impl Names {
    /// Hands over what waits, or else what `changed` gives: it is asked only where nothing waits, so that the rest stays where it
    /// is bounded. How many rows that were; `None` where the queue is full.
    pub fn keep(
        &mut self,
        writer: &Writer,
        now: i64,
        changed: impl FnOnce() -> Vec<NameRow>,
    ) -> Option<usize> {
        if self.waiting.is_empty() {
            self.waiting = changed();
        }
        let count = self.waiting.len();
        if count == 0 {
            return Some(0);
        }
        match writer.keep_names(std::mem::take(&mut self.waiting), now) {
            Ok(()) => Some(count),
            Err(back) => {
                self.waiting = back;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::count::Cells;
    use crate::store::Store;

    #[test]
    fn what_the_queue_has_no_room_for_waits_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (writer, _answers) = Store::open(&path).unwrap().0.start(1, Cells::new()).unwrap();
        let (began, begins) = channel();
        let (release, released) = channel::<()>();
        let busy = move |_| {
            began.send(()).unwrap();
            released.recv().unwrap();
        };
        assert!(writer.windows_under("", 1, Box::new(busy)));
        begins.recv().unwrap();
        writer.attempted(Vec::new());
        let row = |key: &str| NameRow { key: key.into(), value: "[]".into(), until: 100 };
        let mut names = Names::default();
        assert_eq!(names.keep(&writer, 1, || vec![row("cname/a"), row("cname/b")]), None);
        assert_eq!(names.keep(&writer, 1, || panic!("nobody is asked for more")), None);
        release.send(()).unwrap();
        writer.flush();
        assert_eq!(names.keep(&writer, 1, || panic!("what waits comes first")), Some(2));
        writer.flush();
        assert_eq!(names.keep(&writer, 1, || vec![row("cname/c")]), Some(1));
        assert_eq!(names.keep(&writer, 1, Vec::new), Some(0));
        writer.close();
        let kept = Store::open(&path).unwrap().0.names().unwrap();
        let kept: Vec<&str> = kept.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(kept, ["cname/a", "cname/b", "cname/c"]);
    }
}
