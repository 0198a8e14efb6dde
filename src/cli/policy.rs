//! `saastap policy explain|diff`: which rule decides about a contact, and what another policy would change.

mod diff;

use std::io::{self, Write};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::Failure;
use crate::config::Config;
use crate::fault::Faults;
use crate::identity::Mac;
use crate::identity::lease_file::parse_mac;
use crate::pipeline::Rules;
use crate::policy::{By, Contact, Decision, OTHER, Rule, Who, nearest};
use crate::signature::Role;
use crate::time::{Second, Time};

/// Tell which rule decides, or what another policy would change
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(clap::Subcommand, Debug, Clone)]
pub enum Command {
    /// Tell which rule decides about a contact, and why those before it do not
    Explain(Asked),
    /// Tell which verdicts and findings another policy would change before it goes live
    Diff(diff::Args),
}

#[derive(clap::Args, Debug, Clone)]
pub struct Asked {
    /// Address of the client: its group is that of the lease file at the time, or of its network
    #[arg(long, value_name = "ADDRESS", conflicts_with = "group")]
    client: Option<IpAddr>,
    /// Host name of the client, as DHCP tells it
    #[arg(long, value_name = "NAME", requires = "client")]
    host: Option<String>,
    /// Hardware address of the client
    #[arg(long, value_name = "ADDRESS", requires = "client", value_parser = hardware)]
    mac: Option<Mac>,
    /// VLAN in which the client sends
    #[arg(long, value_name = "ID", requires = "client")]
    vlan: Option<NonZeroU16>,
    /// Group of the client, in place of an address
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Vendor id, as `saastap catalog list` shows it
    #[arg(long, value_name = "ID")]
    vendor: String,
    /// Instance of the vendor
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What the contact is for
    #[arg(long, default_value = "console", value_parser = PossibleValuesParser::new(Role::ALL.map(Role::name)))]
    role: String,
    /// Moment of the contact (RFC 3339, as 2026-11-22T14:30:00+01:00); without it, now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Time>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(
    args: &Args,
    config: impl FnOnce() -> Result<Config, Faults>,
) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Explain(asked) => explain(asked, &Rules::load(&config()?)?),
        Command::Diff(args) => diff::run(args, config()?),
    }
}

fn explain(asked: &Asked, rules: &Rules) -> Result<ExitCode, Failure> {
    let Some(vendor) = rules.catalog.vendor(&asked.vendor) else {
        let known = rules.catalog.vendors().map(|v| &*v.id);
        let near = nearest(&asked.vendor, known).map_or_else(
            || "`saastap catalog list` shows all ids".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Failure::misuse(format!("unknown vendor `{}`\n  mend: {near}", asked.vendor)));
    };
    let policy = &rules.policy;
    let at = asked.at.unwrap_or_else(now);
    let mut by = None;
    let group = match (&asked.group, asked.client) {
        (Some(group), _) => {
            if *group != *OTHER && !policy.groups().contains(group.as_str()) {
                let mend = "name one that a `[[group]]` declares, or `other`";
                return Err(Failure::misuse(format!("unknown group `{group}`\n  mend: {mend}")));
            }
            group.clone()
        }
        (None, Some(address)) => {
            let row = rules.leases.at(address, at);
            let (group, claimed) = policy.group_by(Who {
                address,
                listed: row.and_then(|row| row.group.as_deref()),
                mac: asked.mac.or_else(|| row?.owner.as_ref()?.mac()),
                host: asked.host.as_deref(),
                vlan: asked.vlan,
            });
            let place = row.filter(|_| claimed == Some(By::LeaseFile));
            by = claimed.map(|by| match place {
                Some(row) => format!("{} ({})", by.name(), rules.leases.place(row)),
                None => by.name().to_owned(),
            });
            group.name.to_string()
        }
        (None, None) => OTHER.to_owned(),
    };
    let tenant = asked.tenant.as_deref().map(str::to_lowercase);
    let role = Role::ALL.into_iter().find(|role| role.name() == asked.role);
    let contact = Contact {
        vendor,
        tenant: tenant.as_deref(),
        role: role.unwrap_or(Role::Console),
        relation: policy.relation(&vendor.id, tenant.as_deref()),
        deployment: vendor.deployment,
        group: &group,
        at,
    };
    let answer = Answer::of(&contact, by, policy.rules(), policy.decide(&contact));
    let mut out = io::stdout().lock();
    if asked.json {
        crate::pipeline::write_ascii(&mut out, &answer)?;
    } else {
        answer.print(&mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What is asked about, each rule up to the one that decides, and the decision.
#[derive(Serialize)]
struct Answer<'a> {
    vendor: &'a str,
    tenant: Option<&'a str>,
    role: &'static str,
    relation: &'static str,
    group: &'a str,
    /// What puts the client into it.
    group_by: Option<String>,
    at: Time,
    rules: Vec<Considered>,
    state: &'static str,
    rule: Option<String>,
    off_hours: bool,
}

#[derive(Serialize)]
struct Considered {
    rule: String,
    says: String,
    /// The first condition that does not hold; none where the rule decides.
    fails: Option<&'static str>,
}

impl<'a> Answer<'a> {
    fn of(
        contact: &Contact<'a>,
        group_by: Option<String>,
        rules: &[Rule],
        decision: Decision,
    ) -> Self {
        let considered = |rule: &Rule| Considered {
            rule: rule.label.to_string(),
            says: rule.to_string(),
            fails: rule.fails(contact),
        };
        let decides = rules.iter().position(|rule| rule.fails(contact).is_none());
        let until = decides.map_or(rules.len(), |at| at + 1);
        Self {
            vendor: &contact.vendor.id,
            tenant: contact.tenant,
            role: contact.role.name(),
            relation: contact.relation.name(),
            group: contact.group,
            group_by,
            at: contact.at,
            rules: rules.iter().take(until).map(considered).collect(),
            state: decision.state.name(),
            rule: decision.rule.map(|rule| rule.to_string()),
            off_hours: decision.off_hours,
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let tenant = self.tenant.map_or_else(String::new, |tenant| format!("/{tenant}"));
        let by = self.group_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        writeln!(out, "{}{tenant} as {}, group {}{by}", self.vendor, self.role, self.group)?;
        writeln!(out, "  relation {}, at {}", self.relation, Second(self.at))?;
        for considered in &self.rules {
            let word = match considered.fails {
                Some(condition) => format!("not for this {condition}"),
                None => "decides".to_owned(),
            };
            writeln!(out, "  {}: {word}\n      {}", considered.rule, considered.says)?;
        }
        let by = match &self.rule {
            Some(rule) => format!("by {rule}"),
            None => "because no rule matches".to_owned(),
        };
        writeln!(out, "{} {by}", self.state)
    }
}

fn hardware(text: &str) -> Result<Mac, String> {
    parse_mac(text).ok_or_else(|| "write six octets, as 3c:22:fb:01:02:03".to_owned())
}

fn moment(text: &str) -> Result<Time, String> {
    text.parse().map_err(|_| "write it as 2026-11-22T14:30:00Z".to_owned())
}

#[allow(clippy::disallowed_methods)] // a person asks about now; packets are not concerned
fn now() -> Time {
    Time::ZERO.plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
