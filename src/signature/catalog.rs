//! The catalogue in memory: vendors by id, and which of them a name belongs to.

use std::sync::Arc;

use hashbrown::HashMap;

use super::check::Entry;
use super::domain::{Hit, Name, Suffixes};
use super::lookalike::Lookalikes;
use super::rule::{Kind, Match, Reading};
use super::tables::Tables;
use super::{Vendor, Verdict};

/// All signatures, loaded and checked. Immutable: a reload makes another.
#[derive(Debug)]
pub struct Catalog {
    /// By vendor id.
    entries: Vec<Entry>,
    by_id: HashMap<Arc<str>, usize>,
    categories: Vec<Arc<str>>,
    domains: Suffixes<Places>,
    cnames: Suffixes<Places>,
    others: Tables,
    lookalikes: Lookalikes,
    version: String,
}

impl Catalog {
    /// Which vendor a host name belongs to: longest suffix wins. Any case, with or without a trailing dot; anything else than
    /// a host name is nobody's. Allocates the tenant of a hit, and nothing on a miss.
    pub fn host(&self, host: &str) -> Option<Verdict> {
        let name = Name::new(host)?;
        self.find(&name).map(Found::verdict)
    }

    /// The same for the target of a CNAME: vendors may give vanity targets a match of their own, else the name decides.
    pub fn cname(&self, target: &str) -> Option<Verdict> {
        let name = Name::new(target)?;
        let found = self.cnames.all(&name).find_map(|hit| self.found(&hit));
        found.or_else(|| self.find(&name)).map(Found::verdict)
    }

    /// As [`Catalog::host`], without any allocation.
    pub fn find<'a>(&'a self, name: &'a Name) -> Option<Found<'a>> {
        self.domains.all(name).find_map(|hit| self.found(&hit))
    }

    pub fn vendor(&self, id: &str) -> Option<&Arc<Vendor>> {
        self.entry(id).map(|entry| &entry.vendor)
    }

    /// All vendors, by id.
    pub fn vendors(&self) -> impl ExactSizeIterator<Item = &Arc<Vendor>> {
        self.entries.iter().map(|entry| &entry.vendor)
    }

    /// A vendor with its matches and examples.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(id)?)
    }

    /// All vendors with their matches and examples, by vendor id.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every category that a vendor is in, sorted.
    pub fn categories(&self) -> &[Arc<str>] {
        &self.categories
    }

    /// Number of vendors and twelve hexadecimal digits of a hash over names and texts of all files: `37-9f86d081884c`. Equal
    /// files give an equal version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Entries must be sorted by id, their names unique, and `texts` in a stable order.
    pub(super) fn new<'a>(
        entries: Vec<Entry>,
        texts: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut by_id = HashMap::new();
        let mut categories = Vec::new();
        let (mut domains, mut cnames) = (Suffixes::new(), Suffixes::new());
        let mut others = Tables::default();
        for (at, entry) in entries.iter().enumerate() {
            by_id.insert(entry.vendor.id.clone(), at);
            categories.extend(entry.vendor.categories.iter().cloned());
            for (rule, m) in entry.matches.iter().enumerate() {
                let table = match m.kind {
                    Kind::Domain => &mut domains,
                    Kind::Cname => &mut cnames,
                    _ => {
                        others.add(&entry.vendor.id, m, Place { entry: at, rule });
                        continue;
                    }
                };
                let places: &mut Places = table.place(&m.value, m.exact).get_or_insert_default();
                // Matches for some labels come before the one for all others.
                let at_end = if m.labels.is_empty() { places.len() } else { 0 };
                places.insert(at_end, Place { entry: at, rule });
            }
        }
        others.compile(&entries);
        categories.sort_unstable();
        categories.dedup();
        let version = version(entries.len(), texts);
        let lookalikes = Lookalikes::new(&entries);
        Self { entries, by_id, categories, domains, cnames, others, lookalikes, version }
    }

    pub(super) const fn domains(&self) -> &Suffixes<Places> {
        &self.domains
    }

    pub(super) const fn lookalikes(&self) -> &Lookalikes {
        &self.lookalikes
    }

    /// Has the workers look for titles and texts of pages too.
    pub(super) fn look_into_pages(&mut self) {
        self.others.look_into_pages();
    }

    pub(super) const fn others(&self) -> &Tables {
        &self.others
    }

    pub(super) fn rule(&self, place: Place) -> Option<(&Entry, &Match)> {
        let entry = self.entries.get(place.entry)?;
        Some((entry, entry.matches.get(place.rule)?))
    }

    pub(super) fn found<'a>(&'a self, hit: &Hit<'a, Places>) -> Option<Found<'a>> {
        let rules = hit.value.iter().filter_map(|place| self.rule(*place));
        let (entry, rule) = rules.into_iter().find(|(_, rule)| rule.claims(hit.label))?;
        Some(Found { entry, rule, reading: rule.read(hit.label) })
    }
}

/// What decides about a name, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub entry: &'a Entry,
    pub rule: &'a Match,
    pub reading: Reading<'a>,
}

impl Found<'_> {
    pub fn verdict(self) -> Verdict {
        Verdict {
            vendor: self.entry.vendor.clone(),
            role: self.reading.role,
            tenant: self.reading.tenant.map(Arc::from),
            ambiguous: self.reading.ambiguous,
            // A reserved label is no place where agents work: `www` of a console's suffix.
            agent: self.rule.agent && self.reading.role == self.rule.role,
            confidence: self.rule.confidence,
            signature: self.rule.signature.clone(),
        }
    }
}

/// Where a match stands: index of the entry, index of the match in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    entry: usize,
    rule: usize,
}

/// All matches of one name: of one vendor, those for some labels first.
pub type Places = Vec<Place>;

/// FNV-1a of 64 bits: it tells catalogues apart, it does not protect them.
fn version<'a>(vendors: usize, texts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        // 0xff stands in no UTF-8 text: it keeps (a, bc) from (ab, c).
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for (file, text) in texts {
        add(file);
        add(text);
    }
    format!("{vendors}-{:012x}", hash >> 16)
}
