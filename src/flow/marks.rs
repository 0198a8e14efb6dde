//! What one flow tells of the span port: whether it shows both directions, and tags both alike.

use super::key::Side;
use crate::decode::Tcp;

/// Which ends were seen to send, and with what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// [`TAGGED`] and [`BARE`] of the low end, and two bits above them those of the high end.
    seen: u8,
    /// The end that is seen acknowledges more and more of what is not.
    progress: bool,
    /// It acknowledged something, and what first.
    acknowledges: bool,
    acknowledged: u32,
}

const TAGGED: u8 = 0b01;
const BARE: u8 = 0b10;
const HIGH: u32 = 2;

impl Marks {
    #[inline]
    pub(super) const fn sent(&mut self, sender: Side, tagged: bool) {
        let how = if tagged { TAGGED } else { BARE };
        self.seen |= how << (HIGH * (sender as u32));
    }

    #[inline]
    pub(super) const fn shows_one_side(&self) -> bool {
        self.low() == 0 || self.high() == 0
    }

    /// A segment of the end that is seen; only asked while no other is. A SYN that nobody answers acknowledges nothing, and
    /// answers to a spoofed SYN always the same.
    pub(super) fn acknowledged(&mut self, tcp: &Tcp) {
        if tcp.ack && !tcp.rst {
            if !std::mem::replace(&mut self.acknowledges, true) {
                self.acknowledged = tcp.acknowledgment;
            }
            self.progress |= self.acknowledged != tcp.acknowledgment;
        }
    }

    /// One end talks with another that the capture does not show.
    pub const fn is_one_way(&self) -> bool {
        self.progress && self.shows_one_side()
    }

    /// One end always comes with a VLAN tag and the other never: a port is mirrored tagged in one direction.
    pub const fn is_tag_asymmetric(&self) -> bool {
        matches!((self.low(), self.high()), (TAGGED, BARE) | (BARE, TAGGED))
    }

    const fn low(&self) -> u8 {
        self.seen & (TAGGED | BARE)
    }

    const fn high(&self) -> u8 {
        self.seen >> HIGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(acknowledgment: u32, syn: bool, ack: bool, rst: bool) -> Tcp {
        Tcp { sequence: 1, acknowledgment, syn, ack, fin: false, rst }
    }

    fn marks(sent: &[(Side, bool, Tcp)]) -> Marks {
        let mut marks = Marks::default();
        for (sender, tagged, tcp) in sent {
            marks.sent(*sender, *tagged);
            if marks.shows_one_side() {
                marks.acknowledged(tcp);
            }
        }
        marks
    }

    #[test]
    fn one_direction_alone_is_told_by_what_it_acknowledges() {
        let (low, high) = (Side::Low, Side::High);
        let talk = |acks: &[u32], from: Side| -> Vec<(Side, bool, Tcp)> {
            acks.iter().map(|a| (from, false, tcp(*a, false, true, false))).collect()
        };
        assert!(marks(&talk(&[1, 1, 1_449], low)).is_one_way());
        assert!(marks(&talk(&[1, 600], high)).is_one_way());
        assert!(!marks(&talk(&[1, 1, 1], low)).is_one_way(), "keep-alives");
        let both = [talk(&[1, 600], low), talk(&[7], high)].concat();
        assert!(!marks(&both).is_one_way());
        let scan = [(low, false, tcp(0, true, false, false)); 3];
        assert!(!marks(&scan).is_one_way());
        let answers =
            [(high, false, tcp(8, true, true, false)), (high, false, tcp(9, false, true, true))];
        assert!(!marks(&answers).is_one_way(), "of a host that somebody pretended to be");
    }

    #[test]
    fn a_tag_in_one_direction_alone_is_told() {
        let (low, high) = (Side::Low, Side::High);
        let sent = |sent: &[(Side, bool)]| {
            let all: Vec<_> =
                sent.iter().map(|(s, t)| (*s, *t, tcp(0, false, true, false))).collect();
            marks(&all).is_tag_asymmetric()
        };
        assert!(sent(&[(low, true), (high, false), (low, true)]));
        assert!(sent(&[(low, false), (high, true)]));
        assert!(!sent(&[(low, true), (high, true)]));
        assert!(!sent(&[(low, false), (high, false)]));
        assert!(!sent(&[(low, true)]), "one direction alone");
        assert!(!sent(&[(low, true), (high, false), (high, true)]), "two ways of one direction");
    }
}
