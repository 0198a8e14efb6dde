//! What a single signature file must be, beyond its form: from the sheet as written to a vendor and its matches.

use std::collections::HashSet;
use std::sync::Arc;

use toml::Spanned;

use super::form::{host_name, is_label_pattern, is_word};
use super::rule::{Kind, Match};
use super::schema::{Expect, MatchRow, Sheet};
use super::{Role, TenantVisibility, Vendor};
use crate::fault::{Fault, line_of};

/// A vendor with what its file says of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub vendor: Arc<Vendor>,
    pub file: Arc<str>,
    pub matches: Vec<Match>,
    pub examples: Vec<Example>,
    /// Of a folder of `signatures.dirs`, not shipped.
    pub own: bool,
}

/// One `[[example]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    pub host: String,
    pub expect: Expect,
    pub line: usize,
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
    let examples = checker.examples(&sheet);
    let tenant_visibility = checker.visibility(&sheet, &matches);
    let vendor = Vendor {
        id: sheet.id.into_inner().into(),
        name: sheet.name.into_inner().into(),
        categories: sheet.categories.into_inner().into_iter().map(Arc::from).collect(),
        deployment: sheet.deployment,
        homepage: sheet.homepage.into_inner(),
        tenant_visibility,
    };
    let file = text.file.into();
    Some(Entry { vendor: Arc::new(vendor), file, matches, examples, own: text.own })
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

    fn row(&mut self, row: &Spanned<MatchRow>) -> Option<Match> {
        let line = self.line(row);
        let spot = row;
        let row = row.get_ref();
        self.refuse_later_kinds(row);
        let kinds = [
            (Kind::Domain, &row.domain),
            (Kind::Cname, &row.cname),
            (Kind::Spf, &row.spf),
            (Kind::Mx, &row.mx),
            (Kind::Mail, &row.mail),
        ];
        let mut given = kinds.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref()?)));
        let first = given.next();
        if given.next().is_some() {
            let what = "the match has more than one kind";
            self.at(spot, what, "write one [[match]] for each of domain, cname, spf, mx, mail");
            return None;
        }
        let Some((kind, value)) = first else {
            if !has_later_kind(row) {
                let what = "the match says not what it looks at";
                self.at(spot, what, "add domain = \"...\" (or cname, spf, mx, mail)");
            }
            return None;
        };
        if let Err((what, mend)) = host_name(value.get_ref()) {
            self.at(value, format!("{} {:?}: {what}", kind.name(), value.get_ref()), mend);
            return None;
        }
        let found = self.rule(spot, kind, value, line)?;
        if kind == Kind::Domain && !found.exact {
            self.suffix(value, found.tenant);
        }
        Some(found)
    }

    fn rule(
        &mut self,
        spot: &Spanned<MatchRow>,
        kind: Kind,
        value: &Spanned<String>,
        line: usize,
    ) -> Option<Match> {
        let row = spot.get_ref();
        let source = row.source.as_ref().map(|s| s.get_ref().trim()).unwrap_or_default();
        if source.is_empty() {
            let what = format!("match {:?} has no source", value.get_ref());
            self.at(spot, what, "add source = \"...\": where this is documented or was seen");
        }
        let role = match (row.role, kind) {
            (Some(role), _) => role,
            // A vanity host is what customers are shown.
            (None, Kind::Cname) => Role::Portal,
            (None, Kind::Spf | Kind::Mx | Kind::Mail) => Role::Mail,
            (None, Kind::Domain) => {
                let what = format!("match {:?} has no role", value.get_ref());
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
            value: value.get_ref().as_str().into(),
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

    fn refuse_later_kinds(&mut self, row: &MatchRow) {
        for (kind, value) in later_kinds(row) {
            let what = format!("match by {kind} is not yet supported");
            self.at_any(value.as_ref(), what, "leave the match out until it is");
        }
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

    fn examples(&mut self, sheet: &Sheet) -> Vec<Example> {
        let mut seen = HashSet::new();
        let id = sheet.id.get_ref();
        let (mut positive, mut negative) = (false, false);
        let mut examples = Vec::new();
        for row in &sheet.examples {
            let line = self.line(row);
            let row = row.get_ref();
            if !seen.insert(row.host.as_str()) {
                let what = format!("example {:?} stands twice", row.host);
                self.fault(what, "remove one", line);
            }
            let own = match &row.expect {
                Expect::Nobody => false,
                Expect::Somebody(e) => e.vendor.as_ref().is_none_or(|vendor| vendor == id),
            };
            positive |= own;
            negative |= !own;
            examples.push(Example { host: row.host.clone(), expect: row.expect.clone(), line });
        }
        if !positive {
            let mend = "add an [[example]] of a host that must match";
            self.fault("no example shows what the signature finds", mend, 1);
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

fn later_kinds(
    row: &MatchRow,
) -> impl Iterator<Item = (&'static str, &Option<Spanned<toml::Value>>)> {
    [
        ("certificate", &row.certificate),
        ("http", &row.http),
        ("port", &row.port),
        ("payload", &row.payload),
        ("alpn", &row.alpn),
        ("cidr", &row.cidr),
        ("ja4", &row.ja4),
    ]
    .into_iter()
}

fn has_later_kind(row: &MatchRow) -> bool {
    later_kinds(row).any(|(_, value)| value.is_some())
}

fn role_names() -> String {
    Role::ALL.map(Role::name).join(", ")
}
