//! `GET /`: the page for people. One document without external resources or scripts; whatever was seen on the wire is
//! escaped.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};

use super::{Coverage, FindingRow, HealthRow, HistoryQuery, HistoryRow, Site, UsageRow, chart};
use crate::time::Time;

pub(super) async fn answer(State(site): State<Arc<Site>>) -> Response {
    let page = site.ask(|site| {
        let face = &site.face;
        let ready = face.ready();
        // What cannot be read is no reason to show nothing of the rest.
        let history = face.history(&HistoryQuery::default()).unwrap_or_default();
        let usage = (&*face.usage_rows(), &*history);
        page(&face.coverage(), &ready, usage, &face.findings(), &face.health())
    });
    page.await.map(Html).into_response()
}

/// The whole page as HTML. `usage` is the table, and what there was over time; `ready` is shown as the first row of the sensor's
/// health.
pub fn page(
    coverage: &Coverage,
    ready: &Result<(), String>,
    usage: (&[UsageRow], &[HistoryRow]),
    findings: &[FindingRow],
    health: &[HealthRow],
) -> String {
    let mut out = String::with_capacity(4096 + usage.0.len().min(ROWS) * 512);
    // Writing into a String cannot fail.
    let _ = write_page(&mut out, coverage, ready, usage, findings, health);
    out
}

fn write_page(
    out: &mut String,
    coverage: &Coverage,
    ready: &Result<(), String>,
    (usage, history): (&[UsageRow], &[HistoryRow]),
    findings: &[FindingRow],
    health: &[HealthRow],
) -> fmt::Result {
    out.push_str(HEAD);
    writeln!(out, "<p class=coverage>{}</p>", Escaped(coverage))?;
    writeln!(out, "<h1>saastap {}</h1>\n<nav>{LINKS}</nav>", env!("CARGO_PKG_VERSION"))?;
    write_usage(out, usage)?;
    chart::write(out, history)?;
    write_findings(out, findings)?;
    out.push_str("<h2>Sensor health</h2>\n<table>\n");
    match ready {
        Ok(()) => out.push_str("<tr><th>ready<td>yes\n"),
        Err(reason) => writeln!(out, "<tr class=bad><th>ready<td>no: {}", Escaped(reason))?,
    }
    for row in health {
        let class = if row.well { "" } else { " class=bad" };
        writeln!(out, "<tr{class}><th>{}<td>{}", Escaped(&row.name), Escaped(&row.value))?;
    }
    out.push_str("</table>\n</body>\n</html>\n");
    Ok(())
}

fn write_usage(out: &mut String, usage: &[UsageRow]) -> fmt::Result {
    out.push_str("<h2>Usage</h2>\n");
    if usage.is_empty() {
        out.push_str("<p>Nothing seen yet.</p>\n");
        return Ok(());
    }
    out.push_str(
        "<table>\n<thead><tr><th>vendor<th>tenant<th>role<th>group<th>clients<th>engagement<th>state\
         <th>sent<th>received<th>first seen<th>last seen</thead>\n",
    );
    for row in usage.iter().take(ROWS) {
        write!(
            out,
            "<tr class=\"{}\"><td title=\"{}\">{}",
            Escaped(&row.state),
            Escaped(&row.vendor),
            Escaped(&row.vendor_name)
        )?;
        match &row.tenant {
            Some(tenant) => write!(out, "<td>{} ({})", Escaped(tenant), Escaped(&row.relation))?,
            None => out.push_str("<td>"),
        }
        write!(
            out,
            "<td>{}<td>{}<td class=n>{}<td>{}<td>{}",
            Escaped(&row.role),
            Escaped(&row.group),
            row.clients,
            Escaped(&row.engagement),
            Escaped(&row.state)
        )?;
        writeln!(
            out,
            "<td class=n>{}<td class=n>{}<td>{}<td>{}",
            Octets(row.sent),
            Octets(row.received),
            Minute(row.first_seen),
            Minute(row.last_seen)
        )?;
    }
    out.push_str("</table>\n");
    write_rest(out, usage.len(), "/api/v1/usage")
}

fn write_findings(out: &mut String, findings: &[FindingRow]) -> fmt::Result {
    out.push_str("<h2>Findings</h2>\n");
    if findings.is_empty() {
        out.push_str("<p>None.</p>\n");
        return Ok(());
    }
    out.push_str(
        "<table>\n<thead><tr><th>time<th>finding<th>severity<th>vendor<th>tenant<th>group<th>clients\
         <th>what</thead>\n",
    );
    for row in findings.iter().take(ROWS) {
        writeln!(
            out,
            "<tr><td>{}<td title=\"{}\">{}<td>{}<td>{}<td>{}<td>{}<td class=n>{}<td>{}",
            Minute(row.at),
            Escaped(&row.uid),
            Escaped(&row.finding),
            Escaped(&row.severity),
            Escaped(&row.vendor),
            Escaped(row.tenant.as_deref().unwrap_or_default()),
            Escaped(&row.group),
            row.clients,
            Escaped(&row.summary)
        )?;
    }
    out.push_str("</table>\n");
    write_rest(out, findings.len(), "/api/v1/findings")
}

fn write_rest(out: &mut String, rows: usize, link: &str) -> fmt::Result {
    match rows.checked_sub(ROWS) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "<p>{more} more: <a href=\"{link}\">{link}</a></p>"),
    }
}

/// Text that is safe in an element and in a quoted attribute.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                // Controls, and marks that turn the direction of what follows, would let a name pose as another.
                c if c.is_control()
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    self.0.write_char('\u{fffd}')?;
                }
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// `17.3 MB`, in powers of 1000.
pub struct Octets(pub u64);

impl Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for next in ["kB", "MB", "GB", "TB", "PB"] {
            // What would round to 1000.0 is shown in the next unit.
            if value < 999.95 {
                break;
            }
            value /= 1000.0;
            unit = next;
        }
        if unit == "B" { write!(f, "{value} {unit}") } else { write!(f, "{value:.1} {unit}") }
    }
}

/// A time as a page shows it, `2026-03-02 09:01`; to the microsecond when pointed at.
struct Minute(Time);

impl Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.to_string();
        let (date, time) = whole.split_once('T').unwrap_or((&whole, ""));
        let minute = time.get(..5).unwrap_or(time);
        write!(f, "<time datetime=\"{whole}\" title=\"{whole}\">{date} {minute}</time>")
    }
}

/// Rows of a table that a person may want to scroll; the JSON has them all.
const ROWS: usize = 500;

const LINKS: &str = "<a href=\"/metrics\">metrics</a> <a href=\"/api/v1/usage\">usage as JSON</a> \
    <a href=\"/api/v1/findings\">findings as JSON</a> <a href=\"/-/healthy\">healthy</a> <a href=\"/-/ready\">ready</a>";

const HEAD: &str = "<!DOCTYPE html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content=\"width=device-width\">
<title>saastap</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; color: #1c1c1c; background: #fff }
.coverage { background: #eef3f8; padding: .5em .8em; border-left: 4px solid #37618e }
nav a { margin-right: 1em }
table { border-collapse: collapse; font-size: 14px }
th, td { text-align: left; padding: .2em .7em; border-bottom: 1px solid #ddd; vertical-align: top }
.n { text-align: right; white-space: nowrap }
.unsanctioned td { background: #fbe9e7 }
.sanctioned td { background: #edf7ed }
.bad td, .bad th { background: #fbe9e7 }
</style>
</head>
<body>
";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(vendor_name: &str, tenant: &str) -> UsageRow {
        UsageRow {
            vendor: "zendesk".into(),
            vendor_name: vendor_name.into(),
            tenant: Some(tenant.into()),
            relation: "foreign".into(),
            role: "either".into(),
            deployment: "cloud".into(),
            group: "support".into(),
            clients: 3,
            engagement: "use".into(),
            state: "unreviewed".into(),
            flows: 7,
            sessions: 0,
            sent: 999_960,
            received: 17,
            active_minutes: 12,
            first_seen: Time::from_secs(0),
            last_seen: Time::from_secs(60),
        }
    }

    #[test]
    fn nothing_seen_on_the_wire_becomes_markup() {
        let bad = "<script>'\"&\u{202e}\n";
        let finding = FindingRow {
            at: Time::ZERO,
            uid: bad.into(),
            finding: bad.into(),
            severity: bad.into(),
            group: bad.into(),
            vendor: bad.into(),
            tenant: Some(bad.into()),
            clients: 1,
            summary: bad.into(),
        };
        let health = HealthRow { name: bad.into(), value: bad.into(), well: false };
        let coverage = Coverage { silent_networks: vec![bad.into()], ..Coverage::default() };
        let mut usage = row(bad, bad);
        for field in [&mut usage.vendor, &mut usage.state, &mut usage.role, &mut usage.group] {
            *field = bad.into();
        }
        usage.engagement = bad.into();
        usage.relation = bad.into();
        let page = page(&coverage, &Err(bad.into()), (&[usage], &[]), &[finding], &[health]);
        assert!(!page.contains("<script") && !page.contains('\u{202e}'));
        assert!(!page.contains("'\"&"));
        assert_eq!(page.matches("&lt;script&gt;&#39;&quot;&amp;\u{fffd}\u{fffd}").count(), 20);
    }

    #[test]
    fn first_line_says_what_was_covered() {
        let coverage = Coverage { clients: 42, named: Some(0.5), ..Coverage::default() };
        let page = page(&coverage, &Ok(()), (&[row("Zendesk", "acme")], &[]), &[], &[]);
        let body = page.split("<body>\n").nth(1).unwrap();
        assert!(body.starts_with("<p class=coverage>42 clients seen, 50.0 % of bytes named"));
        assert!(body.contains("<td>acme (foreign)<td>either<td>support<td class=n>3<td>use"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
    }

    #[test]
    fn long_tables_are_cut_and_say_so() {
        let rows = vec![row("Zendesk", "acme"); ROWS + 7];
        let page = page(&Coverage::default(), &Ok(()), (&rows, &[]), &[], &[]);
        assert_eq!(page.matches("<td>acme").count(), ROWS);
        assert!(page.contains("7 more: <a href=\"/api/v1/usage\">"));
    }

    #[test]
    fn octets_read_well() {
        let shown =
            [0, 999, 1_000, 999_949, 999_960, 17_300_000, u64::MAX].map(|n| Octets(n).to_string());
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "17.3 MB", "18446.7 PB"]
        );
    }
}
