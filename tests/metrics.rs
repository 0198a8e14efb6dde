//! The web endpoints over a real socket: what a Prometheus, a supervisor, a browser and a stranger get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saastap::count::{Cells, Kind};
use saastap::export::usage::Addition;
use saastap::export::web::{CandidateRow, HistoryQuery, HistoryRow, InsideServers, VisibilityRow};
use saastap::export::{
    Coverage, Face, FindingRow, HealthRow, Metrics, Provider, Sample, Site, SuppressedRow,
    UsageRow, metrics, web,
};
use saastap::time::Time;
use saastap::usage::{Share, Visibility};

saastap::rows! {
    /// Counters of a stage.
    enum Frame {
        Seen => Counter "saastap_capture_frames_total" "Frames seen.",
        Short => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "too_short"),
        Live => Gauge "saastap_flow_live_flows" "Flows in the table.",
    }
}

struct Pipeline {
    ready: Mutex<Result<(), String>>,
    reload: Mutex<Result<(), String>>,
    reloads: AtomicUsize,
}

impl Face for Pipeline {
    fn ready(&self) -> Result<(), String> {
        self.ready.lock().unwrap().clone()
    }
    fn reload(&self) -> Result<(), String> {
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.reload.lock().unwrap().clone()
    }
    fn coverage(&self) -> Coverage {
        Coverage { clients: 12, named: Some(0.912), ..Coverage::default() }
    }
    fn visibility_rows(&self) -> Vec<VisibilityRow> {
        let share = Share { flows: 3, bytes: 30 };
        vec![VisibilityRow { visibility: Visibility::Ech, share }]
    }
    fn candidate_rows(&self) -> Vec<CandidateRow> {
        let share = Share { flows: 2, bytes: 20 };
        vec![CandidateRow { domain: "unclaimed.example".into(), share, excess: 0 }]
    }
    fn suppressed_rows(&self) -> Vec<SuppressedRow> {
        let row = |client: &str| SuppressedRow {
            finding: "first_seen".into(),
            vendor: "zendesk".into(),
            tenant: None,
            group: "support".into(),
            client: client.into(),
            role: "either".into(),
            at: Time::from_secs(1_795_000_000),
            reason: "learning until 2026-12-01T00:00:00Z".into(),
        };
        vec![row("c-1"), row("c-2")]
    }
    fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, String> {
        if query.vendor.as_deref() == Some("too-much") {
            return Err("too much is asked for".into());
        }
        Ok(vec![HistoryRow {
            from: query.from.unwrap_or(Time::from_secs(1_793_613_600)),
            vendor: query.vendor.clone().unwrap_or_else(|| "zendesk".into()),
            vendor_name: "Zendesk".into(),
            state: "sanctioned".into(),
            clients: query.by.hours().into(),
            flows: 1,
            sessions: 0,
            sent: 1_000,
            received: 500,
            active_minutes: 0,
        }])
    }
    fn inside_servers(&self) -> InsideServers {
        InsideServers::default()
    }
    fn usage_rows(&self) -> Vec<UsageRow> {
        vec![UsageRow {
            vendor: "zendesk".into(),
            vendor_name: "Zendesk".into(),
            tenant: Some("<b>acme".into()),
            relation: "own".into(),
            role: "either".into(),
            deployment: "cloud".into(),
            group: "support".into(),
            clients: 3,
            engagement: "use".into(),
            state: "sanctioned".into(),
            flows: 7,
            sessions: 0,
            sent: 1_000,
            received: 2_000,
            active_minutes: 12,
            first_seen: Time::from_secs(0),
            last_seen: Time::from_secs(60),
        }]
    }
    fn findings(&self) -> Vec<FindingRow> {
        Vec::new()
    }
    fn health(&self) -> Vec<HealthRow> {
        vec![HealthRow { name: "frames dropped".into(), value: "0".into(), well: true }]
    }
}

struct Sinks;

impl Provider for Sinks {
    fn samples(&self, out: &mut Vec<Sample>) {
        out.push(Sample {
            name: "saastap_sink_events_total",
            help: "Events delivered.",
            kind: Kind::Counter,
            labels: vec![("sink", "a \"quoted\" \\ name".into())],
            value: 2.0,
        });
    }
}

/// A server on a port of its own; ends with the test.
struct Served {
    address: SocketAddr,
    pipeline: Arc<Pipeline>,
    metrics: Arc<Metrics>,
    cells: Arc<Cells<Frame>>,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    fn new(options: web::Options) -> Self {
        let metrics = Arc::new(Metrics::new(&metrics::Options::default()).unwrap());
        let cells = Cells::<Frame>::new();
        metrics.register(cells.clone());
        metrics.provide(Arc::new(Sinks));
        metrics.catalog("2026.11.1");
        metrics.reloaded(true);
        metrics.usage().declare_vendors(["zendesk", "intercom"]);
        let pipeline = Arc::new(Pipeline {
            ready: Mutex::new(Ok(())),
            reload: Mutex::new(Ok(())),
            reloads: AtomicUsize::new(0),
        });
        let options = web::Options { listen: "127.0.0.1:0".parse().unwrap(), ..options };
        let listener = web::bind(&options).unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site::new(options, metrics.clone(), pipeline.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(web::serve(listener, site, std::future::pending()));
        Self { address, pipeline, metrics, cells, _runtime: runtime }
    }

    /// Status, head and body of the answer to one request with these further header lines.
    fn ask(&self, method: &str, path: &str, more: &str) -> (u16, String, String) {
        let host = if more.contains("Host:") { "" } else { "Host: 127.0.0.1\r\n" };
        self.raw(
            format!("{method} {path} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n").as_bytes(),
        )
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask("GET", path, "")
    }

    fn raw(&self, request: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The server may close before it has read all of an oversized request.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, head.to_ascii_lowercase(), body.to_owned())
    }
}

/// What promtool says about an exposition; `None` where it is not installed.
fn promtool(text: &str) -> Option<(bool, String)> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let served = Served::new(web::Options::default());
    served.cells.add(Frame::Seen, 5);
    served.cells.add(Frame::Short, 1);
    served.cells.set(Frame::Live, 3);
    let addition = Addition {
        vendor: "freshdesk",
        role: "console",
        group: "support",
        state: "unsanctioned",
        deployment: "cloud",
        client: "c1",
        flows: 1,
        sent: 10,
        received: 20,
        at: Time::from_secs(1_000_000),
    };
    served.metrics.usage().add(&addition);
    served.metrics.usage().visibility(Visibility::Named, 1, 30);
    let (status, head, body) = served.get("/metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let Some((fine, said)) = promtool(&body) else {
        println!("SKIPPED: promtool is not installed (Debian: prometheus)");
        return;
    };
    assert!(fine && said.trim().is_empty(), "{said}");
    // The check bites: a counter without `_total`, and a line that is no sample.
    let (fine, said) =
        promtool("# HELP saastap_frames Seen.\n# TYPE saastap_frames counter\nsaastap_frames 1\n")
            .unwrap();
    assert!(!fine && said.contains("_total"), "{said}");
    assert!(!promtool("saastap frames 1 2 3\n").unwrap().0);
}

#[test]
fn series_known_beforehand_are_there_at_zero_and_no_client_is_in_any_label() {
    let served = Served::new(web::Options::default());
    let (_, _, body) = served.get("/metrics");
    for series in [
        "saastap_vendor_flows_total{state=\"unsanctioned\",vendor=\"intercom\"} 0",
        "saastap_vendor_client_to_server_bytes_total{state=\"sanctioned\",vendor=\"zendesk\"} 0",
        "saastap_clients{state=\"unreviewed\",vendor=\"zendesk\"} 0",
        "saastap_visibility_flows_total{visibility=\"ech\"} 0",
        "saastap_visibility_bytes_total{visibility=\"overload\"} 0",
        "saastap_metric_series_dropped_total{metric=\"vendor\"} 0",
        "saastap_capture_frames_total 0",
        "saastap_config_last_reload_successful 1",
        "saastap_catalog_info{version=\"2026.11.1\"} 1",
        "saastap_web_refused_requests_total{reason=\"host\"} 0",
    ] {
        assert!(body.lines().any(|line| line == series), "{series} not in\n{body}");
    }
    assert!(body.contains("process_resident_memory_bytes "));
    let addition = Addition {
        vendor: "zendesk",
        role: "either",
        group: "support",
        state: "sanctioned",
        deployment: "cloud",
        client: "10.20.0.7",
        flows: 1,
        sent: 1,
        received: 1,
        at: Time::from_secs(1_000_000),
    };
    served.metrics.usage().add(&addition);
    let (_, _, body) = served.get("/metrics");
    assert!(body.contains("saastap_clients{state=\"sanctioned\",vendor=\"zendesk\"} 1\n"));
    assert!(!body.contains("10.20.0.7"));
}

#[test]
fn health_is_always_well_and_readiness_says_why_not() {
    let served = Served::new(web::Options::default());
    assert_eq!(served.get("/-/ready").0, 200);
    *served.pipeline.ready.lock().unwrap() = Err("eth9 is down".into());
    let (status, _, body) = served.get("/-/ready");
    assert_eq!((status, body.as_str()), (503, "not ready: eth9 is down\n"));
    assert_eq!(served.ask("HEAD", "/-/ready", "").0, 503);
    let (status, _, body) = served.ask("HEAD", "/-/healthy", "");
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(served.get("/-/healthy").0, 200);
    assert_eq!(served.get("/nowhere").0, 404);
}

#[test]
fn reload_answers_what_became_of_it_and_takes_no_orders_from_browsers() {
    let served = Served::new(web::Options::default());
    let reloads = || served.pipeline.reloads.load(Ordering::Relaxed);
    assert_eq!(served.ask("POST", "/-/reload", "").0, 200);
    assert_eq!(served.ask("PUT", "/-/reload", "").0, 200);
    assert_eq!(reloads(), 2);
    *served.pipeline.reload.lock().unwrap() = Err("policy.toml:3: unknown vendor `zendsk`".into());
    let (status, _, body) = served.ask("POST", "/-/reload", "");
    assert_eq!(status, 500);
    assert!(body.contains("policy.toml:3: unknown vendor `zendsk`"), "{body}");
    assert_eq!(reloads(), 3);
    assert_eq!(served.get("/-/reload").0, 405);
    assert_eq!(served.ask("POST", "/-/reload", "Origin: https://evil.example\r\n").0, 403);
    assert_eq!(served.ask("POST", "/-/reload", "Sec-Fetch-Site: cross-site\r\n").0, 403);
    assert_eq!(served.ask("POST", "/-/reload", "Host: rebound.example\r\n").0, 421);
    assert_eq!(reloads(), 3);
    assert!(served.get("/metrics").2.contains("refused_requests_total{reason=\"browser\"} 2\n"));
    let fixed = Served::new(web::Options { lifecycle: false, ..web::Options::default() });
    assert_eq!(fixed.ask("POST", "/-/reload", "").0, 403);
    assert_eq!(fixed.pipeline.reloads.load(Ordering::Relaxed), 0);
}

#[test]
fn page_and_json_say_the_same_and_a_foreign_name_gets_neither() {
    let served = Served::new(web::Options::default());
    let (status, head, page) = served.get("/");
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(page.contains("12 clients seen, 91.2 % of bytes named"));
    assert!(page.contains("&lt;b&gt;acme (own)") && !page.contains("<b>acme"));
    let (status, head, body) = served.get("/api/v1/usage");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"));
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["usage"][0]["tenant"], "<b>acme");
    assert_eq!(json["usage"][0]["last_seen"], "1970-01-01T00:01:00.000000Z");
    assert_eq!(json["coverage"]["clients"], 12);
    let json: serde_json::Value = serde_json::from_str(&served.get("/api/v1/findings").2).unwrap();
    assert_eq!(json["findings"], serde_json::json!([]));
    assert!(page.contains("<title>2026-11-02 10:00 sanctioned: 1.5 kB</title>"), "{page}");
    let (status, _, body) = served.get("/api/v1/usage/history");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &json["by"], &json["history"][0]["clients"]),
        (200, &"hour".into(), &1.into())
    );
    let asked = "/api/v1/usage/history?by=day&from=2026-11-01T00:00:00Z&vendor=intercom";
    let json: serde_json::Value = serde_json::from_str(&served.get(asked).2).unwrap();
    let row = &json["history"][0];
    assert_eq!((&row["vendor"], &row["clients"]), (&"intercom".into(), &24.into()));
    assert_eq!(row["from"], "2026-11-01T00:00:00.000000Z");
    for wrong in ["by=week", "from=yesterday", "since=1", "vendor=too-much"] {
        assert_eq!(served.get(&format!("/api/v1/usage/history?{wrong}")).0, 400, "{wrong}");
    }
    for path in ["/", "/metrics", "/api/v1/usage", "/api/v1/usage/history"] {
        assert_eq!(served.ask("GET", path, "Host: rebound.example:80\r\n").0, 421, "{path}");
    }
}

#[test]
fn a_port_in_use_is_told_with_its_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = web::bind(&web::Options { listen, ..web::Options::default() }).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&format!("cannot listen on {listen}")), "{said}");
    assert!(said.contains(&format!("ss -ltnp 'sport = :{}'", listen.port())), "{said}");
    assert!(said.contains("another `listen` in [web]"), "{said}");
}

#[test]
fn noise_and_oversized_requests_do_no_harm() {
    let served = Served::new(web::Options::default());
    let mut noise = Vec::new();
    let mut state = 1u32;
    for _ in 0..4_096 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push((state >> 24) as u8);
    }
    noise.extend_from_slice(b"\r\n\r\n");
    assert!([0, 400].contains(&served.raw(&noise).0));
    let long = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!([0, 400, 431].contains(&served.raw(long.as_bytes()).0));
    assert_eq!(served.get("/-/healthy").0, 200);
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let served = Served::new(web::Options::default());
    let idle: Vec<_> = (0..32).map(|_| TcpStream::connect(served.address).unwrap()).collect();
    let mut late = TcpStream::connect(served.address).unwrap();
    late.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    late.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut byte = [0];
    assert!(late.read(&mut byte).is_err(), "the 33rd was served beside 32 others");
    drop(idle);
    late.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let text = served.metrics.text().unwrap();
    assert!(!text.contains("saastap_web_waited_connections_total 0"), "{text}");
}
