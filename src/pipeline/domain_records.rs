//! What the DNS records of a domain say of the vendors that it uses: who takes its mail, who may send it, and to whom its owner
//! proved that it is theirs.

use std::sync::Arc;

use super::rules::Rules;
use crate::signature::Verdict;
use crate::sniff::DnsMessage;
use crate::sniff::dns::{Section, rtype};

/// Includes of one SPF record that are looked at: a receiver follows ten (RFC 7208 section 4.6.4).
const MAX_INCLUDES: usize = 20;

/// The vendors that records of own domains in an answer name, each with the domain.
pub fn vendors_of_own(rules: &Rules, message: &DnsMessage) -> Vec<(Arc<str>, Verdict)> {
    let mut found: Vec<(Arc<str>, Verdict)> = Vec::new();
    if !message.response {
        return found;
    }
    let records = message
        .answers
        .iter()
        .filter(|r| r.section == Section::Answer && matches!(r.rtype, rtype::MX | rtype::TXT));
    for record in records.filter(|record| rules.policy.is_own_domain(&record.name)) {
        let verdicts: Vec<Verdict> = if record.rtype == rtype::MX {
            // `10 mail.example`
            let exchanger = record.data.split(' ').nth(1).unwrap_or_default();
            rules.catalog.mx(exchanger).into_iter().collect()
        } else {
            let senders = includes(&record.data).filter_map(|domain| rules.catalog.spf(domain));
            rules.catalog.txt(&record.data).into_iter().chain(senders).collect()
        };
        let domain: Arc<str> = record.name.to_lowercase().into();
        for verdict in verdicts {
            let is_known = |known: &(Arc<str>, Verdict)| {
                known.0 == domain && known.1.vendor.id == verdict.vendor.id
            };
            if !found.iter().any(is_known) {
                found.push((domain.clone(), verdict));
            }
        }
    }
    found
}

/// The domains that an SPF record leaves the decision to (RFC 7208 sections 5.2 and 6.1).
fn includes(text: &str) -> impl Iterator<Item = &str> {
    let mut terms = text.split_ascii_whitespace();
    let is_spf = terms.next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"));
    let domain = |term: &'_ str| {
        let (mechanism, domain) = term.split_once([':', '='])?;
        let mechanism = mechanism.trim_start_matches(['+', '-', '~', '?']);
        ["include", "redirect"]
            .iter()
            .any(|known| mechanism.eq_ignore_ascii_case(known))
            .then_some(term.len() - domain.len())
    };
    terms.filter_map(move |term| domain(term).and_then(|at| term.get(at..))).take(if is_spf {
        MAX_INCLUDES
    } else {
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::sniff::DnsAnswer;

    fn record(name: &str, rtype: u16, data: &str) -> DnsAnswer {
        DnsAnswer {
            section: Section::Answer,
            name: name.into(),
            rtype,
            ttl: 300,
            data: data.into(),
            address: None,
            service: None,
        }
    }

    #[test]
    fn records_of_own_domains_name_vendors_once() {
        let text = "[own]\ndomains = ['acme.com']\n";
        let rules = Rules::load(&Config::parse("x.toml", text.to_owned()).unwrap()).unwrap();
        let spf = "v=spf1 ip4:192.0.2.1 include:mail.zendesk.com ~include:spf.gorgias.io -all";
        let told = |response, answers: &[DnsAnswer]| -> Vec<String> {
            let answers = answers.to_vec();
            let message = DnsMessage { response, answers, ..DnsMessage::default() };
            let found = vendors_of_own(&rules, &message);
            found.iter().map(|(domain, v)| format!("{domain} {}", v.vendor.id)).collect()
        };
        let txt = |name, data| record(name, rtype::TXT, data);
        let both = ["acme.com zendesk".to_owned(), "acme.com gorgias".to_owned()];
        assert_eq!(told(true, &[txt("Acme.com", spf), txt("acme.com", spf)]), both);
        assert!(told(false, &[txt("acme.com", spf)]).is_empty(), "a question");
        assert!(told(true, &[txt("other.example", spf)]).is_empty(), "not ours");
        assert!(told(true, &[txt("acme.com", "include:mail.zendesk.com")]).is_empty(), "no SPF");
        let tokens = ["Drift-domain-verification=abc", "teamviewer-sso-verification=7f"];
        let proven = tokens.map(|token| txt("acme.com", token));
        assert_eq!(told(true, &proven), ["acme.com drift", "acme.com teamviewer"]);
        assert!(told(true, &[txt("acme.com", "see drift-domain-verification=abc")]).is_empty());
        assert!(told(true, &[txt("acme.com", "drift-domain\u{e9}")]).is_empty());
        let mx = record("support.acme.com", rtype::MX, "10 mx.freshdesk.com");
        assert_eq!(told(true, &[mx]), ["support.acme.com freshdesk"]);
        let many = format!("v=spf1 {}", "include:a.example ".repeat(1_000));
        assert_eq!(includes(&many).count(), MAX_INCLUDES);
    }
}
