//! What the sensor says of its own sight: a span port that shows every packet twice is one case, and one that does not is none.

use serde_json::Value;

use super::sensor::{Office, Sensor};
use super::wire::Wire;

#[test]
fn a_span_port_that_shows_all_twice_is_one_case_of_its_cause() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let alerts = office.path("alerts.jsonl");
    // Each look of the sensor ends a window.
    office.configure(&format!(
        "[alert.loss]\nafter_minutes = 0\nminutes = 0\n\
         [[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    ));
    let sensor = office.run(&wire.near);
    let counted = |s: &Sensor<'_>| s.metric("saastap_findings_total{finding=\"visibility_loss\"}");
    assert_eq!(counted(&sensor), Some(0.0), "known from the start");
    let mut sender = wire.sender();
    let mut first = 0;
    let mut burst = |times: u32| {
        (first..first + BURST).for_each(|n| sender.numbered(n, times));
        first += BURST;
    };
    sensor.until("enough came once", |s| {
        burst(1);
        kept_back(s).is_some_and(|reason| reason.contains(" packets in "))
    });
    assert!(duplicates(&office).is_empty());
    sensor.until("it is told that all comes twice", |_| {
        burst(2);
        !duplicates(&office).is_empty()
    });
    assert!(counted(&sensor) >= Some(1.0));
    assert_eq!(kept_back(&sensor), None, "nothing keeps it back");
    sensor.until("the page shows it", |s| s.get("/api/v1/findings").1.contains("duplicates ("));
    (0..3).for_each(|_| burst(2));
    sensor.stop();
    let told = duplicates(&office);
    assert_eq!(told.len(), 1, "once a window");
    assert_eq!(told[0]["finding"]["action"], "create");
    assert_eq!(told[0]["threshold"], "duplicates_percent");
    let (part, whole) = (&told[0]["loss"]["part"], &told[0]["loss"]["whole"]);
    assert!(part.as_u64().unwrap() * 5 >= whole.as_u64().unwrap(), "{part} of {whole}");
    assert!(told[0].get("vendor").is_none() && told[0].get("client").is_none());

    let said = |args: &[&str]| {
        let output = office.program(&[&["case"], args].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let uid = told[0]["finding"]["uid"].as_str().unwrap();
    assert!(said(&["list"]).contains(&uid[..8]), "{}", said(&["list"]));
    let shown = said(&["show", uid]);
    assert!(shown.contains("what          duplicates ("), "{shown}");
    assert!(!shown.contains("vendor") && !shown.contains("clients"), "{shown}");
}

/// More than the least of which a share is taken.
const BURST: u32 = 12_000;

fn duplicates(office: &Office) -> Vec<Value> {
    let mut all = office.findings("alerts.jsonl");
    all.retain(|event| event["loss"]["cause"] == "duplicates");
    all
}

/// What `/api/v1/suppressed` says of duplicates.
fn kept_back(sensor: &Sensor<'_>) -> Option<String> {
    let all = sensor.json("/api/v1/suppressed?finding=visibility_loss");
    let reasons = all["suppressed"].as_array().unwrap().iter();
    let mut reasons = reasons.map(|row| row["reason"].as_str().unwrap());
    reasons.find(|reason| reason.starts_with("duplicates: ")).map(str::to_owned)
}
