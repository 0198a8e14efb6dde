//! The mutation matrix: every kind of hello, cut, reordered and doubled, in every encapsulation, seen from one side or both,
//! still gives its name. Pairwise over the dimensions, and complete over cuts for one encapsulation.

mod scene;

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use self::scene::{ends, payload_len, scene};
use super::reader::{Taker, read};
use super::update::{Update, What};
use super::worker::{Moment, Worker};
use crate::capture::{self, Frame, Link, Next, Source};
use crate::decode::wrap::Wrap;
use crate::decode::{self, Decoder, Segment};
use crate::flow::{self, Duplicates};
use crate::sniff::quic::sealed;
use crate::sniff::{Carrier, Evidence};
use crate::time::Time;

const NAME: &str = "acme.zendesk.example";

/// What the client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hello {
    Classic,
    PostQuantum,
    /// As Chromium sends it: a post-quantum share, GREASE, the name behind it, encrypted_client_hello.
    Chromium,
    TwoRecords,
    ManyRecords,
    /// A version of QUIC, and in how many Initials.
    Quic(u32, usize),
}

const HELLOS: [Hello; 11] = [
    Hello::Classic,
    Hello::PostQuantum,
    Hello::Chromium,
    Hello::TwoRecords,
    Hello::ManyRecords,
    Hello::Quic(sealed::V1, 1),
    Hello::Quic(sealed::V1, 2),
    Hello::Quic(sealed::V1, 3),
    Hello::Quic(sealed::V2, 1),
    Hello::Quic(sealed::V2, 2),
    Hello::Quic(sealed::V2, 3),
];

/// Where it is cut: into segments, or within an Initial into CRYPTO frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Whole,
    Middle,
    FirstOctet,
    LastOctet,
    InName,
    Every(usize),
}

const CUTS: [Cut; 7] = [
    Cut::Whole,
    Cut::Middle,
    Cut::FirstOctet,
    Cut::LastOctet,
    Cut::InName,
    Cut::Every(536),
    Cut::Every(90),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Kept,
    Reversed,
    /// The first comes last.
    Rotated,
    /// The last comes first.
    Overtaken,
}

const ORDERS: [Order; 4] = [Order::Kept, Order::Reversed, Order::Rotated, Order::Overtaken];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copies {
    One,
    /// Each frame twice, one after the other: a double mirror.
    Twice,
    /// All frames again, after the last: retransmissions.
    Again,
}

const COPIES: [Copies; 3] = [Copies::One, Copies::Twice, Copies::Again];

/// What of the conversation the tap shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tap {
    Both,
    ClientAlone,
    /// Not the handshake of TCP, as where the sensor starts late.
    WithoutHandshake,
}

const TAPS: [Tap; 3] = [Tap::Both, Tap::ClientAlone, Tap::WithoutHandshake];

/// `None` stands for a plain frame.
fn wraps() -> Vec<Option<Wrap>> {
    std::iter::once(None).chain(Wrap::ALL.map(Some)).collect()
}

/// One cell: the choice in each dimension, by number.
type Cell = [usize; 7];

fn sizes() -> Cell {
    [HELLOS.len(), CUTS.len(), ORDERS.len(), COPIES.len(), wraps().len(), TAPS.len(), 2]
}

#[test]
fn pairwise_over_all_dimensions() {
    let wraps = wraps();
    let mut wanting = pairs();
    let all = wanting.len();
    let (mut random, mut cells, mut failed) = (Random(0x5eed), 0, Vec::new());
    while !wanting.is_empty() {
        // Of some random cells, the one that shows most pairs that were not seen yet.
        let candidates = (0..24).map(|_| sizes().map(|size| random.below(size)));
        let news = |cell: &Cell| pairs_of(cell).filter(|pair| wanting.contains(pair)).count();
        let mut cell = candidates.max_by_key(news).unwrap();
        if news(&cell) == 0 {
            // The last ones are made to measure.
            let (a, b, x, y) = *wanting.iter().min().unwrap();
            (cell[a], cell[b]) = (x, y);
        }
        for pair in pairs_of(&cell) {
            wanting.remove(&pair);
        }
        let [hello, cut, order, copies, wrap, tap, v6] = cell;
        let (hello, cut, order) = (HELLOS[hello], CUTS[cut], ORDERS[order]);
        let (copies, wrap, tap, v6) = (COPIES[copies], wraps[wrap], TAPS[tap], v6 == 1);
        let frames = scene(hello, &|len, name| ends(cut, len, name), order, copies, tap, v6);
        let Some(frames) = wrapped(&frames, wrap) else { continue };
        cells += 1;
        let seen = names(&frames);
        let expected = (carrier(hello), NAME.to_owned());
        let told = (hello, cut, order, copies, wrap, tap, v6);
        if seen.is_empty() || seen.iter().any(|one| *one != expected) {
            failed.push(format!("{told:?}: {seen:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {cells}:\n{}", failed.len(), failed.join("\n"));
    assert!(all > 1_700 && cells > 400, "{all} pairs in {cells} cells");
}

#[test]
fn complete_over_cuts_for_one_encapsulation() {
    let len = payload_len(Hello::Classic);
    assert!(len > 200);
    for at in 1..len {
        for order in [Order::Kept, Order::Reversed] {
            let cut = |_, _| vec![at];
            let frames = scene(Hello::Classic, &cut, order, Copies::One, Tap::Both, false);
            let seen = names(&wrapped(&frames, Some(Wrap::Vxlan)).unwrap());
            assert_eq!(seen, [(Carrier::Tcp, NAME.to_owned())], "{at} {order:?}");
        }
    }
}

#[test]
fn an_incomplete_hello_gives_no_name() {
    let frames =
        scene(Hello::PostQuantum, &|_, _| vec![40], Order::Kept, Copies::One, Tap::Both, false);
    // Without its second segment; the matrix would show a test that finds names wherever it looks.
    let without: Vec<_> = frames.iter().filter(|frame| frame.len() < 1_000).cloned().collect();
    assert!(without.len() + 1 == frames.len() && names(&without).is_empty());
}

fn carrier(hello: Hello) -> Carrier {
    if matches!(hello, Hello::Quic(..)) { Carrier::Quic } else { Carrier::Tcp }
}

type Pair = (usize, usize, usize, usize);

fn pairs_of(cell: &Cell) -> impl Iterator<Item = Pair> {
    let cell = *cell;
    (0..cell.len()).flat_map(move |a| (a + 1..cell.len()).map(move |b| (a, b, cell[a], cell[b])))
}

fn pairs() -> HashSet<Pair> {
    let sizes = sizes();
    let mut pairs = HashSet::new();
    for a in 0..sizes.len() {
        for b in a + 1..sizes.len() {
            for x in 0..sizes[a] {
                pairs.extend((0..sizes[b]).map(|y| (a, b, x, y)));
            }
        }
    }
    pairs
}

/// xorshift64 (Marsaglia 2003): the same cells in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % most
    }
}

/// As the decoder has it.
const MAX_PARTS: usize = 128;

/// All frames in an encapsulation; `None` where it cannot carry them.
fn wrapped(frames: &[Vec<u8>], wrap: Option<Wrap>) -> Option<Vec<Vec<u8>>> {
    let Some(wrap) = wrap else { return Some(frames.to_vec()) };
    let mut all = Vec::new();
    for frame in frames {
        let carried = wrap.wrap(frame);
        // Of more parts than the decoder holds of one datagram the rest is dropped, and counted.
        if carried.is_empty() || carried.len() > MAX_PARTS {
            return None;
        }
        all.extend(carried);
    }
    Some(all)
}

/// The names that the frames give, by reader, decoder and worker.
fn names(frames: &[Vec<u8>]) -> Vec<(Carrier, String)> {
    let options = flow::Options::default();
    let mut worker = Worker::new(&options, Vec::<Update>::new());
    let mut decoder = Decoder::new(&decode::Options::default());
    let mut duplicates = Duplicates::new(&options);
    let mut source = Frames { frames: frames.iter(), number: 0 };
    let stop = AtomicBool::new(false);
    read(&mut source, &mut worker, &mut decoder, &mut duplicates, &stop, |_| ()).unwrap();
    let said = worker.outlet.iter().filter_map(|update| match &update.what {
        What::Evidence(both) => match &both.1 {
            Evidence::Tls(hello) => Some((hello.carrier, hello.sni.as_deref()?.to_owned())),
            _ => None,
        },
        _ => None,
    });
    said.collect()
}

/// Frames, one each 300 microseconds.
struct Frames<'a> {
    frames: std::slice::Iter<'a, Vec<u8>>,
    number: u64,
}

impl Source for Frames<'_> {
    fn next(&mut self) -> Result<Next<'_>, capture::Error> {
        let Some(bytes) = self.frames.next() else { return Ok(Next::End) };
        self.number += 1;
        let time = Time::from_secs(1_700_000_000).plus(Duration::from_micros(300 * self.number));
        let wire_len = u32::try_from(bytes.len()).unwrap();
        let (number, link) = (self.number, Link::ETHERNET);
        Ok(Next::Frame(Frame { time, number, link, interface: 0, wire_len, bytes }))
    }

    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

impl Taker for Worker<Vec<Update>> {
    fn segment(&mut self, moment: Moment, frame: u64, segment: &Segment<'_>) {
        Self::segment(self, moment, frame, segment);
    }

    fn tick(&mut self, moment: Moment) {
        Self::tick(self, moment, true);
    }

    fn finish(&mut self, moment: Moment) {
        Self::finish(self, moment);
    }
}
