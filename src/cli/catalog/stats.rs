//! `saastap catalog stats`: how much of what the catalogue holds.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{deployment, visibility};
use crate::signature::Catalog;

/// Rows in an order that serves their reader: by number, or as the manual lists them.
#[derive(Serialize)]
struct Stats {
    version: String,
    vendors: usize,
    matches: usize,
    examples: usize,
    category: BTreeMap<String, usize>,
    deployment: BTreeMap<String, usize>,
    tenant_visibility: BTreeMap<String, usize>,
    kind: BTreeMap<String, usize>,
    role: BTreeMap<String, usize>,
    confidence: BTreeMap<String, usize>,
    marks: BTreeMap<String, usize>,
}

pub fn stats(json: bool, catalog: &Catalog, out: &mut impl Write) -> io::Result<()> {
    let stats = Stats::of(catalog);
    if json {
        serde_json::to_writer(&mut *out, &stats)?;
        return writeln!(out);
    }
    stats.print(out)
}

impl Stats {
    fn of(catalog: &Catalog) -> Self {
        let vendors = || catalog.vendors().map(|v| &**v);
        let matches = || catalog.entries().iter().flat_map(|e| &e.matches);
        let first =
            |v: &crate::signature::Vendor| v.categories.first().map_or("", |c| c).to_owned();
        let marks = matches().flat_map(|m| {
            let marks = [
                (m.tenant, "tenant"),
                (m.ambiguous, "ambiguous"),
                (m.agent, "agent"),
                (m.exact, "exact"),
            ];
            marks.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned())
        });
        Self {
            version: catalog.version().to_owned(),
            vendors: vendors().count(),
            matches: matches().count(),
            examples: catalog.entries().iter().map(|e| e.examples.len()).sum(),
            category: tally(vendors().map(first)),
            deployment: tally(vendors().map(|v| deployment(v.deployment).to_owned())),
            tenant_visibility: tally(vendors().map(|v| visibility(v.tenant_visibility).to_owned())),
            kind: tally(matches().map(|m| m.kind.name().to_owned())),
            role: tally(matches().map(|m| m.role.name().to_owned())),
            confidence: tally(matches().map(|m| m.confidence.name().to_owned())),
            marks: tally(marks),
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { version, vendors, matches, examples, .. } = self;
        writeln!(out, "catalogue {version}")?;
        writeln!(out, "{vendors} vendors, {matches} matches, {examples} examples")?;
        for (title, rows) in [
            ("vendors by category", &self.category),
            ("vendors by deployment", &self.deployment),
            ("vendors by where the instance shows", &self.tenant_visibility),
            ("matches by kind", &self.kind),
            ("matches by role", &self.role),
            ("matches by confidence", &self.confidence),
            ("matches with a mark", &self.marks),
        ] {
            writeln!(out, "\n{title}")?;
            let mut rows: Vec<(&String, &usize)> = rows.iter().collect();
            rows.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), *name));
            for (name, n) in rows {
                writeln!(out, "  {name:<20} {n:>6}")?;
            }
        }
        Ok(())
    }
}

fn tally(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for name in names {
        *rows.entry(name).or_default() += 1;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::sample::{ZENDESK, sheet};

    #[test]
    fn every_vendor_and_match_is_counted() {
        let rival = sheet("rival", "rival.example");
        let texts = [("helpdesk/zendesk.toml", ZENDESK), ("helpdesk/rival.toml", &rival)];
        let catalog = Catalog::load_texts(&texts).unwrap();
        let mut out = Vec::new();
        stats(false, &catalog, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "2 vendors, 4 matches, 5 examples\n",
            "category\n  helpdesk                  2\n",
            "kind\n  domain                    3\n  cname                     1\n",
            "  tenant                    2\n  ambiguous                 1\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut out = Vec::new();
        stats(true, &catalog, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["deployment"]["cloud"], 2);
        assert_eq!(json["confidence"]["high"], 4);
    }
}
