//! Tables for a terminal: usage and findings.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::case::Shown;
use crate::alert::Event;
use crate::alert::event::{About, What};
use crate::export::web::{CandidateRow, HistoryRow, InsideServers, Octets, Step, VisibilityRow};
use crate::export::{Coverage, FindingRow, UsageRow};
use crate::identity::CanaryRow;
use crate::time::Second;

/// The usage table; empty where nothing was used. Fits 80 columns with names of usual length.
pub fn usage(out: &mut impl Write, rows: &[UsageRow]) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "\nNo flow of a vendor in the catalogue.");
    }
    let header =
        ["VENDOR", "TENANT", "RELATION", "ROLE", "GROUP", "STATE", "DEPTH", "CLIENTS", "SENT"];
    let mut table = plain(header, &[7, 8]);
    for row in rows {
        table.add_row([
            // Most are in the cloud; what is not says so.
            match row.deployment.as_str() {
                "cloud" => row.vendor.clone(),
                elsewhere => format!("{} ({elsewhere})", row.vendor),
            },
            row.tenant.clone().unwrap_or_else(|| "-".into()),
            if row.tenant.is_some() { row.relation.clone() } else { "-".into() },
            row.role.clone(),
            row.group.clone(),
            row.state.clone(),
            row.engagement.clone(),
            row.clients.to_string(),
            Octets(row.sent).to_string(),
        ]);
    }
    write_plain(out, table)
}

/// Usage over time, in 80 columns with names of usual length.
pub fn history(out: &mut impl Write, rows: &[HistoryRow], by: Step) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "No usage in that time.");
    }
    let header = ["FROM", "VENDOR", "STATE", "CLIENTS", "FLOWS", "MINUTES", "SENT", "RECEIVED"];
    let mut table = plain(header, &[3, 4, 5, 6, 7]);
    for row in rows {
        let from = row.from.to_string();
        let from = match by {
            Step::Hour => from.get(..16).unwrap_or(&from).replace('T', " "),
            Step::Day => from.get(..10).unwrap_or(&from).to_owned(),
        };
        table.add_row([
            from,
            row.vendor.escape_debug().to_string(),
            row.state.clone(),
            row.clients.to_string(),
            row.flows.to_string(),
            row.active_minutes.to_string(),
            Octets(row.sent).to_string(),
            Octets(row.received).to_string(),
        ]);
    }
    write_plain(out, table)
}

/// The findings, in the order in which they were raised.
pub fn findings(out: &mut impl Write, events: &[Event]) -> io::Result<()> {
    let mut any = false;
    for event in events {
        let What::Finding(report) = &event.what else { continue };
        if !any {
            writeln!(out, "\nFindings")?;
            any = true;
        }
        let (at, severity) = (Second(event.time), event.severity.name());
        let usage = match &report.about {
            About::Usage(usage) => usage,
            About::Lasting(lasting) => {
                writeln!(out, "{at} {severity} {} {lasting}", report.finding.id)?;
                continue;
            }
        };
        let whose = usage.tenant.as_deref().map(|t| format!(" ({t})")).unwrap_or_default();
        writeln!(
            out,
            "{at} {severity} {} {}{whose} as {}, group {}: {} client{}, {}; by {}",
            report.finding.id,
            usage.vendor.id,
            usage.role,
            usage.group,
            usage.clients.count,
            if usage.clients.count == 1 { "" } else { "s" },
            usage.clients.listed.join(" "),
            report.threshold,
        )?;
    }
    if any { Ok(()) } else { writeln!(out, "\nNo findings.") }
}

/// Open cases in 80 columns: what is longer goes on below.
pub fn cases(out: &mut impl Write, cases: &[Shown]) -> io::Result<()> {
    if cases.is_empty() {
        return writeln!(out, "No open case.");
    }
    let header = ["ID", "SEVERITY", "FINDING", "VENDOR", "GROUP", "CLIENTS", "QUIET UNTIL"];
    let mut table = plain(header, &[5]);
    for Shown { severity, report, .. } in cases {
        let usage = report.usage();
        let none = || "-".to_owned();
        let vendor = report.vendor().map_or_else(none, |vendor| {
            let tenant = usage.and_then(|usage| usage.tenant.as_deref());
            let tenant = tenant.map(|tenant| format!("/{}", tenant.escape_debug()));
            format!("{}{}", vendor.id, tenant.unwrap_or_default())
        });
        let until = report.acknowledged.as_ref().map(|a| Second(a.until).to_string());
        table.add_row([
            report.finding.uid.to_string().chars().take(8).collect(),
            severity.name().to_owned(),
            report.finding.id.to_owned(),
            vendor,
            usage.map_or_else(none, |usage| usage.group.escape_debug().to_string()),
            usage.map_or_else(none, |usage| usage.clients.count.to_string()),
            until.map_or_else(|| "-".to_owned(), |until| until.chars().take(10).collect()),
        ]);
    }
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(COLUMNS);
    write_plain(out, table)
}

/// Columns of a terminal that nobody made wider.
const COLUMNS: u16 = 80;

/// Why traffic has a name or none: each flow and octet once.
pub fn visibility(out: &mut impl Write, rows: &[VisibilityRow]) -> io::Result<()> {
    let all: u64 = rows.iter().map(|row| row.share.bytes).sum();
    let mut table = plain(["VISIBILITY", "FLOWS", "BYTES", "SHARE"], &[1, 2, 3]);
    for row in rows {
        table.add_row([
            row.visibility.name().to_owned(),
            row.share.flows.to_string(),
            Octets(row.share.bytes).to_string(),
            format!("{:.1} %", row.share.bytes as f64 * 100.0 / all.max(1) as f64),
        ]);
    }
    write_plain(out, table)
}

/// Whether browsers and systems may hide what they ask and visit, by the names that they ask for first.
pub fn canaries(out: &mut impl Write, rows: &[CanaryRow]) -> io::Result<()> {
    for row in rows {
        let what = match row.canary {
            "private_relay" => "iCloud Private Relay",
            _ => "Encrypted DNS of Firefox by default",
        };
        let said = match (row.permitted, row.refused) {
            (0, 0) => "asked for, and no answer seen".to_owned(),
            (permitted, 0) => format!("permitted here ({permitted} answers)"),
            (0, refused) => format!("refused here ({refused} answers)"),
            (permitted, refused) => {
                format!("permitted by {permitted} answers, refused by {refused}")
            }
        };
        writeln!(out, "{what}: {said}.")?;
    }
    Ok(())
}

/// The names that nobody's signature claims, by registrable domain; the first [`CANDIDATES`].
pub fn candidates(out: &mut impl Write, rows: &[CandidateRow]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = plain(["CANDIDATE FOR A SIGNATURE", "FLOWS", "BYTES"], &[1, 2]);
    for row in rows.iter().take(CANDIDATES) {
        // Names come from the wire: control characters would reach the terminal.
        table.add_row([
            row.domain.escape_debug().to_string(),
            row.share.flows.to_string(),
            Octets(row.share.bytes).to_string(),
        ]);
    }
    write_plain(out, table)?;
    match rows.len().saturating_sub(CANDIDATES) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more: see --json"),
    }
}

/// Inside servers that were reached from outside and whose software nothing showed; nothing where no client outside was seen to
/// come in at all. That none is listed is no proof that none is there.
pub fn inside_servers(out: &mut impl Write, told: &InsideServers) -> io::Result<()> {
    if told.flows_from_outside == 0 {
        return Ok(());
    }
    let flows = told.flows_from_outside;
    let plural = if flows == 1 { "" } else { "s" };
    write!(out, "\nFrom outside to servers inside: {flows} flow{plural}; ")?;
    if told.unknown.is_empty() {
        return writeln!(
            out,
            "software that is not known was not seen among them.\n\
             What does not pass this sensor, or shows nothing, is not in this."
        );
    }
    writeln!(out, "software not known ([own] servers can declare it):")?;
    let mut table = plain(["INSIDE SERVER", "PORT", "FLOWS", "BYTES"], &[2, 3]);
    for row in told.unknown.iter().take(INSIDE_SERVERS) {
        table.add_row([
            row.server.clone(),
            format!("{}/{}", row.transport, row.port),
            row.flows.to_string(),
            Octets(row.bytes).to_string(),
        ]);
    }
    write_plain(out, table)?;
    match told.unknown.len().saturating_sub(INSIDE_SERVERS) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more: see --json"),
    }
}

/// Inside servers that a terminal shows.
const INSIDE_SERVERS: usize = 20;

/// Candidates that a terminal shows.
const CANDIDATES: usize = 10;

fn plain<const N: usize>(header: [&str; N], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn write_plain(out: &mut impl Write, mut table: Table) -> io::Result<()> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    writeln!(out, "\n{}", table.trim_fmt())
}

/// What the web page shows: coverage, usage and open findings.
pub fn page(
    out: &mut impl Write,
    coverage: &Coverage,
    rows: &[UsageRow],
    findings: &[FindingRow],
) -> io::Result<()> {
    writeln!(out, "\n{coverage}")?;
    usage(out, rows)?;
    writeln!(out, "\n{}", if findings.is_empty() { "No findings." } else { "Findings" })?;
    for row in findings {
        let whose = row.tenant.as_deref().map(|t| format!(" ({t})")).unwrap_or_default();
        let plural = if row.clients == 1 { "" } else { "s" };
        writeln!(
            out,
            "{} {} {} {}{whose}, group {}: {} client{plural}",
            Second(row.at),
            row.severity,
            row.finding,
            row.vendor,
            row.group,
            row.clients
        )?;
    }
    Ok(())
}
