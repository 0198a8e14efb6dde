//! A real Alertmanager: `amtool` sees a case fire, and resolve when it closes.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use saastap::time::Time;
use serde_json::Value;

use crate::free_port;
use crate::sensing::Sensing;

#[test]
fn amtool_sees_a_case_fire_and_resolve() {
    if !Path::new(ALERTMANAGER).exists() {
        println!("SKIPPED: {ALERTMANAGER} is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let manager = Alertmanager::start(folder.path());
    let text = format!(
        "[[sink]]\nname='am'\nkind='alertmanager'\nurl='http://127.0.0.1:{}'\nmin_severity='high'\n",
        manager.port
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    assert!(sensor.outbox.wants_standing());
    for n in 0..3 {
        sensor.raise(n);
    }
    sensor.wait("all are delivered", |s| s[0].delivered == 3);
    let firing = manager.alerts();
    assert_eq!(firing.len(), 3, "{firing:?}");
    let labels = &firing[0]["labels"];
    assert_eq!(labels["alertname"], "SaastapUnsanctionedUse");
    assert_eq!((&labels["vendor"], &labels["severity"]), (&"anydesk".into(), &"high".into()));
    assert!(firing[0]["annotations"]["client"] == "c-1", "{firing:?}");
    let ends = |alerts: &[Value]| -> Vec<String> {
        alerts.iter().map(|a| a["endsAt"].as_str().unwrap().to_owned()).collect()
    };

    // Shown again, they fire for longer.
    let before = ends(&firing);
    let open = sensor.cases.open(Time::from_secs(1_795_000_100));
    assert_eq!(open.len(), 3);
    sensor.outbox.stand(&open);
    sensor.wait("they end later", |_| ends(&manager.alerts()).iter().min() > before.iter().max());

    assert_eq!(sensor.close_cases().len(), 3);
    sensor.wait("their ends are delivered", |s| s[0].delivered == 6);
    sensor.wait("all are resolved", |_| manager.alerts().is_empty());
    assert!(sensor.cases.open(Time::from_secs(1_795_200_000)).is_empty());
}

const ALERTMANAGER: &str = "/usr/bin/prometheus-alertmanager";

struct Alertmanager {
    child: Child,
    port: u16,
}

impl Alertmanager {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route:\n  receiver: none\nreceivers:\n- name: none\n").unwrap();
        let child = Command::new(ALERTMANAGER)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.join("am").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { child, port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return started;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("Alertmanager does not listen after 30 s");
    }

    /// Alerts that fire, by `amtool`.
    fn alerts(&self) -> Vec<Value> {
        let output = Command::new("amtool")
            .arg(format!("--alertmanager.url=http://127.0.0.1:{}", self.port))
            .args(["alert", "query", "--output=json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
