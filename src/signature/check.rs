//! What a single signature file must be, beyond its form: from the sheet as written to a vendor and its matches.

use std::collections::HashSet;
use std::sync::Arc;

use toml::Spanned;

use super::domain::registrable;
use super::example::{Example, Given};
use super::form::{host_name, is_label_pattern, is_word};
use super::look::{self, Look};
use super::rule::{Kind, Match};
use super::schema::{Expect, MatchRow, Sheet};
use super::{Confidence, Role, TenantVisibility, Vendor};
use crate::fault::{Fault, line_of};

/// A vendor with what its file says of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub vendor: Arc<Vendor>,
    pub file: Arc<str>,
    pub matches: Vec<Match>,
    pub examples: Vec<Example>,
    /// Further domains that the vendor's owner registered: no usage, and no imitation either.
    pub owned: Vec<Box<str>>,
    /// Words of its domains that are words of a language too.
    pub everyday: Vec<Box<str>>,
    /// Of a folder of `signatures.dirs`, not shipped.
    pub own: bool,
}

/// One file, before anybody has read it.
pub struct Text<'a> {
    pub file: &'a str,
    pub text: &'a str,
    /// The folder that must be the first category; `None` where the file lies in no folder.
    pub folder: Option<&'a str>,
    /// File name without `.toml`: must be the id.
    pub stem: &'a str,
    pub own: bool,
}

/// Reads one file. All its faults are added to `faults`; `None` where its form is so wrong that it has no entry.
pub fn read(text: &Text<'_>, faults: &mut Vec<Fault>) -> Option<Entry> {
    let sheet = match Sheet::parse(text.file, text.text) {
        Ok(sheet) => sheet,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let mut checker = Checker { text, faults };
    checker.head(&sheet);
    let matches: Vec<Match> = sheet.matches.iter().filter_map(|row| checker.row(row)).collect();
    let examples = checker.examples(&sheet, &matches);
    let tenant_visibility = checker.visibility(&sheet, &matches);
    let file: Arc<str> = text.file.into();
    let owned = checker.owned(&sheet);
    let everyday = sheet.everyday.iter().map(|word| word.get_ref().as_str().into()).collect();
    let vendor = Vendor {
        id: sheet.id.into_inner().into(),
        name: sheet.name.into_inner().into(),
        categories: sheet.categories.into_inner().into_iter().map(Arc::from).collect(),
        deployment: sheet.deployment,
        homepage: sheet.homepage.into_inner(),
        tenant_visibility,
        ordinary_inside: sheet.ordinary_inside.is_some_and(Spanned::into_inner),
        file: file.clone(),
    };
    Some(Entry {
        vendor: Arc::new(vendor),
        file,
        matches,
        examples,
        owned,
        everyday,
        own: text.own,
    })
}

struct Checker<'a> {
    text: &'a Text<'a>,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn head(&mut self, sheet: &Sheet) {
        let id = sheet.id.get_ref();
        if !is_word(id) {
            let what = format!("id {id:?} is no word of a-z, 0-9 and hyphens");
            self.at(&sheet.id, what, "write it in lower case, with hyphens for blanks");
        } else if id != self.text.stem {
            let what = format!("id {id:?} is not the file's name ({}.toml)", self.text.stem);
            self.at(&sheet.id, what, format!("rename the file to {id}.toml, or mend the id"));
        }
        if sheet.name.get_ref().trim().is_empty() {
            self.at(&sheet.name, "the name is empty", "write the vendor's name as it writes it");
        }
        let categories = sheet.categories.get_ref();
        for category in categories.iter().filter(|c| !is_word(c)) {
            let what = format!("category {category:?} is no word of a-z, 0-9 and hyphens");
            self.at(&sheet.categories, what, "write it as the folders of signatures/ do");
        }
        match (categories.first(), self.text.folder) {
            (None, _) => {
                self.at(&sheet.categories, "no category", "name at least one: that of the folder");
            }
            (Some(first), Some(folder)) if first != folder => {
                let what = format!("the first category is {first:?}, but the folder is {folder:?}");
                let mend = format!("move the file to {first}/, or put {folder:?} first");
                self.at(&sheet.categories, what, mend);
            }
            _ => {}
        }
        if let Some(key) = &sheet.ordinary_inside
            && !categories.iter().any(|c| c == Vendor::REMOTE_ASSISTANCE)
        {
            let what = "ordinary_inside says something of remote assistance alone";
            self.at(key, what, "remove it, or add the category remote-assistance");
        }
        if !sheet.homepage.get_ref().starts_with("https://")
            && !sheet.homepage.get_ref().starts_with("http://")
        {
            let what = format!("homepage {:?} is no web address", sheet.homepage.get_ref());
            self.at(&sheet.homepage, what, "write it with https://");
        }
        if sheet.matches.is_empty() {
            let mend = "add one with domain, role and source";
            self.fault("the file has no [[match]]", mend, 1);
        }
    }

    fn owned(&mut self, sheet: &Sheet) -> Vec<Box<str>> {
        for name in &sheet.owned {
            if registrable(name.get_ref()).as_ref() != Some(name.get_ref()) {
                let what = format!("owned {:?} is no registered domain", name.get_ref());
                self.at(name, what, "write the domain alone, in lower case: acme.example");
            }
        }
        sheet.owned.iter().map(|name| name.get_ref().as_str().into()).collect()
    }

    fn row(&mut self, row: &Spanned<MatchRow>) -> Option<Match> {
        let line = self.line(row);
        let spot = row;
        let row = row.get_ref();
        let names = [
            (Kind::Domain, &row.domain),
            (Kind::Cname, &row.cname),
            (Kind::Spf, &row.spf),
            (Kind::Mx, &row.mx),
            (Kind::Mail, &row.mail),
        ];
        let mut names = names.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref()?)));
        let first = names.next();
        let others = look::count(row);
        if names.next().is_some() || others + usize::from(first.is_some()) > 1 {
            let what = "the match has more than one kind";
            self.at(spot, what, "write one [[match]] for each kind");
            return None;
        }
        if let Some((kind, value)) = first {
            return self.name_match(spot, kind, value, line);
        }
        let Some((kind, offset, read)) = look::read(row) else {
            let (what, mend) = match &row.port {
                Some(_) => (
                    "a port alone decides nothing",
                    "add protocol, payload, certificate or http: port says where that counts",
                ),
                None => (
                    "the match says not what it looks at",
                    "add domain = \"...\" (or another kind of signatures/README.md)",
                ),
            };
            self.at(spot, what, mend);
            return None;
        };
        match read {
            Ok((value, look)) => self.other_match(spot, kind, &value, look, line),
            Err((what, mend)) => {
                self.fault(what, mend, line_of(self.text.text, offset));
                None
            }
        }
    }

    fn name_match(
        &mut self,
        spot: &Spanned<MatchRow>,
        kind: Kind,
        value: &Spanned<String>,
        line: usize,
    ) -> Option<Match> {
        if let Err((what, mend)) = host_name(value.get_ref()) {
            self.at(value, format!("{} {:?}: {what}", kind.name(), value.get_ref()), mend);
            return None;
        }
        if let Some(port) = &spot.get_ref().port {
            self.at(port, format!("a {kind} match has no port"), "remove port");
        }
        let found = self.rule(spot, kind, value.get_ref(), line)?;
        if kind == Kind::Domain && !found.exact {
            self.suffix(value, found.tenant);
        }
        Some(found)
    }

    fn other_match(
        &mut self,
        spot: &Spanned<MatchRow>,
        kind: Kind,
        value: &str,
        look: Look,
        line: usize,
    ) -> Option<Match> {
        let row = spot.get_ref();
        if row.exact || row.labels.is_some() || row.tenant.is_some() {
            let what = format!("exact, labels and tenant say nothing of a {kind} match");
            self.at(spot, what, "remove them: they are for names");
        }
        let ported =
            matches!(kind, Kind::Certificate | Kind::Http | Kind::Payload | Kind::Protocol);
        if let Some(port) = row.port.as_ref().filter(|_| !ported) {
            self.at(port, format!("a {kind} match has no port"), "remove port");
        }
        match (kind, row.confidence) {
            (Kind::Cidr, Confidence::Medium | Confidence::High) => {
                let mend = "add confidence = \"low\", if nothing but the vendor is in the range";
                self.at(spot, format!("cidr {value} is hardly certain"), mend);
            }
            (Kind::Ja4, Confidence::High) => {
                let mend = "add confidence = \"medium\" or \"low\": other programs may share it";
                self.at(spot, format!("ja4 {value} is hardly certain"), mend);
            }
            _ => {}
        }
        let found = self.rule(spot, kind, value, line)?;
        let ports = row.port.as_ref().map(|p| p.get_ref().ports()).unwrap_or_default();
        let signature = format!("{kind} {value}").into();
        Some(Match { look, signature, ports, ..found })
    }

    fn rule(
        &mut self,
        spot: &Spanned<MatchRow>,
        kind: Kind,
        value: &str,
        line: usize,
    ) -> Option<Match> {
        let row = spot.get_ref();
        let source = row.source.as_ref().map(|s| s.get_ref().trim()).unwrap_or_default();
        if source.is_empty() {
            let what = format!("match {value:?} has no source");
            self.at(spot, what, "add source = \"...\": where this is documented or was seen");
        }
        let role = match (row.role, kind) {
            (Some(role), _) => role,
            // A vanity host is what customers are shown.
            (None, Kind::Cname) => Role::Portal,
            (None, Kind::Spf | Kind::Mx | Kind::Mail | Kind::Txt) => Role::Mail,
            (None, _) => {
                let what = format!("match {value:?} has no role");
                self.at(spot, what, format!("add role = one of {}", role_names()));
                return None;
            }
        };
        if let (true, Some(tenant)) = (row.exact, &row.tenant) {
            let mend = "remove tenant, or exact";
            self.at(tenant, "an exact name has no label that could be a tenant", mend);
        }
        if row.tenant.is_none() {
            if let Some(reserved) = &row.reserved {
                self.at(
                    reserved,
                    "reserved without tenant",
                    "add tenant = \"label\", or remove it",
                );
            }
            if let Some(role) = &row.reserved_role {
                self.at(role, "reserved_role without tenant", "remove it: role is enough");
            }
        }
        if let (true, Some(labels)) = (row.exact, &row.labels) {
            self.at(labels, "an exact name has no label before it", "remove labels, or exact");
        }
        let reserved = self.labels(row.reserved.as_ref());
        let labels = self.labels(row.labels.as_ref());
        Some(Match {
            kind,
            value: value.into(),
            look: Look::Name,
            signature: value.into(),
            ports: Vec::new(),
            role,
            ambiguous: row.ambiguous,
            agent: row.agent,
            exact: row.exact,
            labels,
            tenant: row.tenant.is_some(),
            reserved,
            reserved_role: row.reserved_role.as_ref().map(|r| *r.get_ref()),
            source: source.to_owned(),
            confidence: row.confidence,
            line,
        })
    }

    fn labels(&mut self, given: Option<&Spanned<Vec<String>>>) -> Vec<Box<str>> {
        let mut labels: Vec<Box<str>> = Vec::new();
        for label in given.iter().flat_map(|r| r.get_ref()) {
            if !is_label_pattern(label) {
                let what = format!("label {label:?} is no lower-case label");
                let mend = "write the one label before the suffix (* stands for any characters); \
                            deeper names get a match of their own";
                self.at_any(given, what, mend);
            } else if labels.iter().any(|l| **l == **label) {
                self.at_any(given, format!("label {label:?} stands twice"), "remove one");
            }
            labels.push(label.as_str().into());
        }
        labels
    }

    /// A suffix under which strangers register names would give all of them to the vendor.
    fn suffix(&mut self, value: &Spanned<String>, tenant: bool) {
        let name = value.get_ref();
        let Some(public) = psl::suffix(name.as_bytes()) else { return };
        if public != name.as_bytes() {
            return;
        }
        if public.typ() == Some(psl::Type::Private) {
            // Listed because each label below is somebody else's: right for a vendor's tenants, wrong for shared hosting.
            if !tenant {
                let what = format!("{name:?} is a public suffix: each label below it is another's");
                let mend = "name the exact host (exact = true); or, if the labels are the vendor's \
                            instances, say tenant = \"label\"";
                self.at(value, what, mend);
            }
            return;
        }
        let what = format!("{name:?} is a public suffix");
        self.at(value, what, "name the domain that the vendor registered below it");
    }

    fn examples(&mut self, sheet: &Sheet, matches: &[Match]) -> Vec<Example> {
        let mut seen = HashSet::new();
        let id = sheet.id.get_ref();
        let (mut positive, mut negative) = (HashSet::new(), false);
        let mut examples = Vec::new();
        for row in &sheet.examples {
            let line = self.line(row);
            let row = row.get_ref();
            let given = match Given::read(row) {
                Ok(given) => given,
                Err(what) => {
                    self.fault(what, "write one of host, certificate, header ... in each", line);
                    continue;
                }
            };
            if !seen.insert((given.to_string(), row.port)) {
                let what = format!("example {:?} stands twice", given.to_string());
                self.fault(what, "remove one", line);
            }
            let own = match &row.expect {
                Expect::Nobody => false,
                Expect::Somebody(e) => e.vendor.as_ref().is_none_or(|vendor| vendor == id),
            };
            if own {
                positive.insert(given.kind());
            }
            negative |= !own;
            examples.push(Example { given, port: row.port, expect: row.expect.clone(), line });
        }
        if positive.is_empty() {
            let mend = "add an [[example]] of a host that must match";
            self.fault("no example shows what the signature finds", mend, 1);
        }
        for rule in matches {
            // Names have had examples from the beginning; what bytes show is easily written so that it never fits.
            if rule.look != Look::Name && !positive.contains(&rule.kind) {
                let what = format!("no example shows what the {} match finds", rule.kind);
                self.fault(what, "add an [[example]] of what it must find", rule.line);
                positive.insert(rule.kind);
            }
        }
        if !negative {
            let mend = "add an [[example]] with expect = \"none\": a look-alike or a neighbour";
            self.fault("no example shows what the signature must not find", mend, 1);
        }
        examples
    }

    fn visibility(&mut self, sheet: &Sheet, matches: &[Match]) -> TenantVisibility {
        let seen = |kind| matches.iter().any(|m: &Match| m.kind == kind && m.tenant);
        let shown = match (seen(Kind::Domain), seen(Kind::Cname)) {
            (true, _) => TenantVisibility::Name,
            (false, true) => TenantVisibility::Dns,
            (false, false) => TenantVisibility::None,
        };
        let Some(declared) = &sheet.tenant_visibility else { return shown };
        let said = *declared.get_ref();
        let complaint = match (said, shown) {
            (TenantVisibility::Name, TenantVisibility::Dns | TenantVisibility::None) => Some((
                "\"name\", but no domain match has a tenant",
                "add tenant = \"label\" to one",
            )),
            (TenantVisibility::Dns, TenantVisibility::Name) => {
                Some(("\"dns\", but a domain match has a tenant", "say \"name\""))
            }
            (TenantVisibility::None, TenantVisibility::Name | TenantVisibility::Dns) => {
                Some(("\"none\", but a match has a tenant", "remove one of the two"))
            }
            _ => None,
        };
        if let Some((what, mend)) = complaint {
            self.at(declared, format!("tenant_visibility is {what}"), mend);
        }
        said
    }

    fn line<T>(&self, spot: &Spanned<T>) -> usize {
        line_of(self.text.text, spot.span().start)
    }

    fn at<T>(&mut self, spot: &Spanned<T>, what: impl Into<String>, mend: impl Into<String>) {
        let line = self.line(spot);
        self.fault(what, mend, line);
    }

    fn at_any<T>(
        &mut self,
        spot: Option<&Spanned<T>>,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) {
        if let Some(spot) = spot {
            self.at(spot, what, mend);
        }
    }

    fn fault(&mut self, what: impl Into<String>, mend: impl Into<String>, line: usize) {
        self.faults.push(Fault::new(self.text.file, what, mend).at_line(line));
    }
}

fn role_names() -> String {
    Role::ALL.map(Role::name).join(", ")
}
