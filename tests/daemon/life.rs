//! From start to stop: readiness, page, metrics, what the supervisor is told, and open flows at the end.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::sensor::{Office, PATIENCE, POLICY};
use super::wire::{Wire, skipped};

#[test]
fn a_silent_interface_is_ready_and_its_end_is_clean() {
    let Some(wire) = Wire::new() else { return };
    // Two questions of the same octets are two here, and no copies that a mirror made.
    let office = Office::new(&format!("{POLICY}\n[flow]\nduplicate_milliseconds = 0\n"));
    let notices = UnixDatagram::bind(office.path("notify")).unwrap();
    notices.set_read_timeout(Some(PATIENCE)).unwrap();
    let flows = office.path("flows");
    let mut command = office.program(&["run", "-i", &wire.near, "--flows"]);
    command.arg(&flows).env("NOTIFY_SOCKET", office.path("notify"));
    let sensor = office.start(command);
    assert_eq!(notice(&notices), "READY=1");
    sensor.until("it is ready", |s| s.get("/-/ready").0 == 200);
    assert_eq!(sensor.metric("saastap_capture_packets_total"), Some(0.0));
    assert_eq!(sensor.get("/-/healthy").0, 200);
    assert_eq!([notice(&notices), notice(&notices)], ["WATCHDOG=1", "WATCHDOG=1"]);

    let mut sender = wire.sender();
    for port in [4_001, 4_002, 4_001] {
        sender.question(port);
    }
    sensor.until("the frames are seen", |s| s.metric(PACKETS) == Some(3.0));
    assert_eq!(sensor.metric("saastap_capture_kernel_dropped_packets_total"), Some(0.0));
    // Both flows are open, and nothing but the end makes them known.
    assert_eq!(office.text("flows"), "");
    let page = sensor.get("/");
    assert_eq!(page.0, 200);
    assert!(page.1.starts_with("<!DOCTYPE html>") || page.1.starts_with("<!doctype html>"));
    assert!(page.1.contains("saastap"), "{}", page.1);

    sensor.stop();
    let told: Vec<_> = std::iter::from_fn(|| {
        notices.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut text = [0; 256];
        let n = notices.recv(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text[..n]).trim().to_owned())
    })
    .collect();
    assert_eq!(told.last().map(String::as_str), Some("STOPPING=1"), "{told:?}");
    let log = office.text("log");
    assert!(log.contains(" INFO listening on ") && !log.contains('\u{1b}'), "a journal: {log:?}");
    let lines = fs::read_to_string(&flows).unwrap();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut told: Vec<_> = lines
        .iter()
        .map(|l| {
            assert_eq!(l["ended"], "stopped");
            (l["client"]["port"].as_u64().unwrap(), l["sent"]["packets"].as_u64().unwrap())
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(4_001, 2), (4_002, 1)]);
}

#[test]
fn metrics_pass_promtool_and_name_the_policys_vendors_from_the_start() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new(POLICY);
    let sensor = office.run(&wire.near);
    for series in [
        PACKETS,
        "saastap_flows_started_total",
        "saastap_usages",
        "saastap_findings_total{finding=\"unsanctioned_use\"}",
        "saastap_findings_total{finding=\"unsanctioned_tenant\"}",
        "saastap_findings_total{finding=\"first_seen\"}",
        "saastap_findings_total{finding=\"lookalike\"}",
        "saastap_vendor_flows_total{state=\"unsanctioned\",vendor=\"anydesk\"}",
        "saastap_vendor_client_to_server_bytes_total{state=\"sanctioned\",vendor=\"zendesk\"}",
        "saastap_clients{state=\"tolerated\",vendor=\"kustomer\"}",
        "saastap_group_flows_total{group=\"support\",state=\"sanctioned\"}",
    ] {
        assert_eq!(sensor.metric(series), Some(0.0), "{series}");
    }
    let version = format!("version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
    let text = sensor.get("/metrics").1;
    assert!(
        text.lines()
            .any(|l| l.starts_with("saastap_build_info{") && format!("{l}\n").ends_with(&version))
    );
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match promtool {
        Err(error) => skipped("promtool is missing", &error.to_string()),
        Ok(mut promtool) => {
            promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            let output = promtool.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    sensor.stop();
}

#[test]
fn an_interface_that_is_down_is_not_ready_until_it_is_back() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let sensor = office.run(&wire.near);
    wire.set("down");
    sensor.until("it is not ready", |s| s.get("/-/ready").0 == 503);
    assert_eq!(sensor.get("/-/healthy").0, 200, "to start it anew would not help");
    wire.set("up");
    sensor.until("it is ready again", |s| s.get("/-/ready").0 == 200);
    wire.sender().question(4_000);
    sensor.until("it sees frames again", |s| s.metric(PACKETS) >= Some(1.0));
    sensor.stop();
}

fn notice(socket: &UnixDatagram) -> String {
    let mut text = [0; 256];
    let n = socket.recv(&mut text).expect("the supervisor is told");
    String::from_utf8_lossy(&text[..n]).trim().to_owned()
}

const PACKETS: &str = "saastap_capture_packets_total";
