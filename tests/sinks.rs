//! Events on their whole way: cases, store, outbox, and real receivers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use saastap::alert::sink::{Configured, Table};
use saastap::alert::{Cases, FlowFacts, Options, Outbox, Raised, Sensor, Sighting, SinkStats};
use saastap::count::Cells;
use saastap::identity::ClientKind;
use saastap::policy::{Decision, Relation, State};
use saastap::signature::{Deployment, Role, TenantVisibility, Vendor};
use saastap::store::Store;
use saastap::time::Time;
use saastap::usage::{Engagement, Key, Standing};
use tokio::runtime::Runtime;

#[test]
fn a_real_rsyslogd_gets_every_event_over_a_restart() {
    if !Path::new(RSYSLOGD).exists() {
        println!("SKIPPED: {RSYSLOGD} is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let daemon = Rsyslogd::start(folder.path(), port);
    let mut sensor = Sensing::new(
        &folder.path().join("a.db"),
        &format!(
            "[[sink]]\nname='siem'\nkind='syslog'\naddress='127.0.0.1:{port}'\nack_seconds=1\n"
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
    let daemon = Rsyslogd::start(folder.path(), port);
    for n in 100..120 {
        sent.insert(sensor.raise(n));
    }
    sensor.wait("all are acknowledged", |s| s[0].delivered >= 120);
    daemon.stop();

    let text = std::fs::read_to_string(&received).unwrap();
    let mut got = BTreeSet::new();
    for line in text.lines() {
        let (head, body) = line.split_once("|").unwrap();
        assert_eq!(head, "local0 err saastap UNSANCTIONED_USE test-sensor");
        let event: serde_json::Value = serde_json::from_str(body).unwrap();
        got.insert(event["event_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(got, sent);
}

#[test]
fn a_dead_sink_slows_no_other_and_a_renamed_file_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let dead = free_port();
    let text = format!(
        "[[sink]]\nname='dead'\nkind='syslog'\naddress='127.0.0.1:{dead}'\n\
         [[sink]]\nname='file'\nkind='file'\npath='{}'\n",
        path.display()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(sensor.raise(n));
    }
    sensor.wait("the file has them", |s| s[1].delivered == 10);
    let old = folder.path().join("alerts.jsonl.1");
    std::fs::rename(&path, &old).unwrap();
    for n in 10..20 {
        sent.push(sensor.raise(n));
    }
    let stats = sensor.wait("the file has them all", |s| s[1].delivered == 20);
    assert_eq!((stats[0].delivered, stats[0].up), (0, false));
    let lines = |path: &PathBuf| ids(&std::fs::read_to_string(path).unwrap());
    assert_eq!(lines(&old), sent[..10]);
    assert_eq!(lines(&path), sent[10..]);

    // The dead sink's events stay in the store, for a run in which it lives.
    sensor.close();
    let alive = TcpListener::bind((Ipv4Addr::LOCALHOST, dead)).unwrap();
    let sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let (mut stream, _) = alive.accept().unwrap();
    let mut got = Vec::new();
    while got.len() < 20 {
        got.push(frame(&mut stream));
    }
    let got: Vec<String> =
        got.iter().map(|m| ids(m.split_once(" - ").unwrap().1).remove(0)).collect();
    assert_eq!(got, sent, "in order");
    drop(sensor);
}

#[test]
fn a_backlog_is_bounded_and_what_is_given_up_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[sink]]\nname='dead'\nkind='syslog'\naddress='127.0.0.1:{}'\nmax_messages=5\n",
        free_port()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    for n in 0..20 {
        sensor.raise(n);
    }
    let stats = sensor.wait("the backlog is cut", |s| s[0].given_up >= 15);
    assert_eq!((stats[0].given_up, stats[0].delivered), (15, 0));
}

#[test]
fn a_heartbeat_reaches_the_sink() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let text = format!("[[sink]]\nname='file'\nkind='file'\npath='{}'\n", path.display());
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let identity = sensor.cases.sensor().clone();
    assert!(sensor.outbox.heartbeat(&identity, [("saastap_frames_total", 3)].into()));
    sensor.wait("it is delivered", |s| s[0].delivered == 1);
    let line = std::fs::read_to_string(&path).unwrap();
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event_kind"], "heartbeat");
    assert_eq!(event["values"]["saastap_frames_total"], 3);
    assert_eq!(event["sensor"]["name"], "test-sensor");
}

/// Cases, store and outbox as the collector connects them.
struct Sensing {
    cases: Cases,
    outbox: Outbox,
    _runtime: Runtime,
}

impl Sensing {
    fn new(path: &Path, text: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct File {
            sink: Vec<Table>,
        }
        let file: File = toml::from_str(text).unwrap();
        let sinks = Configured::read(&file.sink, "saastap.toml", text).unwrap();
        let (store, damaged) = Store::open(path).unwrap();
        assert_eq!(damaged, None);
        let sensor = Sensor { name: "test-sensor".into(), ..Sensor::default() };
        let mut cases = Cases::new(Options::default(), sensor, Cells::new());
        assert!(cases.restore(&store.windows().unwrap()).is_empty());
        let (writer, answers) = store.start(256, Cells::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let outbox = Outbox::start(sinks, writer, answers, runtime.handle());
        Self { cases, outbox, _runtime: runtime }
    }

    /// A case of group `n` opens; the id of its event.
    fn raise(&mut self, n: u32) -> String {
        let mut raised: Vec<Raised> = Vec::new();
        see(&mut self.cases, n, &mut raised);
        assert_eq!(raised.len(), 1);
        assert!(self.outbox.submit(&raised[0], Vec::new()));
        self.outbox.poll(&mut self.cases);
        raised[0].event.id.to_string()
    }

    fn wait(&mut self, what: &str, done: impl Fn(&[SinkStats]) -> bool) -> Vec<SinkStats> {
        for _ in 0..600 {
            self.outbox.poll(&mut self.cases);
            let stats = self.outbox.stats();
            if done(&stats) {
                return stats;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("waited 30 s until {what}: {:?}", self.outbox.stats());
    }

    fn close(mut self) {
        self.outbox.close(&mut self.cases);
    }
}

/// The first relay contact of a client of group `n` with a remote-assistance vendor.
fn see(cases: &mut Cases, n: u32, raised: &mut Vec<Raised>) {
    let at = Time::from_secs(1_795_000_000 + u64::from(n));
    let vendor = Vendor {
        id: "anydesk".into(),
        name: "AnyDesk".into(),
        categories: vec![Arc::from(Vendor::REMOTE_ASSISTANCE)],
        deployment: Deployment::Cloud,
        homepage: String::new(),
        tenant_visibility: TenantVisibility::None,
        ordinary_inside: false,
    };
    let key = Key {
        group: format!("group-{n}").into(),
        client: "c-1".into(),
        vendor: "anydesk".into(),
        tenant: None,
        role: Role::Relay,
    };
    let decision = Decision { state: State::Unreviewed, rule: None };
    let standing = Standing {
        engagement: Engagement::Glance,
        before: None,
        active_minutes_today: 0,
        sent_today: 100,
        threshold: None,
        first_flow: true,
    };
    let flow = FlowFacts {
        start: at,
        name: "relay-1.net.anydesk.test",
        via: "sni",
        client: None,
        server: None,
        community_id: None,
    };
    let sighting = Sighting {
        at,
        key: &key,
        client_kind: ClientKind::Host,
        vendor: &vendor,
        relation: Relation::Unknown,
        decision: &decision,
        vendor_has_own: false,
        standing: &standing,
        ambiguous: false,
        agent: false,
        inside: false,
        activity: None,
        flow,
    };
    cases.see(&sighting, raised);
}

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";

/// An rsyslogd of our own, which appends what it parsed to `received`.
struct Rsyslogd(Child);

impl Rsyslogd {
    fn start(folder: &Path, port: u16) -> Self {
        let config = folder.join("rsyslog.conf");
        let at = folder.display();
        std::fs::write(
            &config,
            format!(
                "global(workDirectory=\"{at}\" maxMessageSize=\"16k\")\n\
                 module(load=\"imtcp\")\n\
                 input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
                 template(name=\"t\" type=\"string\" string=\"%syslogfacility-text% \
                 %syslogseverity-text% %app-name% %msgid% %hostname%|%msg%\\n\")\n\
                 action(type=\"omfile\" file=\"{at}/received\" template=\"t\")\n"
            ),
        )
        .unwrap();
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

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn ids(lines: &str) -> Vec<String> {
    let id = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["event_id"].as_str().unwrap().to_owned()
    };
    lines.lines().map(id).collect()
}

/// One message framed by octet counting.
fn frame(stream: &mut impl std::io::Read) -> String {
    let mut count = 0;
    loop {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        match octet[0] {
            b' ' => break,
            digit => count = count * 10 + usize::from(digit - b'0'),
        }
    }
    let mut message = vec![0; count];
    stream.read_exact(&mut message).unwrap();
    String::from_utf8(message).unwrap()
}
