//! What a whole capture tells of the span port that made it, by the counters of frames and flows.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::count::Counted;

/// A condition of the span port that a good part of a capture shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    #[serde(rename = "condition")]
    pub name: &'static str,
    /// Packets or TCP flows that show it, as a share of all.
    pub share: f64,
    #[serde(skip)]
    words: &'static str,
}

/// A sentence for a person.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} % of {}", self.share * 100.0, self.words)
    }
}

/// The conditions of a capture that was read to its end.
pub fn conditions(counted: &[Arc<dyn Counted>]) -> Vec<Condition> {
    let told = CONDITIONS.iter().filter_map(|known| {
        let whole = sum(counted, known.whole, None);
        let part = sum(counted, known.part.0, known.part.1);
        let share = part as f64 / whole as f64;
        (whole >= known.least && share >= known.threshold).then_some(Condition {
            name: known.name,
            share,
            words: known.words,
        })
    });
    told.collect()
}

/// How many packets or TCP flows show the condition of this name, and of how many.
pub fn measured(counted: &[Arc<dyn Counted>], name: &str) -> Option<(u64, u64)> {
    let known = CONDITIONS.iter().find(|known| known.name == name)?;
    Some((sum(counted, known.part.0, known.part.1), sum(counted, known.whole, None)))
}

/// The sum of all rows with this name, or of those with this label too.
pub fn sum(counted: &[Arc<dyn Counted>], name: &str, label: Option<(&str, &str)>) -> u64 {
    let of = |cells: &Arc<dyn Counted>| -> u64 {
        let rows = cells.rows().iter().enumerate();
        let rows = rows.filter(|(_, r)| r.name == name && (label.is_none() || r.label == label));
        rows.map(|(index, _)| cells.value(index)).sum()
    };
    counted.iter().map(of).sum()
}

struct Known {
    name: &'static str,
    part: (&'static str, Option<(&'static str, &'static str)>),
    whole: &'static str,
    /// A share of less is what every network shows.
    threshold: f64,
    /// A smaller capture tells nothing of the port.
    least: u64,
    words: &'static str,
}

const PACKETS: &str = "saastap_capture_packets_total";
const FLOWS: &str = "saastap_flow_tcp_ended_total";
const SHOWN: &str = "saastap_flow_conditions_total";

const CONDITIONS: [Known; 5] = [
    Known {
        name: "duplicate",
        part: ("saastap_flow_duplicate_packets_total", None),
        whole: PACKETS,
        threshold: 0.02,
        least: 100,
        words: "packets are copies: the span port shows them twice. Each is counted once.",
    },
    Known {
        name: "one_way",
        part: (SHOWN, Some(("condition", "one_way"))),
        whole: FLOWS,
        threshold: 0.1,
        least: 10,
        words: "TCP flows show one direction only: the span port misses the other, and names in it.",
    },
    Known {
        name: "tag_asymmetric",
        part: (SHOWN, Some(("condition", "tag_asymmetric"))),
        whole: FLOWS,
        threshold: 0.1,
        least: 10,
        words: "TCP flows have a VLAN tag in one direction only. Both directions are one flow.",
    },
    Known {
        name: "mid_stream",
        part: (SHOWN, Some(("condition", "mid_stream"))),
        whole: FLOWS,
        threshold: 0.5,
        least: 10,
        words: "TCP flows began before the capture: what would name them was not seen.",
    },
    Known {
        name: "clock_skew",
        part: ("saastap_capture_time_corrections_total", Some(("reason", "skewed"))),
        whole: PACKETS,
        threshold: 0.01,
        least: 100,
        words: "packets are stamped more than a second before the one ahead of them: clocks differ.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture;
    use crate::count::{Cells, Rows};
    use crate::flow::{self, Copies};

    /// Every counter that is asked for is declared somewhere.
    #[test]
    fn conditions_ask_for_counters_that_exist() {
        let declared: Vec<_> = [capture::Counter::ROWS, flow::Counter::ROWS, Copies::ROWS].concat();
        for known in &CONDITIONS {
            assert!(declared.iter().any(|r| r.name == known.whole), "{}", known.name);
            let (name, label) = known.part;
            assert!(declared.iter().any(|r| r.name == name && r.label == label), "{}", known.name);
        }
    }

    #[test]
    fn a_share_above_its_threshold_is_told() {
        let (frames, copies) = (Cells::<capture::Counter>::new(), Cells::<Copies>::new());
        let counted: [Arc<dyn Counted>; 2] = [frames.clone(), copies.clone()];
        frames.set(capture::Counter::Frames, 99);
        copies.set(Copies::Packets, 49);
        assert!(conditions(&counted).is_empty(), "too few");
        frames.set(capture::Counter::Frames, 1_000);
        copies.set(Copies::Packets, 19);
        assert!(conditions(&counted).is_empty(), "too small a share");
        copies.set(Copies::Packets, 500);
        let told = conditions(&counted);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].name, told[0].share), ("duplicate", 0.5));
        assert!(told[0].to_string().starts_with("50 % of packets are copies: "));
    }

    #[test]
    fn each_condition_is_told_alone_from_its_share_on() {
        for (name, of_a_thousand) in [
            ("duplicate", 20),
            ("one_way", 100),
            ("tag_asymmetric", 100),
            ("mid_stream", 500),
            ("clock_skew", 10),
        ] {
            for (part, wanted) in [(of_a_thousand - 1, None), (of_a_thousand, Some(name))] {
                let frames = Cells::<capture::Counter>::new();
                let (flows, copies) = (Cells::<flow::Counter>::new(), Cells::<Copies>::new());
                frames.set(capture::Counter::Frames, 1_000);
                flows.set(flow::Counter::EndedTcp, 1_000);
                match name {
                    "duplicate" => copies.set(Copies::Packets, part),
                    "one_way" => flows.set(flow::Counter::OneWay, part),
                    "tag_asymmetric" => flows.set(flow::Counter::TagAsymmetric, part),
                    "mid_stream" => flows.set(flow::Counter::MidStream, part),
                    _ => frames.set(capture::Counter::Skewed, part),
                }
                let told = conditions(&[frames, flows, copies]);
                let told: Vec<&str> = told.iter().map(|condition| condition.name).collect();
                assert_eq!(told, Vec::from_iter(wanted), "{name} {part}");
            }
        }
    }
}
