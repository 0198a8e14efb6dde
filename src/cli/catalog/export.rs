//! `saastap catalog export`: the catalogue as tables that other programs look names up in.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::Write;

use clap::ValueEnum;

use crate::signature::{Catalog, Confidence, Entry, Kind, Match, Role};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// Every match of every kind with all that its file says, a row each
    Csv,
    /// Host names with wildcards, closest first: a lookup with `match_type = WILDCARD(host)` and `max_matches = 1`
    SplunkLookup,
    /// Host names and suffixes, the search key first
    SentinelWatchlist,
}

pub fn export(format: Format, catalog: &Catalog, out: &mut impl Write) -> csv::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    match format {
        Format::Csv => matches(catalog, &mut table)?,
        Format::SplunkLookup => lookup(catalog, &mut table)?,
        Format::SentinelWatchlist => watchlist(catalog, &mut table)?,
    }
    Ok(table.flush()?)
}

fn matches(catalog: &Catalog, table: &mut csv::Writer<impl Write>) -> csv::Result<()> {
    table.write_record([
        "vendor",
        "name",
        "category",
        "deployment",
        "kind",
        "match",
        "exact",
        "labels",
        "ports",
        "role",
        "tenant",
        "reserved",
        "ambiguous",
        "agent",
        "confidence",
        "source",
    ])?;
    for entry in catalog.entries() {
        for rule in &entry.matches {
            let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
            table.write_record([
                &*entry.vendor.id,
                &entry.vendor.name,
                category(entry),
                super::deployment(entry.vendor.deployment),
                rule.kind.name(),
                &rule.value,
                word(rule.exact),
                &rule.labels.join(" "),
                &ports.join(" "),
                rule.role.name(),
                word(rule.tenant),
                &rule.reserved.join(" "),
                word(rule.ambiguous),
                word(rule.agent),
                rule.confidence.name(),
                &rule.source,
            ])?;
        }
    }
    Ok(())
}

fn lookup(catalog: &Catalog, table: &mut csv::Writer<impl Write>) -> csv::Result<()> {
    table.write_record([
        "host",
        "vendor",
        "name",
        "category",
        "role",
        "ambiguous",
        "confidence",
    ])?;
    for row in names(catalog) {
        table.write_record([
            &*row.pattern(),
            &row.vendor,
            &row.title,
            &row.category,
            row.role.name(),
            word(row.ambiguous),
            row.confidence.name(),
        ])?;
    }
    Ok(())
}

fn watchlist(catalog: &Catalog, table: &mut csv::Writer<impl Write>) -> csv::Result<()> {
    table.write_record([
        "SearchKey",
        "Domain",
        "Covers",
        "Vendor",
        "VendorName",
        "Category",
        "Role",
        "Ambiguous",
        "Confidence",
    ])?;
    // A query joins suffixes of a host with Domain; it cannot join patterns.
    for row in names(catalog).into_iter().filter(|row| !row.name.contains('*')) {
        table.write_record([
            &*row.pattern(),
            &row.name,
            if row.below { "below" } else { "name" },
            &row.vendor,
            &row.title,
            &row.category,
            row.role.name(),
            word(row.ambiguous),
            row.confidence.name(),
        ])?;
    }
    Ok(())
}

/// What the catalogue says of a name, or of all names below it that no earlier row covers.
struct Row {
    name: String,
    below: bool,
    vendor: String,
    title: String,
    category: String,
    role: Role,
    ambiguous: bool,
    confidence: Confidence,
}

impl Row {
    /// As people write wildcards.
    fn pattern(&self) -> String {
        if self.below { format!("*.{}", self.name) } else { self.name.clone() }
    }

    /// Closest first: more labels, names before what is below a suffix, whole labels before patterns.
    fn order(&self) -> (Reverse<usize>, bool, bool, String) {
        let labels = self.name.split('.').count() + usize::from(self.below);
        (Reverse(labels), self.below, self.name.contains('*'), self.name.clone())
    }
}

/// Rows such that the first that covers a host names its vendor.
fn names(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |entry: &Entry, rule: &Match, label: Option<&str>, below: bool| {
        let name = match label {
            Some(label) => format!("{label}.{}", rule.value),
            None => rule.value.to_string(),
        };
        if !seen.insert((name.clone(), below)) {
            return;
        }
        // What is below a suffix and not reserved reads as any label does; a pattern as one that fits it.
        let label = label.map(|label| label.replace('*', "0"));
        let label = label.or_else(|| below.then(|| "0".to_owned()));
        let reading = rule.read(label.as_deref().map(str::as_bytes));
        rows.push(Row {
            name,
            below,
            vendor: entry.vendor.id.to_string(),
            title: entry.vendor.name.to_string(),
            category: category(entry).to_owned(),
            role: reading.role,
            ambiguous: reading.ambiguous,
            confidence: rule.confidence,
        });
    };
    let mut rules: Vec<(&Entry, &Match)> = Vec::new();
    for entry in catalog.entries() {
        rules.extend(entry.matches.iter().filter(|r| r.kind == Kind::Domain).map(|r| (entry, r)));
    }
    // Of one name, the first row counts: what is for a name alone, or for some labels, comes before the rest.
    rules.sort_by_key(|(_, rule)| (!rule.exact, rule.labels.is_empty()));
    for (entry, rule) in rules {
        for label in rule.labels.iter().chain(&rule.reserved) {
            add(entry, rule, Some(label), false);
            add(entry, rule, Some(label), true);
        }
        if rule.labels.is_empty() {
            add(entry, rule, None, false);
            if !rule.exact {
                add(entry, rule, None, true);
            }
        }
    }
    rows.sort_by_cached_key(Row::order);
    rows
}

fn category(entry: &Entry) -> &str {
    entry.vendor.categories.first().map_or("", |category| category)
}

const fn word(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::signature::sample::{ZENDESK, sheet};
    use crate::signature::{Expect, Given};

    fn sample() -> Catalog {
        let rival = sheet("rival", "deep.zdassets.com").replacen("\"here\"", "\"a, \\\"b\\\"\"", 1);
        let texts = [("helpdesk/zendesk.toml", ZENDESK), ("helpdesk/rival.toml", &rival)];
        Catalog::load_texts(&texts).unwrap()
    }

    fn lines(format: Format, catalog: &Catalog) -> Vec<String> {
        let mut out = Vec::new();
        export(format, catalog, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_match_is_a_row_of_csv() {
        let got = lines(Format::Csv, &sample());
        assert_eq!(got.len(), 1 + 4);
        let shown = "rival,rival,helpdesk,cloud,domain,deep.zdassets.com,false,,,console,false,,\
                     false,false,high,\"a, \"\"b\"\"\"";
        assert_eq!(got[1], shown);
        assert!(
            got[2].contains(",zendesk.com,false,,,either,true,ekr,true,false,high,"),
            "{got:?}"
        );
    }

    #[test]
    fn the_closest_name_comes_first() {
        let got = lines(Format::SplunkLookup, &sample());
        let hosts: Vec<&str> = got.iter().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(
            hosts,
            [
                "host",
                "*.deep.zdassets.com",
                "*.ekr.zendesk.com",
                "deep.zdassets.com",
                "ekr.zendesk.com",
                "*.zdassets.com",
                "*.zendesk.com",
                "zdassets.com",
                "zendesk.com"
            ]
        );
        assert_eq!(got[6], "*.zendesk.com,zendesk,Zendesk,helpdesk,either,true,high");
        assert_eq!(got[8], "zendesk.com,zendesk,Zendesk,helpdesk,marketing,false,high");
        let got = lines(Format::SentinelWatchlist, &sample());
        assert_eq!(
            got[6],
            "*.zendesk.com,zendesk.com,below,zendesk,Zendesk,helpdesk,either,true,high"
        );
    }

    /// The first row that covers the host, as a wildcard lookup reads it.
    fn first<'a>(
        rows: &'a [Row],
        plain: &HashMap<String, usize>,
        starred: &[usize],
        host: &str,
    ) -> Option<&'a Row> {
        let below = host.match_indices('.').map(|(dot, _)| format!("*{}", &host[dot..]));
        let plain = below.chain([host.to_owned()]).filter_map(|name| plain.get(&name).copied());
        let starred = starred.iter().copied().filter(|at| {
            let (head, tail) = rows[*at].name.split_once('*').unwrap();
            let long = host.len() >= head.len() + tail.len();
            long && host.ends_with(tail) && (rows[*at].below || host.starts_with(head))
        });
        plain.chain(starred).min().map(|at| &rows[at])
    }

    #[test]
    fn the_first_row_that_covers_a_shipped_example_names_its_vendor() {
        let catalog = Catalog::embedded().unwrap();
        let rows = names(&catalog);
        let (starred, whole): (Vec<usize>, Vec<usize>) =
            (0..rows.len()).partition(|at| rows[*at].name.contains('*'));
        let plain = whole.into_iter().map(|at| (rows[at].pattern(), at)).collect();
        let mut tried = 0;
        for example in catalog.entries().iter().flat_map(|entry| &entry.examples) {
            let Given::Host(host) = &example.given else { continue };
            let found = first(&rows, &plain, &starred, host).map(|row| row.vendor.as_str());
            let wanted = catalog.host(host).map(|v| v.vendor.id.to_string());
            assert_eq!(found, wanted.as_deref(), "{host}");
            tried += usize::from(matches!(example.expect, Expect::Somebody(_)));
        }
        assert!(tried > 700, "only {tried}");
    }
}
