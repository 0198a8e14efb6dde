//! Tables for a terminal: usage and findings.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use crate::alert::Event;
use crate::alert::event::What;
use crate::export::{Coverage, FindingRow, UsageRow};

/// The usage table; empty where nothing was used.
pub fn usage(out: &mut impl Write, rows: &[UsageRow]) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "\nNo flow of a vendor in the catalogue.");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "VENDOR", "TENANT", "ROLE", "GROUP", "STATE", "WHOSE", "DEPTH", "CLIENTS", "SENT",
        "RECEIVED",
    ]);
    for column in [7, 8, 9] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row([
            row.vendor.clone(),
            row.tenant.clone().unwrap_or_else(|| "-".into()),
            row.role.clone(),
            row.group.clone(),
            row.state.clone(),
            row.relation.clone(),
            row.engagement.clone(),
            row.clients.to_string(),
            octets(row.sent),
            octets(row.received),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    writeln!(out, "\n{}", table.trim_fmt())
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
        let whose = report.tenant.as_deref().map(|t| format!(" ({t})")).unwrap_or_default();
        writeln!(
            out,
            "{} {} {} {}{whose} as {}, group {}: {} client{}, {}; {}",
            event.time,
            event.severity.name(),
            report.finding.id,
            report.vendor.id,
            report.role,
            report.group,
            report.clients.count,
            if report.clients.count == 1 { "" } else { "s" },
            report.clients.listed.join(" "),
            report.threshold,
        )?;
    }
    if any { Ok(()) } else { writeln!(out, "\nNo findings.") }
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
            row.at, row.severity, row.finding, row.vendor, row.group, row.clients
        )?;
    }
    Ok(())
}

/// Octets with a binary prefix and three digits: `12.3 MiB`.
pub fn octets(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    match (unit, value) {
        (0, _) => format!("{n} {name}"),
        (_, v) if v < 9.995 => format!("{v:.2} {name}"),
        (_, v) if v < 99.95 => format!("{v:.1} {name}"),
        (_, v) => format!("{v:.0} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_have_three_digits() {
        let shown: Vec<_> = [0, 999, 1024, 10_240, 123 << 20].map(octets).to_vec();
        assert_eq!(shown, ["0 B", "999 B", "1.00 KiB", "10.0 KiB", "123 MiB"]);
    }
}
