//! A sink that a reload removes: it ends, and what waits for it goes and is counted; the others go on.

use super::sensor::{Office, POLICY, Sensor, free_port};
use super::wire::Wire;

#[test]
fn a_sink_that_a_reload_removes_ends_and_what_waits_for_it_goes() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let (alerts, port) = (office.path("alerts.jsonl"), free_port());
    let file = format!(
        "{POLICY}\n[[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    );
    let url = format!("http://127.0.0.1:{port}/");
    office.configure(&format!("{file}[[sink]]\nname = 'dead'\nkind = 'webhook'\nurl = '{url}'\n"));
    let sensor = office.run(&wire.near);
    let waiting = |s: &Sensor<'_>| s.metric("saastap_sink_waiting_messages{sink=\"dead\"}");
    let orphaned = |s: &Sensor<'_>| s.metric("saastap_store_orphaned_messages_total");
    sensor.until("a heartbeat waits", |s| waiting(s) >= Some(1.0));
    assert_eq!(orphaned(&sensor), Some(0.0));

    office.configure(&file);
    assert_eq!(sensor.ask("POST", "/-/reload").0, 200);
    sensor.until("what waited is counted", |s| orphaned(s) >= Some(1.0));
    sensor.until("the sink is shown no more", |s| waiting(s).is_none());
    let audits = || office.text("alerts.jsonl").matches("\"reload\"").count();
    sensor.until("the other goes on", |_| audits() == 1);
    sensor.until("nothing waits for it", |s| s.metric("saastap_outbox_messages") == Some(0.0));
    let before = orphaned(&sensor);
    assert_eq!(sensor.ask("POST", "/-/reload").0, 200);
    sensor.until("and goes on", |_| audits() == 2);
    assert_eq!(orphaned(&sensor), before);
    sensor.stop();
    assert_eq!(office.text("log").matches("no longer configured were dropped").count(), 1);
}
