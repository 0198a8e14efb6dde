//! From the tables as written to a policy, or to all mistakes in them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::hours::Hours;
use super::imitated::Imitated;
use super::nearest::suggest;
use super::options::{ExceptionOptions, Options, OwnOptions, RuleOptions, Words};
use super::own::{Own, Server, host_of};
use super::pattern::Pattern;
use super::rule::{Exception, Rule};
use super::{Group, OTHER, Policy, Relation, State};
use crate::fault::{Fault, Faults, line_of};
use crate::identity::parse_network;
use crate::signature::{Deployment, Role, TenantVisibility, Vendor};
use crate::time::{DAY, Time};

/// Reads the tables of one file against the vendors of the catalogue and gathers what is wrong.
pub struct Builder<'a> {
    vendors: BTreeMap<&'a str, &'a Arc<Vendor>>,
    categories: BTreeSet<&'a str>,
    file: &'a str,
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Builder<'a> {
    pub fn new(
        vendors: impl IntoIterator<Item = &'a Arc<Vendor>>,
        file: &'a str,
        text: &'a str,
    ) -> Self {
        let vendors: BTreeMap<&str, _> = vendors.into_iter().map(|v| (&*v.id, v)).collect();
        let categories = vendors.values().flat_map(|v| v.categories.iter().map(|c| &**c)).collect();
        Self { vendors, categories, file, text, faults: Vec::new() }
    }

    pub fn build(mut self, options: &Options) -> Result<Policy, Faults> {
        let own = self.own(&options.own);
        let groups = self.groups(&options.group);
        let mut rules: Vec<Rule> = Vec::new();
        for (i, rule) in options.policy.iter().enumerate() {
            let Some(rule) = self.rule(i + 1, rule, groups.names()) else { continue };
            match rules.iter().find(|earlier| earlier.covers(&rule)) {
                Some(earlier) => {
                    let what = format!(
                        "rule {} can never match: {} in line {} comes first and takes all it is for",
                        i + 1,
                        earlier.label.split(' ').next().unwrap_or_default(),
                        earlier.line
                    );
                    let mend = "remove the rule, or move it before the other one";
                    self.faults.push(Fault::new(self.file, what, mend).at_line(rule.line));
                }
                None => rules.push(rule),
            }
        }
        if self.faults.is_empty() {
            let imitated = Arc::new(Imitated::new(&own, &self.vendors));
            let other = Group { name: OTHER.into(), kind: None };
            Ok(Policy { own, imitated, groups, rules, other })
        } else {
            self.faults.sort_by_key(|f| f.line);
            Err(Faults(self.faults))
        }
    }

    fn own(&mut self, options: &OwnOptions) -> Own {
        let mut own = Own::default();
        for domain in &options.domains {
            let name = host_of(domain.get_ref());
            if is_host(&name) {
                own.domains.push(name);
            } else {
                self.not_a_host(domain);
            }
        }
        for (id, words) in &options.tenants {
            let Some(vendor) = self.vendor(id.get_ref(), &id.span()) else { continue };
            self.observable(vendor, &words.span());
            let patterns = self.patterns(words);
            own.tenants.entry(vendor.id.clone()).or_default().extend(patterns);
        }
        for (host, target) in &options.names {
            if !is_host(&host_of(host.get_ref())) {
                self.not_a_host(host);
            }
            let Some((vendor, tenant)) = self.instance(target, &mut own) else { continue };
            if tenant.is_some() {
                self.observable(vendor, &target.span());
            }
            own.names.insert(host_of(host.get_ref()), (vendor.id.clone(), tenant));
        }
        for (place, target) in &options.servers {
            let Some((network, port)) = server(place.get_ref()) else {
                let what = format!("`{}` is no server", place.get_ref());
                let mend =
                    "write an address, `10.1.2.3`, with a port, `10.1.2.3:8443`, or a network";
                self.fault(&place.span(), what, mend);
                continue;
            };
            let Some((vendor, tenant)) = self.instance(target, &mut own) else { continue };
            if vendor.deployment == Deployment::Cloud {
                let what =
                    format!("`{}` runs at its vendor's alone, not on own servers", vendor.id);
                self.fault(&target.span(), what, "name hosts that it serves for you in `names`");
            }
            let vendor = vendor.id.clone();
            if !own.add_server(Server { network, port, vendor, tenant }) {
                let what = format!("`{}` is declared twice", place.get_ref());
                self.fault(&place.span(), what, "keep one of the two");
            }
        }
        own
    }

    /// The vendor and the tenant of `vendor/tenant`, or of `vendor`; the tenant is ours from here on.
    fn instance(&mut self, target: &Spanned<String>, own: &mut Own) -> Option<Instance<'a>> {
        let (id, tenant) = match target.get_ref().split_once('/') {
            Some((id, tenant)) => (id, Some(tenant)),
            None => (target.get_ref().as_str(), None),
        };
        let vendor = self.vendor(id, &target.span())?;
        let declared = own.tenants.entry(vendor.id.clone()).or_default();
        if let Some(tenant) = tenant {
            match Pattern::new(tenant) {
                Some(pattern) if !tenant.contains(['*', '/']) => declared.push(pattern),
                _ => self.fault(
                    &target.span(),
                    format!("`{}` names no tenant", target.get_ref()),
                    "write `vendor/tenant` with one tenant, as `zendesk/acme`",
                ),
            }
        }
        Some((vendor, tenant.map(|t| t.to_lowercase().into())))
    }

    /// `None` where a mistake leaves nothing to go on with.
    fn rule(
        &mut self,
        number: usize,
        spanned: &Spanned<RuleOptions>,
        groups: &BTreeSet<Arc<str>>,
    ) -> Option<Rule> {
        let before = self.faults.len();
        let options = spanned.get_ref();
        let line = self.line(&spanned.span());
        let vendors = self.list(&options.vendor, "vendor", |b, word, span| b.vendor(word, span));
        let categories = self.list(&options.category, "category", Self::category);
        let tenants = options.tenant.as_ref().map_or_else(Vec::new, |w| self.patterns(w));
        if let Some(tenant) = &options.tenant {
            for vendor in &vendors {
                self.observable(vendor, &tenant.span());
            }
        }
        let relations = self.list(&options.relation, "relation", |b, word, span| {
            let known = [Relation::Own, Relation::Foreign, Relation::Unknown];
            b.one_of("relation", word, span, known.map(|r| (r.name(), r)))
        });
        let roles = self.list(&options.role, "role", |b, word, span| {
            b.one_of("role", word, span, Role::ALL.map(|r| (r.name(), r)))
        });
        let deployments = self.list(&options.deployment, "deployment", |b, word, span| {
            b.one_of("deployment", word, span, Deployment::ALL.map(|d| (d.name(), d)))
        });
        let rule_groups = self.list(&options.group, "group", |b, word, span| {
            let known = groups.iter().map(|g| &**g).chain([OTHER]);
            if let Some(name) = known.clone().find(|g| *g == word) {
                return Some(Arc::from(name));
            }
            let mend = suggest(word, known, "declare it as a `[[group]]`");
            b.fault(span, format!("unknown group `{word}`"), mend);
            None
        });
        let hours = self.list(&options.hours, "hours", |b, word, span| match Hours::parse(word) {
            Ok(hours) => Some(hours),
            Err(what) => {
                let mend =
                    "write days, times and a time zone, as \"Mon-Fri 08:00-18:00 Europe/Berlin\"";
                b.fault(span, what, mend);
                None
            }
        });
        let state = match &options.state {
            Some(state) => self.one_of(
                "state",
                state.get_ref(),
                &state.span(),
                State::ALL.map(|s| (s.name(), s)),
            ),
            None => {
                let what = format!("rule {number} gives no `state`");
                let mend = "add `state = \"sanctioned\"`, \"tolerated\", \"unsanctioned\" or \
                            \"unreviewed\"";
                self.fault(&spanned.span(), what, mend);
                None
            }
        };
        let exception = options.exception.as_ref().and_then(|e| self.exception(e)).map(Arc::new);
        if let (Some(words), Some(state)) = (&options.hours, state)
            && state != State::Sanctioned
        {
            let what = format!("`hours` say nothing of what is {state} at all hours");
            let mend = "remove `hours`, or make the state \"sanctioned\"";
            self.fault(&words.span(), what, mend);
        }
        if self.faults.len() > before {
            return None;
        }
        Some(Rule {
            label: format!("policy[{number}] ({}:{line})", self.file).into(),
            line,
            vendors: vendors.iter().map(|v| v.id.clone()).collect(),
            categories,
            tenants,
            relations,
            roles,
            groups: rule_groups,
            deployments,
            state: state?,
            hours,
            exception,
        })
    }

    fn exception(&mut self, spanned: &Spanned<ExceptionOptions>) -> Option<Exception> {
        let options = spanned.get_ref();
        let filled = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
        let owner = filled(&options.owner);
        let reason = filled(&options.reason);
        let absent = [
            ("owner", owner.is_none()),
            ("reason", reason.is_none()),
            ("expires", options.expires.is_none()),
        ];
        for (key, _) in absent.iter().filter(|(_, absent)| *absent) {
            let what = format!("an exception without `{key}`");
            let mend =
                "write `exception = { owner = \"...\", reason = \"...\", expires = 2027-03-31 }`";
            self.fault(&spanned.span(), what, mend);
        }
        let expires = options.expires.as_ref()?;
        let Some(day) = start_of(expires.get_ref()) else {
            let what = format!("`{}` is no day", expires.get_ref());
            self.fault(&expires.span(), what, "write the last day it holds, as `2027-03-31`");
            return None;
        };
        let (expires, ends) = (expires.get_ref().to_string(), day.plus(DAY));
        Some(Exception { owner: owner?, reason: reason?, expires, ends })
    }

    /// Reads each word of a list; what `read` cannot read it has told.
    fn list<T>(
        &mut self,
        words: &Option<Spanned<Words>>,
        key: &str,
        read: impl Fn(&mut Self, &str, &Range<usize>) -> Option<T>,
    ) -> Vec<T> {
        let Some(words) = words else { return Vec::new() };
        if words.get_ref().0.is_empty() {
            self.empty(key, &words.span());
        }
        let all = &words.get_ref().0;
        all.iter()
            .filter_map(|w| read(self, &w.text, w.span.as_ref().unwrap_or(&words.span())))
            .collect()
    }

    fn patterns(&mut self, words: &Spanned<Words>) -> Vec<Pattern> {
        if words.get_ref().0.is_empty() {
            self.empty("tenant", &words.span());
        }
        let mut patterns = Vec::new();
        for word in &words.get_ref().0 {
            match Pattern::new(&word.text) {
                Some(pattern) => patterns.push(pattern),
                None => self.fault(
                    word.span.as_ref().unwrap_or(&words.span()),
                    "an empty tenant matches nothing",
                    "write a tenant, or `*` for any",
                ),
            }
        }
        patterns
    }

    fn vendor(&mut self, id: &str, span: &Range<usize>) -> Option<&'a Arc<Vendor>> {
        let found = self.vendors.get(id).copied();
        if found.is_none() {
            let known = self.vendors.keys().copied();
            let mend = suggest(id, known, "`saastap catalog list` shows all ids");
            self.fault(span, format!("unknown vendor `{id}`"), mend);
        }
        found
    }

    fn category(&mut self, name: &str, span: &Range<usize>) -> Option<Arc<str>> {
        if self.categories.contains(name) {
            return Some(name.into());
        }
        let known = self.categories.iter().copied();
        let mend = suggest(name, known, "`saastap catalog list` shows all categories");
        self.fault(span, format!("unknown category `{name}`"), mend);
        None
    }

    fn observable(&mut self, vendor: &Vendor, span: &Range<usize>) {
        if vendor.tenant_visibility == TenantVisibility::None {
            let what = format!(
                "a tenant of `{}` cannot be named: instance not observable on the wire",
                vendor.id
            );
            self.fault(span, what, "name the vendor alone");
        }
    }

    fn one_of<T, const N: usize>(
        &mut self,
        key: &str,
        word: &str,
        span: &Range<usize>,
        known: [(&'static str, T); N],
    ) -> Option<T> {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let found = known.into_iter().find(|(name, _)| *name == word).map(|(_, value)| value);
        if found.is_none() {
            let mend = format!("write one of {}", names.join(", "));
            self.fault(span, format!("unknown {key} `{word}`"), mend);
        }
        found
    }

    fn empty(&mut self, key: &str, span: &Range<usize>) {
        let what = format!("`{key}` is an empty list and matches nothing");
        self.fault(span, what, format!("remove `{key}` to match any, or name one"));
    }

    fn not_a_host(&mut self, host: &Spanned<String>) {
        let what = format!("`{}` is no host name", host.get_ref());
        self.fault(&host.span(), what, "write it as `support.acme.com`, without scheme or path");
    }

    pub(super) fn fault(
        &mut self,
        span: &Range<usize>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.faults.push(Fault::new(self.file, what, mend).at_line(self.line(span)));
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        line_of(self.text, span.start)
    }
}

/// A vendor, and the tenant of it that was named.
type Instance<'a> = (&'a Arc<Vendor>, Option<Arc<str>>);

/// `10.1.2.3`, `10.1.2.3:8443`, `[2001:db8::1]:443` or `10.1.2.0/24`.
fn server(text: &str) -> Option<(IpNet, Option<u16>)> {
    match text.parse::<SocketAddr>() {
        Ok(place) => Some((place.ip().to_canonical().into(), Some(place.port()))),
        Err(_) => parse_network(text).ok().map(|network| (network, None)),
    }
}

/// The beginning of a day that was written without an hour.
fn start_of(day: &Datetime) -> Option<Time> {
    if day.time.is_some() || day.offset.is_some() {
        return None;
    }
    let text = format!("{}T00:00:00Z", day.date?);
    let text: StrDeserializer<'_, ValueError> = text.as_str().into_deserializer();
    Time::deserialize(text).ok()
}

fn is_host(name: &str) -> bool {
    let label =
        |l: &str| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    name.contains('.') && name.split('.').all(label)
}
