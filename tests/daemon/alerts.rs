//! A finding on its way from the wire to a file and to a real rsyslogd, and what must not travel with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::sensor::{Office, POLICY, free_port};
use super::wire::{Wire, skipped};

#[test]
fn a_remote_session_is_told_once_and_names_no_address() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let port = free_port();
    let alerts = office.path("alerts.jsonl");
    let rsyslogd = Rsyslogd::start(&office, port);
    let syslog = if rsyslogd.is_some() {
        format!("[[sink]]\nname = 'siem'\nkind = 'syslog'\naddress = '127.0.0.1:{port}'\n")
    } else {
        String::new()
    };
    office.configure(&format!(
        "{POLICY}\n[[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n{syslog}",
        alerts.display()
    ));
    let sensor = office.run(&wire.near);
    let mut sender = wire.sender();
    let playing = thread::spawn(move || sender.play("anydesk-session", 4));
    sensor.until("the file has it", |_| office.findings("alerts.jsonl").len() == 1);
    if rsyslogd.is_some() {
        sensor.until("rsyslogd has it", |_| office.findings("received").len() == 1);
    }
    let sent = playing.join().unwrap();
    sensor.until("all frames are seen", |s| s.metric(PACKETS) == Some(sent as f64));
    sensor.until("the page shows it", |s| s.get("/").1.contains("AnyDesk"));

    let finding = office.findings("alerts.jsonl").remove(0);
    assert_eq!(finding["finding"]["id"], "unsanctioned_use");
    assert_eq!(finding["finding"]["action"], "create");
    assert_eq!(finding["vendor"]["id"], "anydesk");
    assert_eq!(finding["state"], "unsanctioned");
    let client = finding["client"]["id"].as_str().unwrap();
    assert!(client.starts_with("c-") && client.len() > 8, "{client}");
    let counted = sensor.metric("saastap_findings_total{finding=\"unsanctioned_use\"}");
    assert_eq!(counted, Some(1.0));
    let mut said = Vec::new();
    for path in ["/", "/metrics", "/api/v1/usage", "/api/v1/findings"] {
        let (status, body) = sensor.get(path);
        assert_eq!(status, 200);
        assert!(path == "/metrics" || body.contains("anydesk") || body.contains("AnyDesk"));
        said.push((path, body));
    }
    sensor.stop();
    // The store was closed, and all that was raised has been sent.
    assert_eq!(office.findings("alerts.jsonl").len(), 1);
    if let Some(rsyslogd) = rsyslogd {
        rsyslogd.stop();
        assert_eq!(office.findings("received"), office.findings("alerts.jsonl"));
    }
    let store = std::fs::read(office.path("state/saastap.db")).unwrap();
    said.push(("store", String::from_utf8_lossy(&store).into_owned()));
    for name in ["alerts.jsonl", "log"] {
        said.push((name, office.text(name)));
    }
    for (place, text) in said {
        assert!(!text.contains(CLIENT), "{place} names the client's address");
    }
}

#[test]
fn what_the_last_count_raises_is_sent_before_the_end() {
    let Some(wire) = Wire::new() else { return };
    // A flow is also told where a minute begins: an attempt that meets one shows nothing, and the next does not.
    let raised_by_the_stop = (0..ATTEMPTS).any(|_| raised_by_the_stop(&wire));
    assert!(raised_by_the_stop, "all was raised before the stop");
}

/// Plays a scene whose octets pass a threshold that is counted only when the flows end, by the stop.
fn raised_by_the_stop(wire: &Wire) -> bool {
    let office = Office::new("");
    let alerts = office.path("alerts.jsonl");
    office.configure(&format!(
        "{POLICY}\n[usage]\nuse_sent = 20_000\n[flow]\nreport_seconds = 3600\n\
         [[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    ));
    let sensor = office.run(&wire.near);
    let sent = wire.sender().play("foreign-console", 50);
    sensor.until("all frames are seen", |s| s.metric(PACKETS) == Some(sent as f64));
    let before = office.findings("alerts.jsonl").len();
    sensor.stop();
    let findings = office.findings("alerts.jsonl");
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["finding"]["id"], "unsanctioned_tenant");
    before == 0
}

/// A minute's beginning falls into a play of a second or two at most once.
const ATTEMPTS: u32 = 3;

const PACKETS: &str = "saastap_capture_packets_total";

/// Who used AnyDesk in the recorded scene.
const CLIENT: &str = "198.18.0.2";

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// An rsyslogd of our own, which appends the messages that it got to `received`.
struct Rsyslogd(Child);

impl Rsyslogd {
    fn start(office: &Office, port: u16) -> Option<Self> {
        if !Path::new(RSYSLOGD).exists() {
            skipped("no syslog receiver", &format!("{RSYSLOGD} is not installed"));
            return None;
        }
        let at = office.path("");
        let at = at.display();
        let config = format!(
            "global(workDirectory=\"{at}\" maxMessageSize=\"16k\")\n\
             module(load=\"imtcp\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             template(name=\"t\" type=\"string\" string=\"%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{at}/received\" template=\"t\")\n"
        );
        let file = office.path("rsyslog.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(RSYSLOGD)
            .arg("-n")
            .arg("-f")
            .arg(&file)
            .arg("-i")
            .arg(office.path("rsyslog.pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self(child))
    }

    /// Asks it to end, so that it writes what it took, and waits.
    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
