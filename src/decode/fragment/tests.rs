//! Fragments in any order, again, overlapping, hostile and without end.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::decode::link::Version;

struct Bench {
    fragments: Fragments,
    cells: Arc<Cells<Counter>>,
    whole: Vec<u8>,
    at: Time,
}

type Got = Result<Option<Whole>, Refusal>;

impl Bench {
    fn new(options: &Options) -> Self {
        let cells = Cells::new();
        let fragments = Fragments::new(options, cells.clone());
        Self { fragments, cells, whole: Vec::new(), at: Time::from_secs(1_000) }
    }

    fn of(id: u32) -> Key {
        let [source, destination] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Address::v4);
        Key { source, destination, id, what: What::V4(17), depth: 0 }
    }

    fn add(&mut self, id: u32, start: u32, more: bool, bytes: &[u8]) -> Got {
        self.add_cut(Self::of(id), start, more, bytes, bytes.len() as u32)
    }

    fn add_cut(&mut self, key: Key, start: u32, more: bool, bytes: &[u8], wire: u32) -> Got {
        let cut = Cut { version: Version::V4, id: key.id, start, more, next: 17 };
        let rest = Rest { bytes, wire };
        let got = {
            let origin = (Origin::default(), wire.saturating_add(34));
            self.fragments.add(self.at, key, (cut, rest), origin, &mut self.whole)
        };
        assert!(self.fragments.octets <= self.fragments.pool);
        assert!(self.fragments.order.len() <= self.fragments.most);
        assert!(self.fragments.waiting.len() <= self.fragments.order.len());
        let octets: usize = self.fragments.waiting.values().map(Datagram::octets).sum();
        assert_eq!(octets, self.fragments.octets);
        got
    }

    /// What was given up with its beginning.
    fn give_up(&mut self) -> Vec<(u32, Vec<u8>)> {
        let mut given = Vec::new();
        while let Some((key, found)) = self.fragments.overdue(self.at, &mut self.whole) {
            assert!(self.whole.len() <= found.wire as usize);
            given.push((key.id, self.whole.clone()));
        }
        given
    }

    fn count(&self, counter: Counter) -> u64 {
        self.cells.get(counter)
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(&Options::default())
    }
}

fn octets(n: usize) -> Vec<u8> {
    (0..n).map(|n| (n * 7 + n / 256) as u8).collect()
}

/// (start, more, octets) of a datagram in parts of `most`.
fn parts(datagram: &[u8], most: usize) -> Vec<(u32, bool, &[u8])> {
    let parts = datagram.chunks(most).enumerate();
    parts
        .map(|(n, part)| ((n * most) as u32, n * most + part.len() < datagram.len(), part))
        .collect()
}

#[test]
fn any_order_gives_the_datagram() {
    let datagram = octets(61);
    let parts = parts(&datagram, 16);
    for order in permutations(parts.len()) {
        let mut bench = Bench::default();
        for (n, at) in order.iter().enumerate() {
            let (start, more, bytes) = parts[*at];
            let got = bench.add(1, start, more, bytes).unwrap();
            assert_eq!(got.is_some(), n + 1 == parts.len(), "{order:?}");
            if let Some(whole) = got {
                assert_eq!((whole.next, whole.wire, whole.frames), (17, 61, 61 + 4 * 34));
                assert_eq!(bench.whole, datagram);
            }
        }
        assert_eq!(bench.count(Counter::Reassembled), 1);
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..n).map(move |at| insert(order, at))).collect()
}

#[test]
fn a_double_mirror_changes_nothing() {
    let datagram = octets(64);
    let parts = parts(&datagram, 16);
    // Each twice at once, and all once more after the last.
    for order in
        [&[0, 0, 1, 1, 2, 2, 3, 3][..], &[0, 1, 2, 3, 0, 1, 2, 3], &[3, 0, 3, 1, 0, 2, 2, 1]]
    {
        let mut bench = Bench::default();
        let mut found = 0;
        for at in order {
            let (start, more, bytes) = parts[*at];
            found += usize::from(bench.add(1, start, more, bytes).unwrap().is_some());
        }
        assert_eq!((found, bench.count(Counter::Repeated)), (1, 4), "{order:?}");
        assert_eq!(bench.count(Counter::Overlapping), 0);
        bench.at = bench.at.plus(Duration::from_secs(60));
        bench.give_up();
        assert_eq!((bench.count(Counter::Expired), bench.fragments.octets), (0, 0));
    }
}

#[test]
fn an_identification_that_comes_again_is_another_datagram() {
    let mut bench = Bench::default();
    for round in 0..5_u8 {
        let datagram = [round; 40];
        assert!(bench.add(1, 0, true, &datagram[..24]).unwrap().is_none());
        assert!(bench.add(1, 24, false, &datagram[24..]).unwrap().is_some());
        assert_eq!(bench.whole, datagram);
    }
    // The last fragment of one is lost: the next does not take its place.
    bench.add(2, 0, true, &[1; 24]).unwrap();
    assert!(bench.add(2, 0, true, &[2; 24]).unwrap().is_none());
    assert!(bench.add(2, 24, false, &[2; 16]).unwrap().is_some());
    assert_eq!(bench.whole, [2; 40]);
    assert_eq!((bench.count(Counter::Overlapping), bench.count(Counter::Reassembled)), (1, 6));
}

/// Start, whether more follows, and octets.
type Place = (u32, bool, u32);

#[test]
fn contradictions_end_a_datagram() {
    // Each: what came, what contradicts it.
    let cases: [(&[Place], Place); 9] = [
        (&[(0, true, 24)], (16, false, 24)), // overlaps the end of the first
        (&[(0, true, 40)], (16, false, 8)),  // within it: teardrop
        (&[(0, true, 24)], (8, true, 8)),    // the flags of TCP (RFC 1858)
        (&[(16, true, 16)], (0, true, 24)),  // the first reaches into a later one
        (&[(16, true, 16)], (0, true, 64)),  // and covers it
        (&[(16, false, 16)], (32, true, 16)), // behind the end
        (&[(16, false, 16)], (64, false, 16)), // another end
        (&[(32, true, 16)], (8, false, 16)), // an end before what came
        (&[(0, true, 16)], (0, true, 8)),    // the same start, another length
    ];
    for (came, new) in cases {
        let mut bench = Bench::default();
        for (start, more, len) in came {
            bench.add(1, *start, *more, &octets(*len as usize)).unwrap();
        }
        let (start, more, len) = new;
        let got = bench.add(1, start, more, &octets(len as usize));
        assert!(matches!(got, Ok(None)), "{came:?} {new:?}");
        assert_eq!(bench.count(Counter::Overlapping), 1, "{came:?} {new:?}");
        assert_eq!(bench.fragments.waiting[&Bench::of(1)].pieces.len(), 1);
    }
}

#[test]
fn lengths_that_cannot_be() {
    let mut bench = Bench::default();
    for (start, more, len) in
        [(0, true, 12), (0, true, 0), (65_528, false, 8), (65_000, false, 536)]
    {
        let got = bench.add(1, start, more, &octets(len));
        assert_eq!(got.err(), Some(Refusal::BadLength), "{start} {len}");
    }
    assert!(bench.add(1, 65_528, false, &octets(7)).is_ok());
    let huge = bench.add_cut(Bench::of(2), 8, false, &[], u32::MAX);
    assert_eq!(huge.err(), Some(Refusal::BadLength));
    assert!(bench.add(3, 8, false, &[]).unwrap().is_none());
    assert!(bench.add(3, 0, true, &octets(8)).unwrap().is_some(), "an empty end");
    assert_eq!(bench.fragments.waiting.len(), 2);
}

#[test]
fn a_fragment_cut_by_snaplen_ends_the_payload() {
    let datagram = octets(96);
    for cut in [0, 1, 2] {
        let mut bench = Bench::default();
        let mut got = None;
        for (n, (start, more, bytes)) in parts(&datagram, 32).into_iter().enumerate() {
            let seen = if n == cut { &bytes[..20] } else { bytes };
            got = bench.add_cut(Bench::of(1), start, more, seen, 32).unwrap();
        }
        assert_eq!(got.unwrap().wire, 96);
        assert_eq!(bench.whole, datagram[..cut * 32 + 20]);
    }
}

#[test]
fn keys_keep_datagrams_apart() {
    let key = Bench::of(1);
    let other = Address::v4([10, 0, 0, 3]);
    let mut bench = Bench::default();
    bench.add_cut(key, 0, true, &[0; 8], 8).unwrap();
    for key in [
        Key { source: other, ..key },
        Key { destination: other, ..key },
        Key { source: key.destination, destination: key.source, ..key },
        Key { id: 2, ..key },
        Key { what: What::V4(6), ..key },
        Key { what: What::V6, ..key },
        Key { what: What::Capwap, ..key },
        Key { depth: 1, ..key },
    ] {
        assert!(bench.add_cut(key, 8, false, &[1; 8], 8).unwrap().is_none(), "{key:?}");
    }
    assert!(bench.add_cut(key, 8, false, &[1; 8], 8).unwrap().is_some());
}

#[test]
fn what_does_not_come_in_time_is_given_up_with_what_there_is() {
    let mut bench = Bench::default();
    bench.add(1, 0, true, &[1; 8]).unwrap();
    bench.at = bench.at.plus(Duration::from_secs(3));
    bench.add(2, 0, true, &[2; 8]).unwrap();
    bench.add(2, 8, true, &[3; 8]).unwrap();
    bench.add(2, 24, false, &[4; 8]).unwrap();
    bench.add(3, 8, false, &[5; 8]).unwrap();
    bench.at = bench.at.plus(Duration::from_secs(2));
    assert_eq!(bench.give_up(), []);
    assert!(bench.add(1, 8, false, &[1; 8]).unwrap().is_some(), "in time");
    bench.at = bench.at.plus(Duration::from_secs(1));
    assert_eq!(bench.give_up(), []);
    assert_eq!((bench.fragments.waiting.len(), bench.count(Counter::Expired)), (2, 0));
    bench.at = bench.at.plus(Duration::from_secs(3));
    let given = bench.give_up();
    assert_eq!(
        given,
        [(2, [[2; 8], [3; 8]].concat())],
        "up to the gap; what has no beginning, not"
    );
    assert_eq!((bench.fragments.octets, bench.count(Counter::Expired)), (0, 2));
    assert!(bench.add(2, 8, false, &[0; 8]).unwrap().is_none(), "too late");
    bench.at = Time::MAX;
    assert_eq!((bench.give_up(), bench.fragments.order.len()), (vec![], 0));
    assert_eq!((bench.count(Counter::Waiting), bench.count(Counter::Expired)), (0, 3));
}

#[test]
fn the_oldest_gives_way() {
    let few = Options { max_fragmented: 10, ..Options::default() };
    let mut bench = Bench::new(&few);
    for id in 0..30 {
        bench.add(id, 0, true, &[0; 8]).unwrap();
    }
    assert_eq!(bench.count(Counter::Evicted), 20);
    assert!(bench.add(19, 8, false, &[0; 8]).unwrap().is_none());
    assert!(bench.add(29, 8, false, &[0; 8]).unwrap().is_some());

    let little = Options { fragment_pool_mib: 1, ..Options::default() };
    let mut bench = Bench::new(&little);
    for id in 0..3_000 {
        bench.add(id, 0, true, &octets(1_480)).unwrap();
    }
    let kept = bench.fragments.waiting.len() as u64;
    assert_eq!(kept + bench.count(Counter::Evicted), 3_000);
    assert!((600..=(1 << 20) / 1_480).contains(&kept), "{kept}");
    assert!(bench.add(2_999, 1_480, false, &octets(9)).unwrap().is_some());
}

#[test]
fn crumbs_have_a_bound() {
    let mut bench = Bench::default();
    for n in 0..1_000 {
        assert!(bench.add(1, n * 16, true, &octets(8)).unwrap().is_none());
        assert!(
            bench.fragments.waiting.get(&Bench::of(1)).is_none_or(|d| d.pieces.len() <= MAX_PIECES)
        );
    }
    assert_eq!(bench.count(Counter::TooManyPieces), 1_000 / (MAX_PIECES as u64 + 1));
}

#[test]
fn contradictions_without_end_stay_within_the_bounds() {
    let mut bench = Bench::new(&Options { max_fragmented: 50, ..Options::default() });
    for n in 0..10_000_u32 {
        bench.add(n % 7, 0, true, &n.to_be_bytes().repeat(4)).unwrap();
    }
    assert!(bench.fragments.order.len() <= 50);
    assert_eq!(bench.fragments.waiting.len(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_cut_shuffled_and_doubled(
        len in 17_usize..2_000,
        most in 2_usize..40,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
    ) {
        let datagram = octets(len);
        let mut parts = parts(&datagram, most * 8);
        prop_assume!(parts.len() > 1 && parts.len() <= MAX_PIECES);
        let mut bench = Bench::default();
        let mut found = 0;
        let doubled: Vec<_> = order.iter().map(|at| parts[at.index(parts.len())]).collect();
        parts.reverse();
        for (start, more, bytes) in doubled.into_iter().chain(parts) {
            if let Some(whole) = bench.add(9, start, more, bytes).unwrap() {
                prop_assert_eq!((whole.wire as usize, &bench.whole), (len, &datagram));
                found += 1;
            }
        }
        prop_assert_eq!(found, 1);
        prop_assert_eq!(bench.count(Counter::Overlapping), 0);
    }

    #[test]
    fn hostile_fragments_stay_within_the_bounds(
        pieces in prop::collection::vec(
            (0_u32..4, 0_u32..8_192, any::<bool>(), 0_usize..3_000, 0_u32..4_000, 0_u64..3), 1..300),
    ) {
        let tight = Options { max_fragmented: 3, fragment_pool_mib: 1, ..Options::default() };
        let mut bench = Bench::new(&tight);
        for (id, at, more, len, missing, seconds) in pieces {
            bench.at = bench.at.plus(Duration::from_secs(seconds));
            let (key, bytes) = (Bench::of(id), octets(len));
            let wire = (len as u32 + missing) & !7;
            let bytes = &bytes[..len.min(wire as usize)];
            if let Ok(Some(whole)) = bench.add_cut(key, at * 8, more, bytes, wire) {
                prop_assert!(bench.whole.len() <= whole.wire as usize);
                prop_assert!(whole.wire as usize <= LONGEST);
            }
        }
    }
}
