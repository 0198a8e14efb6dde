//! What kept findings back, in the words that a person reads.

use crate::alert::finding::SANCTIONED_SILENT;
use crate::alert::{Contact, Kept, Reason, Shallow, Suppressed};
use crate::export::SuppressedRow;
use crate::export::web::Octets;
use crate::identity::ClientKind;
use crate::time::Second;
use crate::usage::{Engagement, Inventory, Key, Usage, counts};

/// Of each contact the last reason of each finding that was not raised; by vendor, tenant, group and client.
pub fn suppressed_rows(suppressed: &Suppressed, inventory: &Inventory) -> Vec<SuppressedRow> {
    let mut rows = Vec::new();
    for (contact, all) in suppressed.all() {
        for kept in all {
            rows.push(SuppressedRow {
                finding: kept.finding.to_owned(),
                vendor: contact.vendor.to_string(),
                tenant: contact.tenant.as_deref().map(str::to_owned),
                group: inventory.crowds().shown(&contact.group).to_owned(),
                client: contact.client.to_string(),
                role: kept.role.name().to_owned(),
                at: kept.at,
                reason: words(&contact, &kept, inventory),
            });
        }
    }
    for (finding, about, at, reason) in suppressed.all_lasting() {
        let of_vendor = finding == SANCTIONED_SILENT;
        let text = lasting_words(&reason);
        rows.push(SuppressedRow {
            finding: finding.to_owned(),
            vendor: if of_vendor { about.to_string() } else { String::new() },
            tenant: None,
            group: String::new(),
            client: String::new(),
            role: String::new(),
            at,
            reason: if of_vendor { text } else { format!("{about}: {text}") },
        });
    }
    rows
}

/// Of what is about no contact.
fn lasting_words(reason: &Reason) -> String {
    match reason {
        Reason::Starting { until } => {
            format!("not so soon after the start: until {}", Second(*until))
        }
        Reason::Little { whole, needs } => format!("{whole} of {needs} that a share needs"),
        Reason::Share(loss) => format!(
            "{} of {} {} in {} minutes, below {} %",
            loss.part,
            loss.whole,
            loss.cause.of(),
            loss.minutes,
            loss.threshold_percent
        ),
        Reason::Used { silent_days, needs } => {
            format!("{silent_days} of {needs} working days without a client")
        }
        Reason::LongSilent { days } => format!("silent for {days} working days: usual by now"),
        Reason::Rare { used_days, known_days, clients_a_day } => {
            format!(
                "used on {used_days} of {known_days} working days, by {clients_a_day} clients a day"
            )
        }
        _ => "does not apply".into(),
    }
}

fn words(contact: &Contact, kept: &Kept, inventory: &Inventory) -> String {
    let role = kept.role.name();
    match &kept.reason {
        Reason::Allowed { state, rule } => match rule {
            Some(rule) => format!("state {state} by {rule}"),
            None => format!("state {state}"),
        },
        Reason::Bystander => format!("role {role} says nothing of who works where"),
        Reason::Supplier => format!("supplier: foreign tenant as {role}"),
        Reason::Shallow(shallow) => depth(contact, kept, shallow, inventory),
        Reason::MayBeAPage => "ambiguous name without an instance: pages of others fetch it".into(),
        Reason::Ambiguous => "other services share the name: it never decides alone".into(),
        Reason::Unreviewed => "state unreviewed: no rule calls it unsanctioned".into(),
        Reason::OrdinaryInside => {
            "remote assistance usual in every network, between ends inside".into()
        }
        Reason::NotWorkedIn => {
            format!("used as {role}, but neither in the console nor with an agent companion")
        }
        Reason::Idle => "outside hours, but no minute became active".into(),
        Reason::HoursOfAnother(state) => format!("outside hours, but of a rule with state {state}"),
        Reason::NotApplicable => "does not apply".into(),
        Reason::Hint => "named by an address or a JA4 alone: that raises nothing by itself".into(),
        Reason::Learning { until } => format!("learning until {}", Second(*until)),
        Reason::Known => {
            format!("known already in group {}", inventory.crowds().shown(&contact.group))
        }
        Reason::Told { at, next } => {
            format!("window: told at {}, next at {} at the earliest", Second(*at), Second(*next))
        }
        Reason::ToldOnce => "told, and told once for ever".into(),
        Reason::Acknowledged { owner, until } => {
            format!("acknowledged by {owner} until {}", Second(*until))
        }
        Reason::Other { finding } => format!("{finding} tells of it"),
        Reason::Full => "no room: max_cases of [alert] is reached".into(),
        reason @ (Reason::Starting { .. }
        | Reason::Little { .. }
        | Reason::Share(_)
        | Reason::Used { .. }
        | Reason::LongSilent { .. }
        | Reason::Rare { .. }) => lasting_words(reason),
    }
}

/// `engagement visit: 4 of 10 active minutes, 12.0 kB of 5.0 MB sent`
fn depth(contact: &Contact, kept: &Kept, shallow: &Shallow, inventory: &Inventory) -> String {
    let (options, role) = (inventory.options(), kept.role.name());
    let level = shallow.level.name();
    if !counts(kept.role) {
        return format!("engagement {level}: role {role} makes no use");
    }
    let usage = inventory.get(&inventory.counted_as(Key {
        group: contact.group.clone(),
        client: contact.client.clone(),
        vendor: contact.vendor.clone(),
        tenant: contact.tenant.clone(),
        role: kept.role,
    }));
    let kind = usage.as_ref().map(|usage| usage.kind);
    let minutes = |of: u32| format!("{} of {of} active minutes", shallow.active_minutes);
    let sent = format!("{} of {} sent", Octets(shallow.sent), Octets(options.use_sent));
    let day = |enough: &dyn Fn(u32) -> bool, of: u32| {
        let today = kept.at.day();
        let first = today.saturating_sub(options.use_window_days.saturating_sub(1));
        let before = |usage: &Usage| {
            let days = usage.days.iter().filter(|d| d.day >= first && d.day < today);
            days.filter(|d| enough(d.active)).count()
        };
        format!("day {} of {of}", usage.as_ref().map_or(0, before) + 1)
    };
    match shallow.needs {
        Engagement::Use if shallow.ambiguous => {
            let long = options.ambiguous_minutes;
            let rule = match kind {
                Some(ClientKind::Host) => {
                    let day = day(&|active| active >= long, options.ambiguous_days);
                    format!("{}, {day}", minutes(long))
                }
                _ => format!("{}, and days count of hosts alone", minutes(long)),
            };
            format!("engagement {level}: ambiguous name, no agent companion; {rule}")
        }
        Engagement::Use if kind == Some(ClientKind::Shared) => {
            format!("engagement {level}: shared address, so that only octets count; {sent}")
        }
        Engagement::Use if kind == Some(ClientKind::Host) => {
            let day = day(&|active| active > 0, options.use_days);
            format!("engagement {level}: {}, {sent}, {day}", minutes(options.use_minutes))
        }
        Engagement::Use => format!("engagement {level}: {}, {sent}", minutes(options.use_minutes)),
        _ => format!("engagement {level}: {}, {sent}", minutes(options.visit_minutes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::lasting::Loss;
    use crate::alert::{Cases, Cause, Measured, Met, Sensor};
    use crate::count::Cells;
    use crate::signature::{Deployment, Role};
    use crate::time::{DAY, Time};
    use crate::usage::{Addition, Options};

    fn key() -> Key {
        Key {
            group: "support".into(),
            client: "c-1".into(),
            vendor: "gorgias".into(),
            tenant: None,
            role: Role::Either,
        }
    }

    fn told(kind: ClientKind, days: u64, shallow: Shallow, role: Role) -> String {
        let inventory = Inventory::new(&Options::default());
        let mut at = Time::from_secs(1_795_000_000);
        for _ in 0..days {
            for minute in 0..40 {
                let minute = at.minute() + minute;
                inventory.record(key(), &addition(at, minute, kind));
            }
            at = at.plus(DAY);
        }
        let Key { group, client, vendor, tenant, .. } = key();
        let contact = Contact { vendor, tenant, group, client };
        let reason = Reason::Shallow(shallow);
        words(&contact, &Kept { finding: "unsanctioned_use", role, at, reason }, &inventory)
    }

    fn addition(at: Time, minute: u32, client_kind: ClientKind) -> Addition {
        Addition {
            at,
            client_kind,
            ambiguous: true,
            agent: false,
            flows: 1,
            sessions: 0,
            deployment: Deployment::Cloud,
            sent: 3_000,
            received: 0,
            minute,
            minute_payload: 3_000,
            minute_bursts: 5,
            quiet: 0,
        }
    }

    #[test]
    fn what_lasts_has_a_row_for_each_cause_that_says_how_far_it_is() {
        let at = Time::from_secs(1_795_000_000);
        let mut cases = Cases::new(Default::default(), Sensor::default(), Cells::new());
        let loss =
            Loss { cause: Cause::OneWay, part: 3, whole: 200, minutes: 15, threshold_percent: 20 };
        let measured = vec![
            Measured { cause: Cause::Drops, outcome: Err(Reason::Starting { until: at }) },
            Measured { cause: Cause::Ech, outcome: Err(Reason::Little { whole: 7, needs: 9 }) },
            Measured { cause: Cause::OneWay, outcome: Err(Reason::Share(loss)) },
            Measured { cause: Cause::Duplicates, outcome: Ok(loss) },
        ];
        cases.measured(at, measured, &mut Vec::new());
        cases.days_over(at, Met::default(), &mut Vec::new());
        let inventory = Inventory::new(&Options::default());
        let rows = suppressed_rows(cases.suppressed(), &inventory);
        let told: Vec<&str> = rows.iter().map(|row| &*row.reason).collect();
        let wanted = [
            "drops: not so soon after the start: until 2026-11-18T11:06:40Z",
            "ech: 7 of 9 that a share needs",
            "one_way: 3 of 200 TCP flows in 15 minutes, below 20 %",
        ];
        assert_eq!(told, wanted);
        let of_sensor =
            |row: &SuppressedRow| row.finding == "visibility_loss" && row.vendor.is_empty();
        assert!(rows.iter().all(of_sensor));
        let rare = Reason::Rare { used_days: 9, known_days: 20, clients_a_day: 3 };
        assert_eq!(lasting_words(&rare), "used on 9 of 20 working days, by 3 clients a day");
    }

    #[test]
    fn thresholds_and_days_are_those_of_the_configuration() {
        let visit = Shallow {
            level: Engagement::Visit,
            needs: Engagement::Use,
            active_minutes: 12,
            sent: 12_000,
            ambiguous: true,
        };
        let plain = Shallow { ambiguous: false, active_minutes: 4, ..visit };
        let glance = Shallow {
            level: Engagement::Glance,
            needs: Engagement::Visit,
            active_minutes: 1,
            ..plain
        };
        let long =
            "engagement visit: ambiguous name, no agent companion; 12 of 30 active minutes, ";
        for (kind, days, shallow, role, wanted) in [
            (ClientKind::Host, 0, visit, Role::Either, format!("{long}and days count of hosts alone")),
            (ClientKind::Host, 2, visit, Role::Either, format!("{long}day 3 of 3")),
            (ClientKind::Unknown, 2, visit, Role::Either, format!("{long}and days count of hosts alone")),
            (ClientKind::Unknown, 1, plain, Role::Either, "engagement visit: 4 of 10 active minutes, 12.0 kB of 5.0 MB sent".into()),
            (ClientKind::Host, 1, plain, Role::Either, "engagement visit: 4 of 10 active minutes, 12.0 kB of 5.0 MB sent, day 2 of 3".into()),
            (ClientKind::Shared, 1, plain, Role::Either, "engagement visit: shared address, so that only octets count; 12.0 kB of 5.0 MB sent".into()),
            (ClientKind::Host, 1, glance, Role::Either, "engagement glance: 1 of 2 active minutes, 12.0 kB of 5.0 MB sent".into()),
            (ClientKind::Host, 1, glance, Role::Mail, "engagement glance: role mail makes no use".into()),
        ] {
            assert_eq!(told(kind, days, shallow, role), wanted);
        }
    }
}
