//! The program as a child process: its files, its web, its signals, and waits that end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with configuration, state, alerts and log of one sensor, and a port of its own.
pub struct Office {
    folder: TempDir,
    pub port: u16,
}

impl Office {
    /// With a configuration that ends in `rest`.
    pub fn new(rest: &str) -> Self {
        let office = Self { folder: tempfile::tempdir().unwrap(), port: free_port() };
        office.configure(rest);
        office
    }

    /// Writes the configuration anew: web, store and name, and then `rest`.
    pub fn configure(&self, rest: &str) {
        let (port, state) = (self.port, self.path("state"));
        let head = format!(
            "[web]\nlisten = '127.0.0.1:{port}'\n[store]\ndirectory = '{}'\n\
             [capture]\nbuffer_mib = 4\n",
            state.display()
        );
        fs::write(self.path("saastap.toml"), head + rest).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `saastap` with the configuration of this office.
    pub fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(self.path("saastap.toml")).args(args);
        command
    }

    /// `saastap run` on an interface, ready, with its flows in `flows`.
    pub fn run(&self, interface: &str) -> Sensor<'_> {
        let flows = self.path("flows");
        let flows = flows.to_str().unwrap();
        let command = self.program(&["run", "--interface", interface, "--flows", flows]);
        let sensor = self.start(command);
        sensor.until("it is ready", |s| s.get("/-/ready").0 == 200);
        sensor
    }

    /// Starts a command with its output in `out` and its log added to `log`.
    pub fn start(&self, mut command: Command) -> Sensor<'_> {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let out = File::create(self.path("out")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(log).spawn().unwrap();
        Sensor { office: self, child }
    }

    /// Findings in a file of JSON Lines: each whole, heartbeats left out.
    pub fn findings(&self, file: &str) -> Vec<Value> {
        let text = self.text(file);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        events.filter(|event| event["event_kind"] == "finding").collect()
    }
}

/// A running program; killed where a test does not stop it.
pub struct Sensor<'a> {
    pub office: &'a Office,
    child: Child,
}

impl Sensor<'_> {
    /// Status and body; status 0 where nobody answers.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    pub fn ask(&self, method: &str, path: &str) -> (u16, String) {
        http(self.office.port, method, path).unwrap_or_default()
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The value of one series of /metrics, with its labels in the order of the alphabet.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").1;
        let value = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
        value.map(|v| v.parse().unwrap())
    }

    /// The usage row of a vendor.
    pub fn usage(&self, vendor: &str) -> Option<Value> {
        let usage = self.json("/api/v1/usage")["usage"].take();
        usage.as_array().unwrap().iter().find(|row| row["vendor"] == vendor).cloned()
    }

    /// Waits; what the sensor logged is told where that takes too long, or where the sensor is gone.
    pub fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            let log = || self.office.text("log");
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}; its log: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "no end; its log: {}", self.office.text("log"));
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end, as a supervisor does.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let office = self.office;
        let status = self.end();
        assert_eq!(status.code(), Some(0), "its log: {}", office.text("log"));
    }
}

impl Drop for Sensor<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port below those that the kernel gives to clients, so that no connection of another test takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn http(port: u16, method: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_default();
    Ok((status, body.to_owned()))
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_saastap");

/// The policy of the recorded scenes, whose clients are in 198.18.0.0/24 and 2001:db8::/32.
pub const POLICY: &str = include_str!("../../config/demo.toml");

/// Far more than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
