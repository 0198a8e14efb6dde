//! A real rsyslogd: over TCP, TLS with certificates of both sides, and UDP.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::authority::Authority;
use crate::free_port;
use crate::sensing::Sensing;

#[test]
fn gets_every_event_over_a_restart() {
    over_a_restart("", "", "");
}

#[test]
fn gets_every_event_by_tls_with_certificates_of_both_sides() {
    if !has_tls() {
        println!("SKIPPED: rsyslog-openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Authority { ca, server, client, .. } = Authority::make(folder.path());
    let global = format!(
        "defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{}\" \
         defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
        ca.display(),
        server.certificate.display(),
        server.key.display()
    );
    let module = "streamDriver.name=\"ossl\" streamDriver.mode=\"1\" \
         streamDriver.authMode=\"x509/name\" permittedPeer=[\"sensor.test\"]";
    let sink = format!(
        "transport='tls'\nserver_name='siem.test'\nca_file='{}'\nclient_certificate_file='{}'\n\
         client_key_file='{}'\n",
        ca.display(),
        client.certificate.display(),
        client.key.display()
    );
    over_a_restart(&global, module, &sink);
}

#[test]
fn the_configuration_that_is_shipped_keeps_one_event_a_line() {
    if !Path::new(RSYSLOGD).exists() || !has_tls() {
        println!("SKIPPED: {RSYSLOGD} or rsyslog-openssl is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let Authority { ca, client, .. } = Authority::make(folder.path());
    let port = free_port();
    let shipped = include_str!("../../config/siem/rsyslog/saastap.conf")
        .replace("/etc/rsyslog.d/saastap", &at.to_string())
        .replace("/var/log", &at.to_string())
        .replace("/var/spool/rsyslog", &at.to_string())
        .replace("sensor-1.example", "sensor.test")
        .replace("\"6514\"", &format!("\"{port}\" address=\"127.0.0.1\""));
    let daemon = Rsyslogd::run(folder.path(), &shipped);
    let text = format!(
        "[[sink]]\nname='siem'\nkind='syslog'\naddress='127.0.0.1:{port}'\nack_seconds=1\ntransport='tls'\n\
         server_name='siem.test'\nca_file='{}'\nclient_certificate_file='{}'\nclient_key_file='{}'\n",
        ca.display(),
        client.certificate.display(),
        client.key.display()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let sent: BTreeSet<String> = (0..5).map(|n| sensor.raise(n)).collect();
    let identity = sensor.cases.sensor().clone();
    assert!(sensor.outbox.heartbeat(&identity, [("frames", 3)].into()));
    sensor.wait("all are acknowledged", |s| s[0].delivered == 6);
    daemon.stop();
    let lines = |name: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(|line| event(line)["event_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(lines("saastap-events.jsonl"), sent);
    assert_eq!(lines("saastap-heartbeat.jsonl").len(), 1);
}

fn has_tls() -> bool {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    folders.iter().any(|folder| Path::new(folder).join("rsyslog/lmnsd_ossl.so").exists())
}

/// 120 events while the receiver goes and comes back; its settings, and those of the sink.
fn over_a_restart(global: &str, module: &str, sink: &str) {
    if !Path::new(RSYSLOGD).exists() {
        println!("SKIPPED: {RSYSLOGD} is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let input = format!(
        "module(load=\"imtcp\" {module})\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n"
    );
    let daemon = Rsyslogd::start(folder.path(), global, &input);
    let mut sensor = Sensing::new(
        &folder.path().join("a.db"),
        &format!(
            "[[sink]]\nname='siem'\nkind='syslog'\naddress='127.0.0.1:{port}'\nack_seconds=1\n{sink}"
        ),
    );
    let received = folder.path().join("received");
    let mut sent = BTreeSet::new();
    for n in 0..50 {
        sent.insert(sensor.raise(n));
    }
    sensor.wait("the first are acknowledged", |s| s[0].delivered >= 50);
    daemon.stop();
    for n in 50..100 {
        sent.insert(sensor.raise(n));
    }
    sensor.wait("the sink is seen to fail", |s| s[0].failures > 0);
    let daemon = Rsyslogd::start(folder.path(), global, &input);
    for n in 100..120 {
        sent.insert(sensor.raise(n));
    }
    sensor.wait("all are acknowledged", |s| s[0].delivered >= 120);
    daemon.stop();

    assert_eq!(parsed(&received), sent);
}

#[test]
fn gets_events_by_udp() {
    if !Path::new(RSYSLOGD).exists() {
        println!("SKIPPED: {RSYSLOGD} is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let input = format!(
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"{port}\" address=\"127.0.0.1\")\n"
    );
    let daemon = Rsyslogd::start(folder.path(), "", &input);
    let text = format!(
        "[[sink]]\nname='siem'\nkind='syslog'\ntransport='udp'\naddress='127.0.0.1:{port}'\n"
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let received = folder.path().join("received");
    // Nobody says when the receiver listens: until it has one, those before were lost, as is UDP's way.
    let mut n = 0;
    sensor.wait_for("one arrived", |sensor| {
        sensor.raise(n);
        n += 1;
        received.exists()
    });
    let mut sent = BTreeSet::new();
    for n in 10_000..10_020 {
        sent.insert(sensor.raise(n));
    }
    sensor.wait("all arrived", |_| parsed(&received).is_superset(&sent));
    daemon.stop();
}

/// The ids of the events, as rsyslogd parsed the messages.
fn parsed(received: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(received).unwrap();
    let mut got = BTreeSet::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let (head, body) = line.split_once("|").unwrap();
        assert_eq!(head, "local0 err saastap UNSANCTIONED_USE test-sensor");
        let event: serde_json::Value = serde_json::from_str(body).unwrap();
        got.insert(event["event_id"].as_str().unwrap().to_owned());
    }
    got
}

pub const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// An rsyslogd of our own, which appends what it parsed to `received`.
pub struct Rsyslogd(Child);

impl Rsyslogd {
    pub fn start(folder: &Path, global: &str, input: &str) -> Self {
        let at = folder.display();
        let config = format!(
            "global(workDirectory=\"{at}\" maxMessageSize=\"16k\" {global})\n\
             {input}\
             template(name=\"t\" type=\"string\" string=\"%syslogfacility-text% \
             %syslogseverity-text% %app-name% %msgid% %hostname%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{at}/received\" template=\"t\")\n"
        );
        Self::run(folder, &config)
    }

    pub fn run(folder: &Path, text: &str) -> Self {
        let config = folder.join("rsyslog.conf");
        std::fs::write(&config, text).unwrap();
        let child = Command::new(RSYSLOGD)
            .arg("-n")
            .arg("-f")
            .arg(&config)
            .arg("-i")
            .arg(folder.join("rsyslog.pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Asks it to end, so that it writes what it took, and waits.
    pub fn stop(mut self) {
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
