//! `saastap catalog diff OLD NEW`: what changed between two catalogues.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::{deployment, visibility};
use crate::cli::Failure;
use crate::config::Config;
use crate::pipeline::Rules;
use crate::signature::{Catalog, Confidence, Entry, Match};

/// Tell what changed between two folders of signatures
///
/// Vendors and matches that came or went, and those whose role, tenant, ambiguity, agent mark or confidence is another.
/// Sources and examples are not compared.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Folder of signatures; `-`: the catalogue in use (shipped, and `signatures.dirs`)
    old: PathBuf,
    /// Folder of signatures; `-`: the catalogue in use
    new: PathBuf,
    /// JSON Lines, one object a change
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let load = |path: &Path| -> Result<Arc<Catalog>, Failure> {
        if path == Path::new("-") {
            return Ok(Rules::load(config)?.catalog);
        }
        Ok(Arc::new(Catalog::folder(path, &config.signatures)?))
    };
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let changes = changes(&old, &new);
    print(&changes, args.json, out)?;
    Ok(())
}

/// One line of the answer.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Change {
    change: What,
    vendor: String,
    /// Absent where the vendor as a whole came or went.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    named: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum What {
    Added,
    Removed,
    Changed,
}

fn print(changes: &[Change], json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        for change in changes {
            serde_json::to_writer(&mut *out, change)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    for Change { change, vendor, named, old, new } in changes {
        let sign = match change {
            What::Added => '+',
            What::Removed => '-',
            What::Changed => '~',
        };
        let named = named.as_ref().map_or_else(String::new, |named| format!("  {named}"));
        let said: Vec<&str> = [old, new].into_iter().flatten().map(String::as_str).collect();
        let said = if said.is_empty() { String::new() } else { format!(": {}", said.join(" -> ")) };
        writeln!(out, "{sign} {vendor}{named}{said}")?;
    }
    let of = |what| changes.iter().filter(|c| c.change == what).count();
    let (added, removed, changed) = (of(What::Added), of(What::Removed), of(What::Changed));
    writeln!(out, "{added} added, {removed} removed, {changed} changed")
}

fn changes(old: &Catalog, new: &Catalog) -> Vec<Change> {
    let mut all = Vec::new();
    let ids: BTreeMap<&str, ()> =
        old.vendors().chain(new.vendors()).map(|v| (&*v.id, ())).collect();
    for id in ids.into_keys() {
        if let (Some(old), Some(new)) = (old.entry(id), new.entry(id)) {
            vendor(old, new, &mut all);
            continue;
        }
        let whole =
            |entry: &Entry| format!("{}, {} matches", entry.vendor.name, entry.matches.len());
        let (old, new) = (old.entry(id).map(whole), new.entry(id).map(whole));
        let change = if new.is_some() { What::Added } else { What::Removed };
        all.push(Change { change, vendor: id.to_owned(), named: None, old, new });
    }
    all
}

fn vendor(old: &Entry, new: &Entry, all: &mut Vec<Change>) {
    let id = &*new.vendor.id;
    let (before, after) = (head(old), head(new));
    if before != after {
        let change = What::Changed;
        let (vendor, old, new) = (id.to_owned(), Some(before), Some(after));
        all.push(Change { change, vendor, named: None, old, new });
    }
    let (before, after) = (said(old), said(new));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for named in names {
        let (old, new) = (before.get(named), after.get(named));
        let change = match (old, new) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => What::Changed,
            (None, _) => What::Added,
            (_, None) => What::Removed,
        };
        all.push(Change {
            change,
            vendor: id.to_owned(),
            named: Some(named.clone()),
            old: old.cloned(),
            new: new.cloned(),
        });
    }
}

fn head(entry: &Entry) -> String {
    let vendor = &entry.vendor;
    let (deployment, visibility) =
        (deployment(vendor.deployment), visibility(vendor.tenant_visibility));
    format!("{}, {deployment}, instance {visibility}", vendor.categories.join(" "))
}

/// What a vendor's matches say, by what they look at.
fn said(entry: &Entry) -> BTreeMap<String, String> {
    entry.matches.iter().map(|rule| (named(rule), meaning(rule))).collect()
}

/// What tells a match from all others of its vendor.
fn named(rule: &Match) -> String {
    let mut name = format!("{} {}", rule.kind, rule.value);
    if rule.exact {
        name.push_str(" exact");
    }
    if !rule.labels.is_empty() {
        name = format!("{name} [{}]", rule.labels.join(" "));
    }
    if !rule.ports.is_empty() {
        let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
        name = format!("{name} port {}", ports.join(" "));
    }
    name
}

fn meaning(rule: &Match) -> String {
    let mut words = vec![rule.role.name().to_owned()];
    for (is, word) in
        [(rule.tenant, "tenant"), (rule.ambiguous, "ambiguous"), (rule.agent, "agent")]
    {
        if is {
            words.push(word.to_owned());
        }
    }
    if rule.confidence != Confidence::High {
        words.push(rule.confidence.name().to_owned());
    }
    if !rule.reserved.is_empty() {
        words.push(format!("reserved [{}]", rule.reserved.join(" ")));
    }
    if let Some(role) = rule.reserved_role {
        words.push(format!("as {role}"));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::sample::{ZENDESK, sheet};

    fn catalog(zendesk: &str, others: &[&str]) -> Catalog {
        let sheets: Vec<(String, String)> = others
            .iter()
            .map(|id| (format!("helpdesk/{id}.toml"), sheet(id, &format!("{id}.example"))))
            .collect();
        let mut texts = vec![("helpdesk/zendesk.toml", zendesk)];
        texts.extend(sheets.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        Catalog::load_texts(&texts).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn shown(old: &Catalog, new: &Catalog, json: bool) -> String {
        let mut out = Vec::new();
        print(&changes(old, new), json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_change_is_a_line() {
        let old = catalog(ZENDESK, &["gone", "same"]);
        let zendesk = ZENDESK
            .replacen("role = \"widget\"", "role = \"cdn\"\nconfidence = \"medium\"", 1)
            .replacen("cname = \"zendesk.com\"", "cname = \"zendesk.net\"", 1)
            .replacen("\"cloud\"", "\"both\"", 1);
        let new = catalog(&zendesk, &["here", "same"]);
        assert_eq!(
            shown(&old, &new, false),
            "- gone: gone, 1 matches\n\
             + here: here, 1 matches\n\
             ~ zendesk: helpdesk customer-service, cloud, instance name -> helpdesk \
             customer-service, both, instance name\n\
             - zendesk  cname zendesk.com: portal tenant\n\
             + zendesk  cname zendesk.net: portal tenant\n\
             ~ zendesk  domain zdassets.com: widget -> cdn medium\n\
             2 added, 2 removed, 2 changed\n"
        );
        let json = shown(&old, &new, true);
        let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        assert_eq!(last["change"], "changed");
        assert_eq!((&last["old"], &last["new"]), (&"widget".into(), &"cdn medium".into()));
        assert_eq!(last["match"], "domain zdassets.com");
    }

    #[test]
    fn equal_catalogues_do_not_differ() {
        let one = catalog(ZENDESK, &["same"]);
        assert_eq!(shown(&one, &one, false), "0 added, 0 removed, 0 changed\n");
        assert_eq!(shown(&one, &one, true), "");
    }
}
