//! Whether an encrypted ClientHello is real, by what DNS has shown of public names and configurations.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::count::Cells;
use crate::sniff::{DnsMessage, EchOffer, EchOuter};
use crate::time::Time;

/// What is known of encrypted_client_hello in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ech {
    #[default]
    None,
    Grease,
    Real,
    /// The extension is there; whether real or GREASE is not known.
    Unknown,
}

impl Ech {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Grease => "grease",
            Self::Real => "real",
            Self::Unknown => "unknown",
        }
    }
}

crate::rows! {
    pub enum Counter {
        Grease => Counter "saastap_identity_ech_hellos_total" "Hellos with encrypted_client_hello, by what it is." ("ech", "grease"),
        Real => Counter "saastap_identity_ech_hellos_total" "Hellos with encrypted_client_hello, by what it is." ("ech", "real"),
        Unknown => Counter "saastap_identity_ech_hellos_total" "Hellos with encrypted_client_hello, by what it is." ("ech", "unknown"),
        Refused => Counter "saastap_identity_ech_names_refused_total" "Public names and hosts with ECH that were not kept because the table was full.",
    }
}

/// The names behind which clients hide others, and the hosts that offer it.
pub struct Fronts {
    /// Public names, until when they are believed.
    public: HashMap<Box<str>, Time>,
    /// Hosts whose HTTPS records had a configuration.
    offered: HashMap<Box<str>, Time>,
    cells: Arc<Cells<Counter>>,
}

/// Names in each table. Few operators run client-facing servers; hosts behind them are the millions, of which a network meets
/// some thousands in a day.
const MAX_NAMES: usize = 16_384;

/// Octets of a name with its time, in a table that may be half empty.
const NAME_OCTETS: usize = 256;

/// Octets that both tables can hold.
pub const MEMORY: u64 = (2 * MAX_NAMES * NAME_OCTETS) as u64;

/// Clients go on with a configuration while their connection pools live, whatever the record's TTL.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The public name of the operator that has nearly all hosts with ECH; it is met where the records themselves are hidden.
const KNOWN: &str = "cloudflare-ech.com";

impl Fronts {
    pub fn new() -> Self {
        Self { public: HashMap::new(), offered: HashMap::new(), cells: Cells::new() }
    }

    pub const fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// Takes the configurations of HTTPS records (RFC 9848).
    pub fn learn(&mut self, message: &DnsMessage, at: Time) {
        for answer in &message.answers {
            let Some(service) = answer.service.as_ref().filter(|s| !s.ech.is_empty()) else {
                continue;
            };
            for config in &service.ech {
                note(&mut self.public, &config.public_name, at, &self.cells);
            }
            for host in [&answer.name, &message.question] {
                note(&mut self.offered, host, at, &self.cells);
            }
        }
    }

    /// What a hello's extension is. `before`: the outer hello that came first on the connection, where this is the one after
    /// a HelloRetryRequest. `asked`: DNS was seen to lead the client to this server by just this name.
    ///
    /// A client that has a configuration hides the name that it asked for, and shows the public name, for which it asks
    /// nobody; one that has none shows the true name beside GREASE (RFC 9849 section 6.2).
    pub fn judge(
        &self,
        offer: &EchOffer,
        before: Option<&EchOuter>,
        sni: Option<&str>,
        asked: bool,
        at: Time,
    ) -> Ech {
        let ech = match (offer, before, sni) {
            // GREASE is copied byte for byte into the second hello, a real one has no key in it (sections 6.1.5, 6.2).
            (EchOffer::Outer(now), Some(before), _) if now.digest == before.digest => Ech::Grease,
            (EchOffer::Outer(now), Some(_), _) if now.enc == 0 => Ech::Real,
            (EchOffer::Outer(_), _, Some(sni)) => {
                self.by_name(&sni.to_ascii_lowercase(), asked, at)
            }
            _ => Ech::Unknown,
        };
        self.cells.add(
            match ech {
                Ech::Grease => Counter::Grease,
                Ech::Real => Counter::Real,
                Ech::None | Ech::Unknown => Counter::Unknown,
            },
            1,
        );
        ech
    }

    fn by_name(&self, sni: &str, asked: bool, at: Time) -> Ech {
        let held =
            |table: &HashMap<Box<str>, Time>| table.get(sni).is_some_and(|until| *until >= at);
        if sni == KNOWN || held(&self.public) {
            Ech::Real
        } else if asked && !held(&self.offered) {
            Ech::Grease
        } else {
            // DNS out of sight, or a host that offers ECH to a client that may not have heard of it.
            Ech::Unknown
        }
    }
}

impl Default for Fronts {
    fn default() -> Self {
        Self::new()
    }
}

fn note(table: &mut HashMap<Box<str>, Time>, name: &str, at: Time, cells: &Cells<Counter>) {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if let Some(until) = table.get_mut(&*name) {
        *until = at.plus(KEPT);
        return;
    }
    if table.len() >= MAX_NAMES {
        table.retain(|_, until| *until >= at);
    }
    if table.len() >= MAX_NAMES || name.is_empty() || name.len() > MAX_LEN {
        cells.add(Counter::Refused, 1);
        return;
    }
    table.insert(name.into(), at.plus(KEPT));
}

/// Octets of a host name (RFC 1035 section 2.3.4).
const MAX_LEN: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::DnsAnswer;
    use crate::sniff::dns::{EchConfig, Service};

    const AT: Time = Time::from_secs(1_700_000_000);

    fn outer(digest: u64, enc: u16) -> EchOffer {
        EchOffer::Outer(EchOuter { suite: (1, 1), config_id: 7, enc, payload: 208, digest })
    }

    fn record(host: &str, public: &str) -> DnsMessage {
        let config = EchConfig { config_id: 7, public_name: public.into(), suites: vec![(1, 1)] };
        let service = Service { ech: vec![config], ..Service::default() };
        let answer = DnsAnswer {
            name: host.into(),
            rtype: 65,
            service: Some(Box::new(service)),
            ..DnsAnswer::default()
        };
        DnsMessage {
            response: true,
            question: host.into(),
            qtype: 65,
            answers: vec![answer],
            ..DnsMessage::default()
        }
    }

    #[test]
    fn a_public_name_is_real_and_a_name_that_was_asked_for_is_not_hidden() {
        let mut fronts = Fronts::new();
        let judge = |fronts: &Fronts, sni: &str, asked, at| {
            fronts.judge(&outer(1, 32), None, Some(sni), asked, at)
        };
        assert_eq!(judge(&fronts, KNOWN, false, AT), Ech::Real);
        assert_eq!(judge(&fronts, "front.example", false, AT), Ech::Unknown);
        fronts.learn(&record("hidden.example.", "Front.Example"), AT);
        for asked in [true, false] {
            assert_eq!(judge(&fronts, "FRONT.example", asked, AT), Ech::Real);
        }
        assert_eq!(judge(&fronts, "other.example", true, AT), Ech::Grease);
        assert_eq!(judge(&fronts, "other.example", false, AT), Ech::Unknown);
        assert_eq!(judge(&fronts, "hidden.example", true, AT), Ech::Unknown, "it offers ECH");
        let late = AT.plus(KEPT + Duration::from_secs(1));
        assert_eq!(judge(&fronts, "front.example", false, late), Ech::Unknown);
        let refused = fronts.judge(&EchOffer::Esni, None, Some(KNOWN), true, AT);
        assert_eq!(refused, Ech::Unknown);
        assert_eq!(fronts.cells().get(Counter::Real), 3);
    }

    #[test]
    fn the_hello_after_a_retry_tells_for_certain() {
        let fronts = Fronts::new();
        let EchOffer::Outer(first) = outer(1, 32) else { return };
        let judge =
            |offer: &EchOffer| fronts.judge(offer, Some(&first), Some("a.example"), false, AT);
        assert_eq!(judge(&outer(1, 32)), Ech::Grease);
        assert_eq!(judge(&outer(2, 0)), Ech::Real);
        assert_eq!(judge(&outer(2, 32)), Ech::Unknown);
    }

    #[test]
    fn a_flood_of_records_is_bounded_and_counted() {
        let mut fronts = Fronts::new();
        for n in 0..=MAX_NAMES {
            fronts.learn(&record("host.example", &format!("front{n}.example")), AT);
        }
        assert_eq!(fronts.public.len(), MAX_NAMES);
        assert_eq!(fronts.cells().get(Counter::Refused), 1);
        fronts.learn(&record("host.example", "late.example"), AT.plus(2 * KEPT));
        assert_eq!(fronts.public.len(), 1, "what is old makes room");
    }
}
