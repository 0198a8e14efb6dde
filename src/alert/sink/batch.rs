//! How many messages one request holds: all that wait, or one after the other once a request of several was refused, so that
//! the one at fault is set apart alone.

use super::Written;

#[derive(Debug, Default)]
pub(super) struct Batch {
    /// So many messages are sent one by one, because one among them was refused.
    singly: usize,
}

impl Batch {
    /// Of so many that wait.
    pub(super) const fn most(&self, waiting: usize) -> usize {
        if self.singly > 0 { 1 } else { waiting }
    }

    pub(super) const fn taken(&mut self, count: usize) -> Written {
        self.singly = self.singly.saturating_sub(count);
        Written::Taken(count)
    }

    /// A request of `count` was refused, for the reason that the receiver `told`.
    pub(super) fn refused(&mut self, count: usize, told: String) -> Written {
        if count > 1 {
            self.singly = count;
            return Written::Taken(0);
        }
        self.singly = self.singly.saturating_sub(1);
        Written::Refused(1, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_of_several_so_many_go_one_by_one() {
        let mut batch = Batch::default();
        assert_eq!(batch.most(9), 9);
        assert!(matches!(batch.refused(3, String::new()), Written::Taken(0)));
        assert_eq!(batch.most(9), 1);
        batch.taken(1);
        assert!(matches!(batch.refused(1, "no".into()), Written::Refused(1, told) if told == "no"));
        assert_eq!(batch.most(9), 1);
        batch.taken(1);
        assert_eq!(batch.most(9), 9);
    }
}
