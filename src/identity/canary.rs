//! Whether the network permits that browsers and systems hide their questions: names that these ask for first, and leave it
//! where the answer refuses them.
//!
//! Firefox turns DNS over HTTPS on by itself only where `use-application-dns.net` has an address. iCloud Private Relay goes by
//! `mask.icloud.com` and its siblings.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::count::Cells;
use crate::sniff::DnsMessage;
use crate::sniff::dns::{Section, rtype};

crate::rows! {
    pub enum Counter {
        FirefoxAsked => Counter "saastap_dns_canary_questions_total" "Questions for the names by which a network refuses encrypted DNS." ("canary", "firefox_doh"),
        RelayAsked => Counter "saastap_dns_canary_questions_total" "Questions for the names by which a network refuses encrypted DNS." ("canary", "private_relay"),
        FirefoxPermitted => Counter "saastap_dns_canary_permitted_total" "Answers to them that permit it: an address." ("canary", "firefox_doh"),
        RelayPermitted => Counter "saastap_dns_canary_permitted_total" "Answers to them that permit it: an address." ("canary", "private_relay"),
        FirefoxRefused => Counter "saastap_dns_canary_refused_total" "Answers to them that refuse it: an error, no address, or none that leads anywhere." ("canary", "firefox_doh"),
        RelayRefused => Counter "saastap_dns_canary_refused_total" "Answers to them that refuse it: an error, no address, or none that leads anywhere." ("canary", "private_relay"),
    }
}

/// What was asked and answered.
pub struct Canaries {
    cells: Arc<Cells<Counter>>,
}

/// What became of the questions of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CanaryRow {
    /// `firefox_doh` or `private_relay`.
    pub canary: &'static str,
    pub questions: u64,
    pub permitted: u64,
    pub refused: u64,
}

struct Kind {
    name: &'static str,
    hosts: &'static [&'static str],
    /// Counters of questions, and of answers that permit and refuse.
    counters: [Counter; 3],
    /// An address that leads nowhere refuses as well.
    connects: bool,
}

const KINDS: [Kind; 2] = [
    // support.mozilla.org: "Canary domain - use-application-dns.net". Its addresses are never connected to.
    Kind {
        name: "firefox_doh",
        hosts: &["use-application-dns.net"],
        counters: [Counter::FirefoxAsked, Counter::FirefoxPermitted, Counter::FirefoxRefused],
        connects: false,
    },
    // developer.apple.com: "Prepare your network or web server for iCloud Private Relay".
    Kind {
        name: "private_relay",
        hosts: &["mask.icloud.com", "mask-h2.icloud.com", "mask-api.icloud.com"],
        counters: [Counter::RelayAsked, Counter::RelayPermitted, Counter::RelayRefused],
        connects: true,
    },
];

impl Default for Canaries {
    fn default() -> Self {
        Self { cells: Cells::new() }
    }
}

impl Canaries {
    pub const fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// Takes one message; most ask for something else.
    pub fn learn(&self, message: &DnsMessage) {
        let question = message.question.strip_suffix('.').unwrap_or(&message.question);
        let is_it = |host: &&str| question.eq_ignore_ascii_case(host);
        let Some(kind) = KINDS.iter().find(|kind| kind.hosts.iter().any(is_it)) else {
            return;
        };
        let [asked, permitted, refused] = kind.counters;
        if !message.response {
            self.cells.add(asked, 1);
            return;
        }
        match kind.permits(message) {
            Some(true) => self.cells.add(permitted, 1),
            Some(false) => self.cells.add(refused, 1),
            None => {}
        }
    }

    /// The kinds that were asked for.
    pub fn rows(&self) -> Vec<CanaryRow> {
        let rows = KINDS.iter().map(|kind| {
            let [questions, permitted, refused] = kind.counters.map(|row| self.cells.get(row));
            CanaryRow { canary: kind.name, questions, permitted, refused }
        });
        rows.filter(|row| row.questions + row.permitted + row.refused > 0).collect()
    }
}

impl Kind {
    /// `None` for an answer that says neither: a host without IPv6 has no AAAA record and permits all the same.
    fn permits(&self, answer: &DnsMessage) -> Option<bool> {
        let answers = answer.answers.iter().filter(|record| record.section == Section::Answer);
        let mut addresses = answers.filter_map(|record| record.address).peekable();
        let leads = |ip: IpAddr| !ip.is_unspecified() && !ip.is_loopback();
        match (answer.rcode, addresses.peek()) {
            (NO_ERROR, Some(_)) => Some(!self.connects || addresses.any(leads)),
            (NO_ERROR, None) => (answer.qtype == rtype::A).then_some(false),
            _ => Some(false),
        }
    }
}

/// RFC 1035 section 4.1.1.
const NO_ERROR: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::DnsAnswer;

    fn answer(name: &str, qtype: u16, rcode: u8, address: Option<&str>) -> DnsMessage {
        let record = |ip: &str| DnsAnswer {
            rtype: qtype,
            address: Some(ip.parse().unwrap()),
            ..DnsAnswer::default()
        };
        let answers = address.map(record).into_iter().collect();
        let question = name.into();
        DnsMessage { response: true, question, qtype, rcode, answers, ..DnsMessage::default() }
    }

    #[test]
    fn answers_permit_or_refuse() {
        const FIREFOX: &str = "use-application-dns.net";
        for (name, qtype, rcode, address, wanted) in [
            (FIREFOX, rtype::A, 0, Some("192.0.2.1"), [1, 0]),
            (FIREFOX, rtype::A, 0, Some("0.0.0.0"), [1, 0]),
            (FIREFOX, rtype::A, 3, None, [0, 1]),
            (FIREFOX, rtype::AAAA, 2, None, [0, 1]),
            (FIREFOX, rtype::A, 0, None, [0, 1]),
            (FIREFOX, rtype::AAAA, 0, None, [0, 0]),
            ("Mask.iCloud.com.", rtype::AAAA, 0, Some("2001:db8::1"), [1, 0]),
            ("mask-h2.icloud.com", rtype::A, 0, Some("0.0.0.0"), [0, 1]),
            ("mask-api.icloud.com", rtype::HTTPS, 3, None, [0, 1]),
            ("mask.icloud.com", rtype::HTTPS, 0, None, [0, 0]),
            ("www.mask.icloud.com", rtype::A, 3, None, [0, 0]),
            ("use-application-dns.net.example", rtype::A, 3, None, [0, 0]),
        ] {
            let canaries = Canaries::default();
            canaries.learn(&answer(name, qtype, rcode, address));
            let rows = canaries.rows();
            let told = rows.first().map_or([0, 0], |row| [row.permitted, row.refused]);
            assert_eq!(told, wanted, "{name} {qtype} {rcode} {address:?}");
            let firefox = name.starts_with("use");
            let name = if firefox { "firefox_doh" } else { "private_relay" };
            assert!(rows.iter().all(|row| row.canary == name));
        }
    }

    #[test]
    fn questions_count_of_themselves() {
        let canaries = Canaries::default();
        let question = "mask.icloud.com".into();
        canaries.learn(&DnsMessage { question, ..DnsMessage::default() });
        let row = CanaryRow { canary: "private_relay", questions: 1, permitted: 0, refused: 0 };
        assert_eq!(canaries.rows(), [row]);
    }
}
