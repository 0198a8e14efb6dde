//! Runs the program, feeds it, and ends it where it hangs.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a run gave.
pub struct Ran {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
    /// The most octets it held at once, looked at whenever it gave output and each few milliseconds.
    pub peak: u64,
}

impl Ran {
    /// The output of a run that went well.
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        String::from_utf8(self.out).unwrap()
    }

    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.well()).unwrap()
    }

    /// JSON Lines.
    pub fn lines(self) -> Vec<serde_json::Value> {
        self.well().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

/// No run may take longer than this. None needs a tenth of it on a machine that does nothing else.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs `saastap` with `args`.
pub fn saastap(args: &[&str]) -> Ran {
    saastap_fed(args, |_| ())
}

/// The same, with what `feed` writes on its standard input.
pub fn saastap_fed(args: &[&str], feed: impl FnOnce(&mut dyn Write) + Send) -> Ran {
    let mut all = Vec::new();
    let ran = saastap_drained(args, feed, |some| all.extend_from_slice(some));
    Ran { out: all, ..ran }
}

/// The same, with its output given to `take` as it comes, which may be more than one wants to hold.
pub fn saastap_drained(
    args: &[&str],
    feed: impl FnOnce(&mut dyn Write) + Send,
    mut take: impl FnMut(&[u8]) + Send,
) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_saastap"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let status = status_of(&child);
    let ran = thread::scope(|scope| {
        scope.spawn(move || feed(&mut stdin));
        let out = scope.spawn(move || {
            let (mut peak, mut some) = (0, vec![0; 1 << 16]);
            loop {
                match stdout.read(&mut some).unwrap() {
                    0 => return peak,
                    n => take(&some[..n]),
                }
                peak = peak.max(high_water(&status));
            }
        });
        let err = scope.spawn(move || {
            let mut all = Vec::new();
            stderr.read_to_end(&mut all).unwrap();
            String::from_utf8_lossy(&all).into_owned()
        });
        let (code, peak) = wait(&mut child, args);
        let peak = out.join().unwrap().max(peak);
        Ran { code, out: Vec::new(), err: err.join().unwrap(), peak }
    });
    assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
    ran
}

/// All recorded captures.
pub fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap"))
        .collect();
    found.sort();
    assert!(found.len() >= 15, "{found:?}");
    found
}

/// The defaults, whatever may be installed on this machine.
pub const DEFAULTS: &str = "tests/config/good/defaults.toml";

pub const OFFICE_DAY: &str = "tests/captures/office-day.pcap.gz";

/// The exit code, and the most octets held whenever it was looked at.
fn wait(child: &mut Child, args: &[&str]) -> (Option<i32>, u64) {
    let status = status_of(child);
    let (begun, mut peak) = (Instant::now(), 0);
    loop {
        peak = peak.max(high_water(&status));
        if let Some(exit) = child.try_wait().unwrap() {
            return (exit.code(), peak);
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{args:?} took longer than {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn status_of(child: &Child) -> PathBuf {
    PathBuf::from(format!("/proc/{}/status", child.id()))
}

/// `VmHWM`, the largest resident set so far, in octets; 0 where the process has gone.
fn high_water(status: &Path) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
