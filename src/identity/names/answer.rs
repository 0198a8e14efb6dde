//! What one answer teaches: only what the question leads to is believed.

use std::net::IpAddr;
use std::sync::Arc;

use crate::sniff::dns::{DnsAnswer, DnsMessage, Section, rtype};

/// Names in lower case.
#[derive(Debug, PartialEq, Eq)]
pub struct Learned {
    pub question: Arc<str>,
    pub links: Vec<Link>,
    /// Names on the way that have addresses and no CNAME.
    pub ends: Vec<Arc<str>>,
    pub addresses: Vec<Found>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    pub owner: Arc<str>,
    pub target: Arc<str>,
    pub ttl: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub address: IpAddr,
    /// The names from the question to the address, without the question.
    pub chain: Arc<[Arc<str>]>,
    /// The least on the way.
    pub ttl: u32,
}

/// A name on the way from the question.
struct Step {
    name: Arc<str>,
    chain: Arc<[Arc<str>]>,
    ttl: u32,
}

/// Names on the way from one question.
const MAX_STEPS: usize = 16;

impl Learned {
    /// `None` for messages that teach nothing: questions, errors, names that are no host names.
    pub fn read(message: &DnsMessage) -> Option<Self> {
        if !message.response || message.rcode != 0 {
            return None;
        }
        let question = host(&message.question)?;
        let records: Vec<(Arc<str>, &DnsAnswer)> = message
            .answers
            .iter()
            .filter(|record| record.section != Section::Authority)
            .filter_map(|record| Some((host(&record.name)?, record)))
            .collect();
        let first = Step { name: question.clone(), chain: Arc::default(), ttl: u32::MAX };
        let mut learned =
            Self { question, links: Vec::new(), ends: Vec::new(), addresses: Vec::new() };
        let mut steps = vec![first];
        let mut next = 0;
        while let Some(step) = steps.get(next) {
            next += 1;
            let mut onward = Vec::new();
            for (_, record) in records.iter().filter(|(owner, _)| *owner == step.name) {
                onward.extend(learned.follow(step, record));
            }
            for step in onward {
                if steps.len() < MAX_STEPS && steps.iter().all(|known| known.name != step.name) {
                    steps.push(step);
                }
            }
        }
        Some(learned)
    }

    /// Takes one record of a name on the way; the step that it leads on to.
    fn follow(&mut self, step: &Step, record: &DnsAnswer) -> Option<Step> {
        let ttl = step.ttl.min(record.ttl);
        if let Some(address) = record.address {
            if !self.ends.contains(&step.name) {
                self.ends.push(step.name.clone());
            }
            self.addresses.push(Found { address, chain: step.chain.clone(), ttl });
            return None;
        }
        let target = match (record.rtype, record.service.as_deref()) {
            (rtype::CNAME, _) => host(&record.data)?,
            (rtype::HTTPS | rtype::SVCB, Some(service)) => {
                // Hints belong to the target, which is the owner itself where the record says `.`.
                let hints = service.hints.iter().copied();
                let chain: Arc<[Arc<str>]> = match host(&service.target) {
                    Some(target) => extended(&step.chain, target),
                    None => step.chain.clone(),
                };
                let found = |address| Found { address, chain: chain.clone(), ttl };
                self.addresses.extend(hints.map(found));
                host(&service.target)?
            }
            _ => return None,
        };
        let (owner, name) = (step.name.clone(), target.clone());
        self.links.push(Link { owner, target: name.clone(), ttl: record.ttl });
        Some(Step { name, chain: extended(&step.chain, target), ttl })
    }
}

/// A host name as it is remembered: lower case, without the root's dot. `None` for what is no name of a host.
pub fn host(name: &str) -> Option<Arc<str>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = !name.is_empty() && name.len() <= MAX_HOST;
    (fits && name.bytes().all(|b| b.is_ascii_graphic())).then(|| name.to_ascii_lowercase().into())
}

fn extended(chain: &Arc<[Arc<str>]>, name: Arc<str>) -> Arc<[Arc<str>]> {
    chain.iter().cloned().chain([name]).collect()
}

/// Octets of a name in text (RFC 1035 section 2.3.4, less the length octets at both ends).
const MAX_HOST: usize = 253;
