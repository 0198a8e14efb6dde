//! Reads a source to its end: frames become segments, each frame and tick gets its place in the order of all updates.

use std::sync::atomic::{AtomicBool, Ordering};

use super::worker::Moment;
use crate::capture::{self, Next, Source};
use crate::decode::{Decoder, Segment};
use crate::flow::Duplicates;
use crate::time::Time;

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
    decoder: &mut Decoder,
    duplicates: &mut Duplicates,
    stop: &AtomicBool,
    mut seen: impl FnMut(&mut dyn Source),
) -> Result<(), capture::Error> {
    let mut moment = Moment::default();
    let result = loop {
        match source.next() {
            Ok(Next::Frame(frame)) => {
                moment = Moment { at: frame.time, ordinal: moment.ordinal + 1 };
                // A refusal is counted by the decoder. Copies are found here and not in the workers: whether one is a copy may
                // not depend on who else has what share.
                if let Ok(segment) = decoder.decode(&frame)
                    && !duplicates.is_copy(&segment, frame.time)
                {
                    taker.segment(moment, frame.number, &segment);
                }
            }
            Ok(Next::Tick(at)) => {
                give_overdue(decoder, taker, at, &mut moment);
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
    give_overdue(decoder, taker, Time::MAX, &mut moment);
    moment.ordinal += 1;
    taker.finish(moment);
    seen(source);
    result
}

/// Fragments that no longer wait are taken before the tick that ends their time; at the end of the source, all.
fn give_overdue(decoder: &mut Decoder, taker: &mut impl Taker, at: Time, moment: &mut Moment) {
    while let Some((frame, segment)) = decoder.overdue(at) {
        if let Ok(segment) = segment {
            if at < Time::MAX {
                moment.at = at;
            }
            moment.ordinal += 1;
            taker.segment(*moment, frame, &segment);
        }
    }
}
