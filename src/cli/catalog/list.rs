//! `saastap catalog list` and `show`: what the catalogue holds.

use std::io::{self, Write};

use comfy_table::presets;
use serde::Serialize;

use super::{Misuse, deployment, print, table, visibility};
use crate::policy::nearest;
use crate::signature::{
    Catalog, Confidence, Deployment, Entry, Expect, Match, Role, TenantVisibility,
};

pub fn list(
    category: Option<&str>,
    json: bool,
    catalog: &Catalog,
    out: &mut impl Write,
) -> io::Result<Result<(), Misuse>> {
    if let Some(asked) = category
        && !catalog.categories().iter().any(|c| **c == *asked)
    {
        let known = catalog.categories().join(", ");
        return Ok(Err(format!("no vendor is in category {asked:?}\n  mend: use one of {known}")));
    }
    let wanted =
        catalog.entries().iter().filter(|e| category.is_none_or(|asked| e.vendor.is_in(asked)));
    if json {
        for entry in wanted {
            serde_json::to_writer(&mut *out, &Shown::new(entry))?;
            writeln!(out)?;
        }
        return Ok(Ok(()));
    }
    let mut table = table(&["ID", "NAME", "CATEGORY", "DEPLOYMENT", "TENANT"]);
    // One line a vendor: a list is searched with grep.
    table.load_style(presets::NOTHING);
    let mut count = 0;
    for entry in wanted {
        count += 1;
        let vendor = &entry.vendor;
        table.add_row([
            &*vendor.id,
            &vendor.name,
            vendor.categories.first().map_or("", |c| c),
            deployment(vendor.deployment),
            visibility(vendor.tenant_visibility),
        ]);
    }
    print(&table, out)?;
    writeln!(out, "{count} vendors, catalogue {}", catalog.version())?;
    Ok(Ok(()))
}

pub fn show(
    id: &str,
    json: bool,
    catalog: &Catalog,
    out: &mut impl Write,
) -> io::Result<Result<(), Misuse>> {
    let Some(entry) = catalog.entry(id) else {
        let ids = || catalog.vendors().map(|v| &*v.id);
        let mut like: Vec<&str> = ids().filter(|v| v.contains(id) || id.contains(v)).collect();
        like.extend(nearest(id, ids()).filter(|v| !like.contains(v)));
        let mend = if like.is_empty() {
            "`saastap catalog list` shows all".to_owned()
        } else {
            format!("did you mean {}?", like.join(", "))
        };
        return Ok(Err(format!("no vendor {id:?}\n  mend: {mend}")));
    };
    if json {
        serde_json::to_writer(&mut *out, &Shown::new(entry))?;
        writeln!(out)?;
        return Ok(Ok(()));
    }
    let vendor = &entry.vendor;
    writeln!(out, "{} ({})", vendor.name, vendor.id)?;
    writeln!(out, "  homepage    {}", vendor.homepage)?;
    writeln!(out, "  categories  {}", vendor.categories.join(", "))?;
    writeln!(out, "  deployment  {}", deployment(vendor.deployment))?;
    writeln!(out, "  tenant      {}", told(vendor.tenant_visibility))?;
    writeln!(out, "  file        {}{}", entry.file, if entry.own { " (own)" } else { "" })?;
    writeln!(out)?;
    let mut matches = table(&["kind", "name", "role", "marks", "source"]);
    for rule in &entry.matches {
        matches.add_row([
            rule.kind.name(),
            &rule.value,
            rule.role.name(),
            &marks(rule),
            &rule.source,
        ]);
    }
    print(&matches, out)?;
    writeln!(out)?;
    let mut examples = table(&["example", "role", "tenant"]);
    for example in &entry.examples {
        let (role, tenant) = match &example.expect {
            Expect::Nobody => ("none", ""),
            Expect::Somebody(e) => (e.role.name(), e.tenant.as_deref().unwrap_or("")),
        };
        examples.add_row([&*example.given.to_string(), role, tenant]);
    }
    print(&examples, out)?;
    Ok(Ok(()))
}

/// One vendor as `--json` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    categories: Vec<&'a str>,
    deployment: Deployment,
    homepage: &'a str,
    tenant_visibility: TenantVisibility,
    file: &'a str,
    matches: Vec<ShownMatch<'a>>,
}

#[derive(Serialize)]
struct ShownMatch<'a> {
    kind: &'static str,
    name: &'a str,
    role: Role,
    tenant: bool,
    ambiguous: bool,
    agent: bool,
    exact: bool,
    confidence: Confidence,
    source: &'a str,
}

impl<'a> Shown<'a> {
    fn new(entry: &'a Entry) -> Self {
        let vendor = &*entry.vendor;
        let matches = entry.matches.iter().map(|m| ShownMatch {
            kind: m.kind.name(),
            name: &m.value,
            role: m.role,
            tenant: m.tenant,
            ambiguous: m.ambiguous,
            agent: m.agent,
            exact: m.exact,
            confidence: m.confidence,
            source: &m.source,
        });
        Self {
            id: &vendor.id,
            name: &vendor.name,
            categories: vendor.categories.iter().map(|c| &**c).collect(),
            deployment: vendor.deployment,
            homepage: &vendor.homepage,
            tenant_visibility: vendor.tenant_visibility,
            file: &entry.file,
            matches: matches.collect(),
        }
    }
}

fn marks(rule: &Match) -> String {
    let marks = [
        (rule.tenant, "tenant"),
        (rule.ambiguous, "ambiguous"),
        (rule.agent, "agent"),
        (rule.exact, "exact"),
        (rule.confidence == Confidence::Medium, "medium"),
        (rule.confidence == Confidence::Low, "low"),
    ];
    let given: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    given.join(" ")
}

const fn told(visibility: TenantVisibility) -> &'static str {
    match visibility {
        TenantVisibility::Name => "seen in host names",
        TenantVisibility::Dns => {
            "seen only in DNS, where a customer's own host points to the vendor"
        }
        TenantVisibility::None => "instance not observable",
    }
}

#[cfg(test)]
mod tests {
    use super::super::WIDTH;
    use super::*;
    use crate::signature::sample::{ZENDESK, sheet};

    fn catalog() -> Catalog {
        let long =
            sheet("a-vendor-with-a-long-id", "a-name-that-is-rather-long.of-the-vendor.example");
        let long = long.replace("\"here\"", &format!("\"{}\"", "somewhere/".repeat(20)));
        let texts =
            [("helpdesk/zendesk.toml", ZENDESK), ("helpdesk/a-vendor-with-a-long-id.toml", &long)];
        Catalog::load_texts(&texts).unwrap()
    }

    fn text(make: impl FnOnce(&mut Vec<u8>) -> io::Result<Result<(), Misuse>>) -> String {
        let mut out = Vec::new();
        make(&mut out).unwrap().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|l| l.chars().count() <= usize::from(WIDTH)), "{text}");
        text
    }

    #[test]
    fn a_list_fits_the_terminal() {
        let catalog = catalog();
        let got = text(|out| list(None, false, &catalog, out));
        assert!(got.contains("zendesk") && got.contains("\n2 vendors, catalogue 2-"), "{got}");
        let got = text(|out| list(Some("customer-service"), false, &catalog, out));
        assert!(got.contains("zendesk") && !got.contains("a-vendor"), "{got}");
    }

    #[test]
    fn json_is_a_line_a_vendor() {
        let catalog = catalog();
        let mut out = Vec::new();
        list(None, true, &catalog, &mut out).unwrap().unwrap();
        let lines: Vec<serde_json::Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(lines[1]["id"], "zendesk");
        assert_eq!(lines[1]["matches"][0]["role"], "either");
        assert_eq!(lines[1]["tenant_visibility"], "name");
    }

    #[test]
    fn a_vendor_is_shown_whole() {
        let catalog = catalog();
        let got = text(|out| show("zendesk", false, &catalog, out));
        for part in ["Zendesk (zendesk)", "zdassets.com", "tenant ambiguous", "www.zendesk.com"] {
            assert!(got.contains(part), "{part}: {got}");
        }
        text(|out| show("a-vendor-with-a-long-id", false, &catalog, out));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let catalog = catalog();
        let mut out = Vec::new();
        let misuse = show("zen", false, &catalog, &mut out).unwrap().unwrap_err();
        assert_eq!(misuse, "no vendor \"zen\"\n  mend: did you mean zendesk?");
        let misuse = list(Some("chat"), false, &catalog, &mut out).unwrap().unwrap_err();
        assert!(misuse.contains("use one of customer-service, helpdesk"), "{misuse}");
    }
}
