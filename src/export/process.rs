//! The `process_*` metrics every Prometheus client library shows, read from `/proc/self` when scraped.

use std::fs;

use super::metrics::Sample;
use crate::count::Kind;

/// Appends what can be read; what cannot (no `/proc`) is left out. `started` is in seconds since the Unix epoch.
pub(super) fn samples(started: f64, out: &mut Vec<Sample>) {
    let mut push = |name, help, kind, value: Option<f64>| {
        if let Some(value) = value {
            out.push(Sample { name, help, kind, labels: Vec::new(), value });
        }
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    push(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        Kind::Counter,
        cpu_seconds(&stat),
    );
    push(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        Kind::Gauge,
        kibibytes(&status, "VmRSS:"),
    );
    push(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        Kind::Gauge,
        kibibytes(&status, "VmSize:"),
    );
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    push("process_open_fds", "Number of open file descriptors.", Kind::Gauge, open);
    push(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        Kind::Gauge,
        soft_limit(&limits, "Max open files"),
    );
    push(
        "process_start_time_seconds",
        "Start time of the process since the Unix epoch in seconds.",
        Kind::Gauge,
        Some(started),
    );
}

/// proc(5): utime and stime are fields 14 and 15; field 2 is the name in parentheses, which may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(14 - 3);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / USER_HZ)
}

fn kibibytes(status: &str, key: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(value * 1024.0)
}

fn soft_limit(limits: &str, key: &str) -> Option<f64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Ticks a second in `/proc`: fixed in the kernel's interface to user space, whatever its own clock.
const USER_HZ: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cpu_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b) R 1 1 1 0 -1 4194304 95 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn own_process_has_all_six() {
        let mut out = Vec::new();
        samples(1.0, &mut out);
        assert_eq!(out.len(), 6);
        assert!(out.iter().all(|s| s.name == "process_cpu_seconds_total" || s.value > 0.0));
    }
}
