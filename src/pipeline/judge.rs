//! Whose a host name is: what is declared, what the catalogue says, and where the name leads by CNAME.

use std::net::IpAddr;
use std::sync::Arc;

use super::rules::Rules;
use crate::identity::names::{Candidate, Candidates, Names, Source};
use crate::policy::Relation;
use crate::signature::{Confidence, Role, TenantVisibility, Verdict};
use crate::time::Time;

/// What is known of a name that belongs to a vendor.
#[derive(Clone, Debug)]
pub struct Judged {
    pub verdict: Verdict,
    pub relation: Relation,
    /// The names from the one asked for to the one that the signature knows; empty where that is the name itself.
    pub chain: Vec<Arc<str>>,
}

/// What the names of an address say of a flow that has none of its own.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// One name, or several of one vendor, of which the first is told.
    Decided(Candidate, Option<Judged>),
    /// Names of several owners: none decides.
    Ambiguous(Vec<Arc<str>>),
}

/// The signature of a name that `[own] names` declares.
pub const OWN_NAMES: &str = "own.names";

/// Whose `host` is; `None` where no signature matches it, nor a name that it leads to.
pub fn judge(rules: &Rules, names: &Names, host: &str, at: Time) -> Option<Judged> {
    if let Some((vendor, tenant)) = rules.policy.own_name(host)
        && let Some(vendor) = rules.catalog.vendor(vendor)
    {
        let verdict = Verdict {
            vendor: vendor.clone(),
            // Nobody but its owner knows who works there: as ambiguous as the vendor's own name for the tenant.
            role: Role::Either,
            tenant: tenant.cloned(),
            ambiguous: true,
            agent: false,
            confidence: Confidence::High,
            signature: Arc::from(OWN_NAMES),
        };
        return Some(Judged { verdict, relation: Relation::Own, chain: Vec::new() });
    }
    if let Some(verdict) = rules.catalog.host(host) {
        let relation = relation(rules, names, host, &verdict, at);
        return Some(Judged { verdict, relation, chain: Vec::new() });
    }
    let mut chain = names.chain(host, at);
    let found = chain.iter().enumerate();
    let (last, mut verdict) =
        found.into_iter().find_map(|(hop, target)| Some((hop, rules.catalog.cname(target)?)))?;
    chain.truncate(last + 1);
    let shared = verdict.tenant.is_none();
    if shared && shows_tenants(&verdict) {
        // Many vendors give all their customers one target: there the vanity host itself is the instance.
        verdict.tenant = Some(host.strip_suffix('.').unwrap_or(host).to_lowercase().into());
    }
    let relation = if rules.policy.is_own_domain(host) {
        reached(rules, &verdict)
    } else if shared {
        // Others lead to the target too: who they are says nothing about this host.
        rules.policy.relation(&verdict.vendor.id, verdict.tenant.as_deref())
    } else {
        let target = chain.last().map_or(host, |target| target);
        relation(rules, names, target, &verdict, at)
    };
    chain.insert(0, host.into());
    Some(Judged { verdict, relation, chain })
}

/// What the names of a server's address say, all of them together.
pub fn resolve(rules: &Rules, names: &Names, candidates: Candidates, at: Time) -> Resolved {
    let judged: Vec<Option<Judged>> =
        candidates.names.iter().map(|c| judge(rules, names, &c.name, at)).collect();
    let trust = match candidates.source {
        Source::Client => Confidence::Medium,
        Source::Resolver | Source::Others => Confidence::Low,
    };
    let one = candidates.names.len() == 1;
    let told = if candidates.more { None } else { common(judged, one) };
    match (told, candidates.names.first()) {
        (Some(mut judged), Some(first)) => {
            if let Some(judged) = &mut judged {
                judged.verdict.confidence = judged.verdict.confidence.min(trust);
            }
            Resolved::Decided(first.clone(), judged)
        }
        _ => Resolved::Ambiguous(candidates.names.into_iter().map(|c| c.name).collect()),
    }
}

/// The evidence for a name that DNS gave: the question, the names that it led to, and the address where that was it.
pub fn evidence(candidate: &Candidate, server: IpAddr) -> Vec<Arc<str>> {
    let names = [&candidate.name].into_iter().chain(&candidate.chain).cloned();
    names.chain([server.to_string().into()]).collect()
}

/// What names of one vendor have in common; `Some(None)` for one name of nobody's, `None` where they differ.
fn common(judged: Vec<Option<Judged>>, one: bool) -> Option<Option<Judged>> {
    let mut all = judged.into_iter();
    let Some(mut first) = all.next()? else { return one.then_some(None) };
    for next in all {
        let next = next.filter(|j| j.verdict.vendor.id == first.verdict.vendor.id)?;
        if next.verdict.tenant != first.verdict.tenant {
            first.verdict.tenant = None;
            first.relation = Relation::Unknown;
        }
        if next.verdict.role != first.verdict.role {
            first.verdict.ambiguous = true;
        }
        first.verdict.ambiguous |= next.verdict.ambiguous;
        first.verdict.agent &= next.verdict.agent;
        if next.relation == Relation::Own && next.verdict.tenant == first.verdict.tenant {
            first.relation = Relation::Own;
        }
    }
    Some(Some(first))
}

/// A tenant is ours as well where a host of an own domain leads to its name.
fn relation(rules: &Rules, names: &Names, host: &str, verdict: &Verdict, at: Time) -> Relation {
    let declared = rules.policy.relation(&verdict.vendor.id, verdict.tenant.as_deref());
    let foreign = declared == Relation::Foreign;
    let ours = |owner: &Arc<str>| rules.policy.is_own_domain(owner);
    if foreign && names.owners(host, at).iter().any(ours) {
        reached(rules, verdict)
    } else {
        declared
    }
}

/// A host of ours leads to the tenant: tables and policy are to know it too.
fn reached(rules: &Rules, verdict: &Verdict) -> Relation {
    if let Some(tenant) = &verdict.tenant {
        rules.policy.reach(&verdict.vendor.id, tenant);
    }
    Relation::Own
}

/// Whether a host of this verdict is an instance, and not something that many instances share.
fn shows_tenants(verdict: &Verdict) -> bool {
    verdict.vendor.tenant_visibility != TenantVisibility::None
        && matches!(verdict.role, Role::Console | Role::Portal | Role::Either | Role::Api)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::decode::{Address, Endpoint};
    use crate::identity::names::Options;
    use crate::sniff::dns::{DnsFlags, Section, rtype};
    use crate::sniff::{DnsAnswer, DnsMessage};

    const AT: Time = Time::from_secs(1_800_000_000);
    const SERVER: [u8; 4] = [192, 0, 2, 80];

    fn rules() -> Rules {
        let text = "[own]\ndomains = ['acme.com']\n";
        Rules::load(&Config::parse("x.toml", text.to_owned()).unwrap()).unwrap()
    }

    /// A client asked for the first name and was led over the others to [`SERVER`].
    fn ask(names: &mut Names, chain: &[&str]) {
        let record = |name: &str, rtype, data: &str| DnsAnswer {
            section: Section::Answer,
            name: name.into(),
            rtype,
            ttl: 300,
            data: data.into(),
            address: None,
            service: None,
        };
        let mut answers: Vec<_> =
            chain.windows(2).map(|pair| record(pair[0], rtype::CNAME, pair[1])).collect();
        let last = record(chain.last().unwrap(), rtype::A, "");
        answers.push(DnsAnswer { address: Some(SERVER.into()), ..last });
        let flags = DnsFlags { recursion_desired: true, ..DnsFlags::default() };
        let question = chain[0].into();
        let message =
            DnsMessage { response: true, flags, question, answers, ..DnsMessage::default() };
        let end = |last, port| Endpoint { ip: Address::v4([10, 0, 0, last]), port };
        names.learn(end(5, 40_000), end(53, 53), false, &message, AT);
    }

    fn told(names: &Names, host: &str) -> Option<(String, Option<String>, Relation)> {
        let judged = judge(&rules(), names, host, AT)?;
        let tenant = judged.verdict.tenant.map(|tenant| tenant.to_string());
        Some((judged.verdict.vendor.id.to_string(), tenant, judged.relation))
    }

    fn resolved(names: &Names) -> Resolved {
        let client = [10, 0, 0, 5].into();
        let candidates = names.of_flow(client, SERVER.into(), AT).unwrap();
        resolve(&rules(), names, candidates, AT)
    }

    #[test]
    fn a_vanity_host_is_the_tenant_that_it_leads_to() {
        let mut names = Names::new(&Options::default());
        assert_eq!(told(&names, "support.acme.com"), None);
        let acme = |relation| Some(("zendesk".to_owned(), Some("acme".to_owned()), relation));
        assert_eq!(told(&names, "acme.zendesk.com"), acme(Relation::Foreign));
        ask(&mut names, &["support.acme.com", "pages.acme.com", "acme.zendesk.com"]);
        assert_eq!(told(&names, "Support.acme.com."), acme(Relation::Own));
        assert_eq!(told(&names, "acme.zendesk.com"), acme(Relation::Own), "reached from our own");
        let judged = judge(&rules(), &names, "support.acme.com", AT).unwrap();
        let chain: Vec<&str> = judged.chain.iter().map(|name| &**name).collect();
        assert_eq!(chain, ["support.acme.com", "pages.acme.com", "acme.zendesk.com"]);
        ask(&mut names, &["help.other.example", "other.zendesk.com"]);
        let other = ("zendesk".to_owned(), Some("other".to_owned()), Relation::Foreign);
        assert_eq!(told(&names, "help.other.example"), Some(other));
    }

    #[test]
    fn where_all_customers_share_a_target_the_vanity_host_is_the_tenant() {
        let mut names = Names::new(&Options::default());
        for (host, relation) in
            [("help.acme.com", Relation::Own), ("help.other.example", Relation::Foreign)]
        {
            ask(&mut names, &[host, "custom.intercom.help"]);
            let expected = ("intercom".to_owned(), Some(host.to_owned()), relation);
            assert_eq!(told(&names, host), Some(expected));
        }
    }

    #[test]
    fn an_address_decides_only_where_all_its_names_are_one_vendors() {
        let mut names = Names::new(&Options::default());
        ask(&mut names, &["acme.zendesk.com"]);
        let Resolved::Decided(candidate, Some(judged)) = resolved(&names) else { panic!() };
        assert_eq!(&*candidate.name, "acme.zendesk.com");
        assert_eq!(judged.verdict.tenant.as_deref(), Some("acme"));
        assert_eq!(judged.verdict.confidence, Confidence::Medium);
        let evidence = evidence(&candidate, SERVER.into());
        assert_eq!(evidence, ["acme.zendesk.com".into(), "192.0.2.80".into()]);

        ask(&mut names, &["other.zendesk.com"]);
        let Resolved::Decided(_, Some(judged)) = resolved(&names) else { panic!() };
        assert_eq!((&*judged.verdict.vendor.id, judged.verdict.tenant), ("zendesk", None));
        assert_eq!(judged.relation, Relation::Unknown, "one of two instances");

        ask(&mut names, &["www.shop.example"]);
        let Resolved::Ambiguous(all) = resolved(&names) else { panic!() };
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn where_not_all_names_of_an_address_are_known_none_decides() {
        let mut names = Names::new(&Options::default());
        for tenant in 0..20 {
            ask(&mut names, &[&format!("acme{tenant}.zendesk.com")]);
        }
        assert!(matches!(resolved(&names), Resolved::Ambiguous(_)));
    }

    #[test]
    fn one_name_of_nobodys_names_the_flow() {
        let mut names = Names::new(&Options::default());
        ask(&mut names, &["www.shop.example"]);
        let Resolved::Decided(candidate, None) = resolved(&names) else { panic!() };
        assert_eq!(&*candidate.name, "www.shop.example");
        ask(&mut names, &["www.news.example"]);
        assert!(matches!(resolved(&names), Resolved::Ambiguous(_)));
    }

    #[test]
    fn a_resolvers_question_says_less_than_the_clients_own() {
        let mut names = Names::new(&Options::default());
        ask(&mut names, &["acme.zendesk.com"]);
        let another = [10, 0, 0, 6].into();
        let candidates = names.of_flow(another, SERVER.into(), AT).unwrap();
        let decided = resolve(&rules(), &names, candidates, AT);
        let Resolved::Decided(_, Some(judged)) = decided else { panic!() };
        assert_eq!(judged.verdict.confidence, Confidence::Low);
    }
}
