//! Usage over time on the page: octets of each hour by state, as bars.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::history::HistoryRow;
use super::landing::Octets;
use crate::time::Time;

/// Bars from the first to the last hour that is told; nothing where none is.
pub(super) fn write(out: &mut String, history: &[HistoryRow]) -> fmt::Result {
    let (Some(first), Some(last)) = (history.first(), history.last()) else { return Ok(()) };
    let column = |at: Time| at.since(first.from).as_secs() / HOUR;
    let mut octets: BTreeMap<u64, [u64; STATES.len()]> = BTreeMap::new();
    for row in history {
        let Some(state) = STATES.iter().position(|(state, _)| *state == row.state) else {
            continue;
        };
        if let Some(sum) = octets.entry(column(row.from)).or_default().get_mut(state) {
            *sum = sum.saturating_add(row.sent.saturating_add(row.received));
        }
    }
    let most = octets.values().map(|bar| bar.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let columns = column(last.from) + 1;
    let width = columns * BAR;
    out.push_str("<h2>Usage over time</h2>\n<p>");
    for (state, colour) in STATES {
        write!(
            out,
            "<svg width=12 height=12><rect width=12 height=12 fill=\"{colour}\"/></svg> {state} "
        )?;
    }
    writeln!(
        out,
        "</p>\n<svg role=img aria-label=\"octets of each hour by state\" width={width} height={HEIGHT} \
         viewBox=\"0 0 {width} {HEIGHT}\">"
    )?;
    for (column, bar) in &octets {
        let mut below = 0.0;
        for ((state, colour), octets) in STATES.iter().zip(bar) {
            if *octets == 0 {
                continue;
            }
            let height = *octets as f64 * f64::from(HEIGHT) / most as f64;
            let (x, y) = (column * BAR, f64::from(HEIGHT) - below - height);
            let at = first.from.plus(std::time::Duration::from_secs(column * HOUR)).to_string();
            let at = at.get(..16).unwrap_or(&at).replace('T', " ");
            writeln!(
                out,
                "<rect x={x} y={y:.1} width={} height={height:.1} fill=\"{colour}\"><title>{at} {state}: {}</title></rect>",
                BAR - 2,
                Octets(*octets)
            )?;
            below += height;
        }
    }
    writeln!(
        out,
        "</svg>\n<p>{} to {}, most in an hour {}; by vendor: <a href=\"{LINK}\">{LINK}</a></p>",
        Hour(first.from),
        Hour(last.from.plus(std::time::Duration::from_secs(HOUR))),
        Octets(most)
    )
}

/// `2026-03-02 09:00`
struct Hour(Time);

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.to_string();
        f.write_str(&whole.get(..16).unwrap_or(&whole).replace('T', " "))
    }
}

const LINK: &str = "/api/v1/usage/history";
const HOUR: u64 = 3_600;
/// Pixels of a bar with its gap, and of the highest.
const BAR: u64 = 16;
const HEIGHT: u32 = 120;

/// From the bottom up, with colours that are told apart by people who see no red or green.
const STATES: [(&str, &str); 4] = [
    ("sanctioned", "#2a7f9e"),
    ("tolerated", "#8fb8c9"),
    ("unreviewed", "#c9c3a5"),
    ("unsanctioned", "#c2410c"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(hours: u64, state: &str, sent: u64) -> HistoryRow {
        HistoryRow {
            from: Time::from_secs(1_793_613_600 + hours * HOUR),
            vendor: "zendesk".into(),
            vendor_name: "Zendesk".into(),
            state: state.into(),
            clients: 1,
            flows: 1,
            sessions: 0,
            sent,
            received: 0,
            active_minutes: 0,
        }
    }

    fn drawn(rows: &[HistoryRow]) -> String {
        let mut out = String::new();
        write(&mut out, rows).unwrap();
        out
    }

    #[test]
    fn bars_stand_at_their_hour_and_states_on_each_other() {
        assert_eq!(drawn(&[]), "");
        let page = drawn(&[
            row(0, "sanctioned", 500),
            row(2, "sanctioned", 750),
            row(2, "unsanctioned", 250),
        ]);
        assert!(page.contains("<rect x=0 y=60.0 width=14 height=60.0"), "{page}");
        assert!(page.contains("<rect x=32 y=30.0 width=14 height=90.0"), "{page}");
        assert!(page.contains("<rect x=32 y=0.0 width=14 height=30.0 fill=\"#c2410c\">"), "{page}");
        assert!(page.contains("<title>2026-11-02 12:00 unsanctioned: 250 B</title>"), "{page}");
        assert!(
            page.contains("2026-11-02 10:00 to 2026-11-02 13:00, most in an hour 1.0 kB"),
            "{page}"
        );
        assert!(!page.contains("http"));
    }
}
