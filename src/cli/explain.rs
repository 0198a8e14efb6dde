//! `saastap explain NAME...`: which signature claims a name, an address or a fingerprint, which lose, and why.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::pipeline::Rules;
use crate::policy::{Policy, Relation};
use crate::signature::{Catalog, Claim, Explanation, How, Imitation};

/// Octets of one line of input that are read; more is no host name, and what is beyond is skipped.
const MAX_LINE: u64 = 4096;

/// Tell which vendor host names, addresses, JA4 fingerprints, or a flow of a capture, belong to, by which signature, and why
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Host names, addresses or JA4 fingerprints; `-` reads them from standard input, one a line. With --flow: captures
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
    /// The flow with this `id` in `saastap read --flows FILE`: what named it, and what followed from that
    #[arg(long, value_name = "ID")]
    pub flow: Option<u64>,
    /// JSON Lines, one object a name
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The files that were named in place of hosts.
    pub fn captures(&self) -> Vec<PathBuf> {
        self.hosts.iter().map(PathBuf::from).collect()
    }
}

/// Explains each name in turn, writing as it reads.
///
/// # Errors
/// Standard input that cannot be read, or standard output that cannot be written, other than a closed pipe.
pub fn run(args: &Args, rules: &Rules) -> io::Result<ExitCode> {
    let out = io::BufWriter::new(io::stdout().lock());
    explain(args, &rules.catalog, &rules.policy, &mut io::stdin().lock(), out)?;
    Ok(ExitCode::SUCCESS)
}

fn explain(
    args: &Args,
    catalog: &Catalog,
    policy: &Policy,
    input: &mut dyn BufRead,
    mut out: impl Write,
) -> io::Result<()> {
    for host in &args.hosts {
        if host != "-" {
            one(host, args.json, catalog, policy, &mut out)?;
            continue;
        }
        let mut line = Vec::new();
        while next_line(input, &mut line)? {
            let text = String::from_utf8_lossy(&line);
            let host = text.trim();
            if !host.is_empty() {
                one(host, args.json, catalog, policy, &mut out)?;
            }
            // Whoever types names wants each answered before the next.
            if args.json {
                out.flush()?;
            }
        }
    }
    out.flush()
}

/// Reads a line without its end into `line`; what exceeds [`MAX_LINE`] is dropped. `false` at the end of input.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if io::Read::take(&mut *input, MAX_LINE).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(true)
}

fn one(
    host: &str,
    json: bool,
    catalog: &Catalog,
    policy: &Policy,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut explained = catalog.explain(host);
    explained.imitation = if policy.is_own_domain(host) || policy.own_name(host).is_some() {
        None
    } else {
        explained.imitation.take().or_else(|| of_ours(policy, &explained))
    };
    if json {
        serde_json::to_writer(&mut *out, &Line::new(&explained))?;
        writeln!(out)
    } else {
        person(&explained, out)
    }
}

/// What of ours a name plays with that is nobody's, or a foreign instance.
fn of_ours(policy: &Policy, explained: &Explanation) -> Option<Imitation> {
    let found = match &explained.verdict {
        Some(verdict) => {
            let tenant = verdict.tenant.as_deref()?;
            let foreign = policy.relation(&verdict.vendor.id, Some(tenant)) == Relation::Foreign;
            policy.imitates_tenant(tenant).filter(|_| foreign)
        }
        None => policy.imitates(&explained.host),
    }?;
    Some(Imitation { vendor: found.vendor, of: found.of, how: found.how })
}

/// One object of `--json`. Keys are a promise: they are added to, never renamed.
#[derive(Serialize)]
struct Line<'a> {
    host: &'a str,
    vendor: Option<&'a str>,
    role: Option<&'static str>,
    tenant: Option<&'a str>,
    ambiguous: bool,
    agent: bool,
    confidence: Option<crate::signature::Confidence>,
    signature: Option<&'a str>,
    source: Option<&'a str>,
    file: Option<String>,
    losers: Vec<Loser<'a>>,
    imitates: Option<Imitates<'a>>,
}

#[derive(Serialize)]
struct Imitates<'a> {
    vendor: &'a str,
    of: &'a str,
    how: How,
}

#[derive(Serialize)]
struct Loser<'a> {
    vendor: &'a str,
    signature: &'a str,
    why: &'static str,
}

impl<'a> Line<'a> {
    fn new(explained: &'a Explanation) -> Self {
        let verdict = explained.verdict.as_ref();
        let winner = explained.winner.as_ref();
        Self {
            host: &explained.host,
            vendor: verdict.map(|v| &*v.vendor.id),
            role: verdict.map(|v| v.role.name()),
            tenant: verdict.and_then(|v| v.tenant.as_deref()),
            ambiguous: verdict.is_some_and(|v| v.ambiguous),
            agent: verdict.is_some_and(|v| v.agent),
            confidence: verdict.map(|v| v.confidence),
            signature: verdict.map(|v| &*v.signature),
            source: winner.map(|w| &*w.source),
            file: winner.map(place),
            losers: explained
                .losers
                .iter()
                .map(|(claim, why)| Loser {
                    vendor: &claim.vendor,
                    signature: &claim.signature,
                    why: why.name(),
                })
                .collect(),
            imitates: explained.imitation.as_ref().map(|i| Imitates {
                vendor: &i.vendor.id,
                of: &i.of,
                how: i.how,
            }),
        }
    }
}

fn person(explained: &Explanation, out: &mut impl Write) -> io::Result<()> {
    // Names may come from anybody: control characters would reach the terminal.
    writeln!(out, "{}", explained.host.escape_debug())?;
    if explained.host.is_empty() || explained.host.contains(|c: char| c.is_whitespace() || c == '/')
    {
        return writeln!(out, "  no host name; write it alone, as in acme.example\n");
    }
    match (&explained.verdict, &explained.winner) {
        (Some(verdict), Some(winner)) => {
            let vendor = &verdict.vendor;
            writeln!(out, "  vendor     {} ({})", vendor.name, vendor.id)?;
            match explained.but_for_label {
                Some(role) => {
                    let role = format!("{}: by the label, all else is {role}", verdict.role);
                    writeln!(out, "  role       {role}")?;
                }
                None => writeln!(out, "  role       {}", verdict.role)?,
            }
            match (&verdict.tenant, explained.no_tenant) {
                (Some(tenant), _) => writeln!(out, "  tenant     {tenant}")?,
                (None, Some(why)) => writeln!(out, "  tenant     none: {why}")?,
                (None, None) => writeln!(out, "  tenant     none: this name shows no instance")?,
            }
            if verdict.ambiguous {
                writeln!(out, "  ambiguous  yes: such a name alone never makes a use")?;
            }
            if verdict.agent {
                writeln!(out, "  agent      yes: only the agents' workspace fetches it")?;
            }
            let exact = if winner.exact { ", exact" } else { "" };
            writeln!(out, "  signature  {}{exact} ({})", winner.signature, place(winner))?;
            writeln!(out, "  source     {}", winner.source)?;
        }
        _ => writeln!(out, "  none of the catalogue")?,
    }
    if let Some(Imitation { vendor, of, how }) = &explained.imitation {
        writeln!(out, "  imitates   {} ({}): {of}, {}", vendor.name, vendor.id, how.words())?;
    }
    for (claim, why) in &explained.losers {
        writeln!(out, "  not        {} of {}: {}", claim.signature, claim.vendor, why.name())?;
    }
    writeln!(out)
}

fn place(claim: &Claim) -> String {
    format!("{}:{}", claim.file, claim.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::sample::ZENDESK;

    fn told(hosts: &[&str], json: bool, input: &str) -> String {
        told_by(&Policy::default(), hosts, json, input)
    }

    fn told_by(policy: &Policy, hosts: &[&str], json: bool, input: &str) -> String {
        let catalog = Catalog::load_texts(&[("helpdesk/zendesk.toml", ZENDESK)]).unwrap();
        let hosts = hosts.iter().map(|h| (*h).to_owned()).collect();
        let mut out = Vec::new();
        let args = Args { hosts, flow: None, json };
        explain(&args, &catalog, policy, &mut input.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_person_reads_what_won_and_why() {
        let got = told(&["acme.zendesk.com"], false, "");
        let want = "acme.zendesk.com\n  vendor     Zendesk (zendesk)\n  role       either\n  tenant     acme\n";
        assert!(got.starts_with(want), "{got}");
        assert!(got.contains("signature  zendesk.com (helpdesk/zendesk.toml:7)"), "{got}");
        let got = told(&["zendesk.com.login.example", "a\u{1b}[31m"], false, "");
        let want = "  none of the catalogue\n  imitates   Zendesk (zendesk): zendesk.com, put in front of \
                    somebody else's domain\n  not        zendesk.com of zendesk";
        assert!(got.contains(want), "{got}");
        assert!(!got.contains('\u{1b}'), "{got}");
    }

    #[test]
    fn what_is_ours_is_imitated_too() {
        let text = "[own]\ndomains = ['contoso.com', 'zendesk-desk.com']\n\
                    tenants = { zendesk = ['northwind'] }\n";
        let config = crate::config::Config::parse("x.toml", text.to_owned()).unwrap();
        let policy = Rules::load(&config).unwrap().policy;
        let told = |host: &str| told_by(&policy, &[host], false, "");
        for (host, imitated) in [
            ("contoso-login.com", "contoso.com (own): contoso, with more beside it"),
            ("northw1nd.zendesk.com", "Zendesk (zendesk): northwind, in letters"),
        ] {
            let got = told(host);
            assert!(got.contains(&format!("  imitates   {imitated}")), "{got}");
        }
        for honest in ["www.contoso.com", "zendesk-desk.com", "northwind.zendesk.com"] {
            assert!(!told(honest).contains("imitates"), "{honest}");
        }
    }

    #[test]
    fn a_role_that_the_label_tells_is_said_to_be_so() {
        let catalog = Catalog::embedded().unwrap();
        let mut out = Vec::new();
        one("www.teamviewer.com", false, &catalog, &Policy::default(), &mut out).unwrap();
        let got = String::from_utf8(out).unwrap();
        assert!(got.contains("  role       marketing: by the label, all else is relay\n"), "{got}");
    }

    #[test]
    fn json_has_every_key_for_every_name() {
        let got = told(&["www.zendesk.com", "-"], true, "acme.zendesk.com\n\n nobody.example \r\n");
        let lines: Vec<serde_json::Value> =
            got.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["role"], "marketing");
        assert_eq!((&lines[1]["vendor"], &lines[1]["tenant"]), (&"zendesk".into(), &"acme".into()));
        assert_eq!(
            (&lines[1]["ambiguous"], &lines[1]["signature"]),
            (&true.into(), &"zendesk.com".into())
        );
        for key in ["vendor", "role", "tenant", "signature", "imitates"] {
            assert_eq!(lines[2].get(key), Some(&serde_json::Value::Null), "{key}");
        }
        assert_eq!(
            (&lines[2]["host"], &lines[2]["ambiguous"]),
            (&"nobody.example".into(), &false.into())
        );
    }

    #[test]
    fn endless_lines_are_cut() {
        let input = format!("{}\nacme.zendesk.com", "a".repeat(100_000));
        let got = told(&["-"], true, &input);
        assert_eq!(got.lines().count(), 2);
        assert!(got.lines().all(|l| l.len() < 5000));
    }
}
