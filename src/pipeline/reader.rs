//! Reads a source to its end: frames become segments, each frame and tick gets its place in the order of all updates.

use std::sync::atomic::{AtomicBool, Ordering};

use super::worker::Moment;
use crate::capture::{self, Next, Source};
use crate::count::Cells;
use crate::decode::{self, Refusal, Segment};
use crate::flow::Duplicates;

/// Who takes the segments of a source: a worker on the same thread, or the lanes of several.
pub trait Taker {
    fn segment(&mut self, moment: Moment, frame: u64, segment: &Segment<'_>);
    fn tick(&mut self, moment: Moment);
    /// Nothing more will come.
    fn finish(&mut self, moment: Moment);
}

/// Reads until the source ends or `stop` is set; `seen` is told the source after each tick, for progress and counters.
pub fn read(
    source: &mut dyn Source,
    taker: &mut impl Taker,
    refusals: &Cells<Refusal>,
    duplicates: &mut Duplicates,
    stop: &AtomicBool,
    mut seen: impl FnMut(&mut dyn Source),
) -> Result<(), capture::Error> {
    let mut moment = Moment::default();
    let result = loop {
        match source.next() {
            Ok(Next::Frame(frame)) => {
                moment = Moment { at: frame.time, ordinal: moment.ordinal + 1 };
                match decode::decode(&frame) {
                    // Here and not in the workers: whether one is a copy may not depend on who else has what share.
                    Ok(segment) if duplicates.is_copy(&segment, frame.time) => {}
                    Ok(segment) => taker.segment(moment, frame.number, &segment),
                    Err(refusal) => refusals.add(refusal, 1),
                }
            }
            Ok(Next::Tick(at)) => {
                moment = Moment { at, ordinal: moment.ordinal + 1 };
                taker.tick(moment);
                seen(source);
                if stop.load(Ordering::Relaxed) {
                    break Ok(());
                }
            }
            Ok(Next::End) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    moment.ordinal += 1;
    taker.finish(moment);
    seen(source);
    result
}
