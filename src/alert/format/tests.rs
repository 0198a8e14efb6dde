//! What every format has to keep: its documentation, its bound, its escapes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::alert::case::tests::raised;
use crate::alert::event::{Acknowledged, Action, Audit, Id, Proof, Report, Sensor, VendorName};
use crate::alert::finding::{FINDINGS, Severity};
use crate::alert::lasting::tests::{loss, silence};
use crate::alert::session::Session;
use crate::alert::summary::tests::summary;
use crate::alert::upload::Upload;
use crate::time::Time;

/// Everything that an event can be, so that each field shows itself once.
fn samples() -> Vec<Event> {
    let with = |change: fn(&mut Event, &mut Report)| {
        let mut event = raised(5, 20).event;
        event.sensor = sensor();
        let What::Finding(report) = &mut event.what else { panic!() };
        let mut changed = report.clone();
        change(&mut event, &mut changed);
        event.what = What::Finding(changed);
        event
    };
    let address = |event: &mut Event, report: &mut Report| {
        event.truncated = true;
        report.acknowledged = Some(Acknowledged {
            owner: "ada".into(),
            reason: "vendor call".into(),
            until: Time::from_secs(1_796_000_000),
        });
        let usage = report.usage_mut().unwrap();
        usage.scope = Some("group");
        usage.upload =
            Some(Upload { hour_bytes: 60_000_000, threshold_bytes: 50_000_000, usual: true });
        usage.session = Some(Session::direct(false, true));
        usage.server = Some("10.1.2.3".into());
        usage.tenant = Some("acme".into());
        usage.rule = Some("policy[3] (saastap.toml:41)".into());
        usage.client.id = "10.20.0.7".into();
        usage.clients.listed = vec!["10.20.0.7".into(), "c-1".into()];
        let proof = proof("10.20.0.7:50123", "192.0.2.80:443");
        usage.flow = Some(proof.clone());
        usage.evidence = vec![proof];
    };
    vec![
        with(|_, report| report.finding.action = Action::Create),
        with(address),
        with(|_, report| {
            report.finding.action = Action::Close;
            report.finding.attack = &["T1567"];
            let usage = report.usage_mut().unwrap();
            usage.client.id = "c-1".into();
            usage.flow = Some(proof("[2001:db8::7]:50123", "[2001:db8::80]:443"));
            usage.evidence =
                vec![Proof { name: "AnyDesk Client".into(), ..proof("10.0.0.1:1", "10.0.0.2:2") }];
        }),
        with(|_, report| report.about = About::Lasting(silence())),
        with(|event, report| {
            event.truncated = true;
            report.about = About::Lasting(loss());
        }),
        Event { what: heartbeat(), ..quiet() },
        Event { what: audit(), ..quiet() },
        Event { what: usage("c-1"), ..quiet() },
        Event { what: usage("10.20.0.7"), ..quiet() },
    ]
}

fn proof(client: &str, server: &str) -> Proof {
    Proof {
        time: Time::from_secs(1_795_000_000),
        name: "acme.zendesk.com".into(),
        via: "sni".into(),
        transport: "tcp".into(),
        client: Some(client.parse().unwrap()),
        server: Some(server.parse().unwrap()),
        community_id: Some("1:abc=".into()),
    }
}

fn quiet() -> Event {
    Event {
        time: Time::from_secs(1_795_000_000),
        id: Id::of(&["x"]),
        severity: Severity::Informational,
        sensor: sensor(),
        what: heartbeat(),
        truncated: false,
    }
}

fn heartbeat() -> What {
    What::Heartbeat { values: [("frames", 7)].into() }
}

fn audit() -> What {
    What::Audit {
        audit: Audit { action: "reload", outcome: "failure", detail: "x.toml:3: bad".into() },
    }
}

fn usage(client: &str) -> What {
    What::Usage(Box::new(summary(client, Some("acme"))))
}

fn sensor() -> Sensor {
    Sensor {
        name: "sensor-1".into(),
        site: Some("north".into()),
        version: "0.1.0".into(),
        catalog: "abcd".into(),
        policy: "ef01".into(),
    }
}

/// Field and type of each row below the heading of a format.
fn documented(format: &str) -> BTreeMap<String, String> {
    let text = include_str!("../../../config/siem/FIELDS.md");
    let section = text.split("\n## ").find(|s| s.starts_with(&format!("{format}\n"))).unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.trim_end_matches('`').to_owned();
        Some((name, cells.next()?.to_owned()))
    };
    section.lines().filter_map(row).collect()
}

/// Path and value of every leaf; the counters of a heartbeat are one.
fn leaves(value: &Value, path: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(all) if !path.ends_with("values") => {
            for (key, value) in all {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, out);
            }
        }
        Value::Array(all) if all.iter().any(Value::is_object) => {
            all.iter().for_each(|value| leaves(value, path, out));
        }
        value => out.push((path.to_owned(), value.clone())),
    }
}

/// The fields of one message, whatever its format; all values are texts in CEF and LEEF.
fn fields(format: &Format, text: &str) -> Vec<(String, Value)> {
    let pair = |(key, value): (String, String)| (key, Value::from(value));
    match format.name {
        "cef" => read_cef(text).1.into_iter().map(pair).collect(),
        "leef" => read_leef(text).1.into_iter().map(pair).collect(),
        _ => {
            let mut out = Vec::new();
            leaves(&serde_json::from_str(text).unwrap(), "", &mut out);
            out
        }
    }
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    for format in FORMATS {
        let documented = documented(format.name);
        let mut told = BTreeSet::new();
        for event in samples() {
            for (name, value) in fields(format, &(format.render)(&event, usize::MAX)) {
                let own = ["value_frames", "saastap_frames"].contains(&&*name);
                let name = if own { name.replace("frames", "*") } else { name };
                let Some(kind) = documented.get(&name) else {
                    panic!("{}: {name} is not documented", format.name)
                };
                assert!(fits_type(kind, &value), "{}: {name} is no {kind}: {value}", format.name);
                told.insert(name);
            }
        }
        let documented: BTreeSet<String> = documented.into_keys().collect();
        let unused: Vec<_> = documented.difference(&told).collect();
        assert!(unused.is_empty(), "{}: documented but never told: {unused:?}", format.name);
    }
}

#[test]
fn sigma_rules_name_fields_and_findings_that_are() {
    let documented = documented("json");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/siem/sigma");
    let mut rules = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let detection = text.split("\ndetection:\n").nth(1).unwrap();
        let lines = detection.lines().take_while(|line| line.starts_with(' '));
        let mut keys = 0;
        for line in lines.filter_map(|line| line.strip_prefix("        ")) {
            let (key, value) = line.split_once(": ").unwrap();
            let key = key.split('|').next().unwrap();
            assert!(documented.contains_key(key), "{}: {key}", file.display());
            if key == "finding.id" {
                assert!(FINDINGS.iter().any(|f| f.id == value), "{}: {value}", file.display());
            }
            keys += 1;
        }
        assert!(keys > 0, "{}", file.display());
        rules += 1;
    }
    assert!(rules > 3);
}

#[test]
fn the_index_template_maps_fields_that_are() {
    let template: Value =
        serde_json::from_str(include_str!("../../../config/siem/elastic/index-template.json"))
            .unwrap();
    let pipeline = include_str!("../../../config/siem/elastic/ingest-pipeline.json");
    serde_json::from_str::<Value>(pipeline).unwrap();
    let documented = documented("ecs");
    let mut open =
        vec![("saastap".to_owned(), &template["template"]["mappings"]["properties"]["saastap"])];
    let mut mapped = 0;
    while let Some((path, field)) = open.pop() {
        match field["properties"].as_object() {
            Some(below) => open.extend(below.iter().map(|(key, f)| (format!("{path}.{key}"), f))),
            None => {
                let kind = documented.get(&path).unwrap_or_else(|| panic!("{path} is no field"));
                let mapping = field["type"].as_str().unwrap();
                // What others read as text is a keyword here; a moment of a flow is a date.
                let same = mapping == kind || (mapping, &**kind) == ("keyword", "uuid");
                assert!(same, "{path}: {mapping} but {kind}");
                mapped += 1;
            }
        }
    }
    assert!(mapped > 10);
}

/// Types of JSON, and those of the Elastic schema; `[]` for lists. A text may stand for any type in CEF and LEEF, where there are
/// only texts.
fn fits_type(kind: &str, value: &Value) -> bool {
    let text = value.as_str();
    match kind.strip_suffix("[]") {
        Some(kind) => {
            value.as_array().is_some_and(|all| all.iter().all(|value| fits_type(kind, value)))
        }
        None => match kind.strip_suffix(", null").unwrap_or(kind) {
            _ if value.is_null() => kind.ends_with(", null"),
            "string" | "keyword" | "match_only_text" => text.is_some(),
            "date" => text.is_some_and(|t| t.len() == 27 && t.ends_with('Z')),
            "uuid" => text.is_some_and(|t| Id::parse(t).is_some()),
            "ip" => text.is_some_and(|t| t.parse::<std::net::IpAddr>().is_ok()),
            "long" | "number" => value.is_u64() || text.is_some_and(|t| t.parse::<u64>().is_ok()),
            "float" => value.is_f64(),
            "boolean" => value.is_boolean() || text.is_some_and(|t| t.parse::<bool>().is_ok()),
            "object" | "flattened" => value.is_object(),
            other => panic!("no such type: {other}"),
        },
    }
}

#[test]
fn every_event_fits_what_its_format_calls_the_least() {
    for (hostile, times) in
        [("x", 8_192), ("\"", 512), ("\\", 512), ("\u{1}", 512), ("=", 512), ("ä", 512)]
    {
        for mut event in samples() {
            spoil(&mut event, &hostile.repeat(times));
            for format in FORMATS {
                for max in [0, 8_192] {
                    let text = (format.render)(&event, max);
                    let bound = max.max(format.least);
                    assert!(text.len() <= bound, "{}: {} > {bound}", format.name, text.len());
                    let _ = fields(format, &text);
                }
            }
        }
    }
}

/// Writes `text` wherever somebody else chooses the words.
fn spoil(event: &mut Event, text: &str) {
    event.sensor.name = text.into();
    event.sensor.site = Some(text.into());
    match &mut event.what {
        What::Finding(report) => {
            match &mut report.about {
                About::Usage(usage) => spoil_usage(usage, text),
                About::Lasting(Lasting::Silence { vendor, .. }) => spoil_vendor(vendor, text),
                About::Lasting(Lasting::Loss { .. }) => {}
            }
            if let Some(known) = &mut report.acknowledged {
                known.owner = cut(text, 200).into();
                known.reason = cut(text, 200).into();
            }
        }
        What::Audit { audit } => audit.detail = text.into(),
        What::Heartbeat { .. } => {}
        What::Usage(summary) => {
            let Summary { vendor, client, tenant, group, rule, .. } = &mut **summary;
            for word in [group, &mut vendor.name, &mut vendor.id, &mut client.id] {
                *word = text.into();
            }
            for word in [tenant, rule, &mut vendor.category] {
                *word = Some(text.into());
            }
        }
    }
}

fn spoil_usage(usage: &mut UsageFacts, text: &str) {
    usage.group = text.into();
    for word in [&mut usage.tenant, &mut usage.rule] {
        *word = Some(text.into());
    }
    spoil_vendor(&mut usage.vendor, text);
    usage.client.id = text.into();
    usage.clients.listed = vec![text.into(); 20];
    let proof = Proof { name: cut(text, 255).into(), ..proof("10.0.0.1:1", "[::1]:2") };
    usage.flow = Some(proof.clone());
    usage.evidence = vec![proof; 5];
}

fn spoil_vendor(vendor: &mut VendorName, text: &str) {
    vendor.id = text.into();
    vendor.name = text.into();
    vendor.category = Some(text.into());
}

fn tamed(text: &str) -> String {
    text.chars().map(pairs::tame).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn every_hostile_text_is_read_back(text in hostile()) {
        for mut event in samples() {
            spoil(&mut event, &text);
            for format in FORMATS {
                let line = (format.render)(&event, usize::MAX);
                prop_assert!(!line.bytes().any(|b| b < b' '), "one line: {line:?}");
                let fields = fields(format, &line);
                let value = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str().unwrap_or_default().to_owned());
                let (name, max, plain) = match format.name {
                    "json" => ("sensor.name", usize::MAX, text.clone()),
                    "ecs" => ("observer.name", usize::MAX, text.clone()),
                    "ocsf" => ("metadata.reporter.name", usize::MAX, text.clone()),
                    "cef" => ("dvchost", 100, tamed(cut(&text, 100))),
                    _ => ("sensor", 1_024, tamed(cut(&text, 1_024))),
                };
                let expected = cut(&plain, max);
                let lost = format.name == "leef" && text.contains('^');
                if !lost {
                    prop_assert_eq!(value(name).unwrap_or_default(), expected, "{}", format.name);
                }
            }
        }
    }
}

/// Texts that are made of what formats mean something by.
fn hostile() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("\n".to_owned()),
        Just("\r".into()),
        Just("|".into()),
        Just("=".into()),
        Just("\\".into()),
        Just("\"".into()),
        Just("^".into()),
        Just("]".into()),
        Just(" key=".into()),
        Just("\t".into()),
        Just("\u{0}".into()),
        Just("CEF:0|".into()),
        Just("</x>".into()),
        Just("\u{2028}x".into()),
        // Octets from the wire that are no UTF-8, as they come out of a sniffer.
        prop::collection::vec(any::<u8>(), 1..8)
            .prop_map(|b| String::from_utf8_lossy(&b).into_owned()),
        any::<String>(),
    ];
    let repeated = (word, 1_usize..64).prop_map(|(word, n)| word.repeat(n));
    prop::collection::vec(repeated, 1..6).prop_map(|words| cut(&words.concat(), 8_192).to_owned())
}

#[test]
fn a_delimiter_that_a_value_holds_is_not_taken() {
    let mut event = samples().remove(1);
    event.sensor.name = "a^b~c=d".into();
    let text = (Format::by_name("leef").unwrap().render)(&event, usize::MAX);
    let (header, fields) = read_leef(&text);
    assert_eq!(header[5], "`");
    assert_eq!(fields["sensor"], "a^b~c=d");
}

/// A reader after the description of CEF: seven fields of a header, then keys and values.
fn read_cef(text: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let mut header = vec![String::new()];
    let mut rest = text.chars();
    while header.len() < 8 {
        match rest.next().unwrap() {
            '\\' => header.last_mut().unwrap().push(rest.next().unwrap()),
            '|' => header.push(String::new()),
            c => header.last_mut().unwrap().push(c),
        }
    }
    let mut values: Vec<String> = vec![String::new()];
    while let Some(c) = rest.next() {
        let last = values.last_mut().unwrap();
        match c {
            '\\' => match rest.next().unwrap() {
                'n' => last.push('\n'),
                'r' => last.push('\r'),
                // Shielded from the search for the key of the next pair.
                c => last.extend(['\u{e000}', c]),
            },
            '=' => values.push(String::new()),
            c => last.push(c),
        }
    }
    let plain = |text: &str| text.replace('\u{e000}', "");
    let mut pairs = BTreeMap::new();
    let mut key = plain(&values[0]);
    for (i, value) in values.iter().enumerate().skip(1) {
        let (value, next) = match value.rsplit_once(' ') {
            Some(both) if i + 1 < values.len() => both,
            _ => (&**value, ""),
        };
        pairs.insert(key, plain(value));
        key = next.to_owned();
    }
    assert_eq!(header[0], "CEF:0");
    (header, pairs)
}

/// A reader after the description of LEEF 2.0, which knows the escapes that `FIELDS.md` tells.
fn read_leef(text: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let parts: Vec<&str> = text.splitn(7, '|').collect();
    assert_eq!(parts[0], "LEEF:2.0");
    let pairs = parts[6].split(parts[5]).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap();
        let mut out = String::new();
        let mut rest = value.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => out.push(match rest.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    c => c,
                }),
                c => out.push(c),
            }
        }
        (key.to_owned(), out)
    });
    (parts.iter().map(|p| (*p).to_owned()).collect(), pairs.collect())
}
