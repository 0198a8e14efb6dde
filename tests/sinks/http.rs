//! Sinks over HTTP: a signed webhook over TLS, and Splunk's collector as its documentation describes it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ring::hmac;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::receiver::Receiver;
use crate::sensing::Sensing;

#[test]
fn a_webhook_is_signed_tried_again_and_believes_only_its_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::make(folder.path());
    let tries = AtomicU32::new(0);
    // Busy twice, then it takes all but the event of one group.
    let receiver = Receiver::start(Some(&authority.server), move |asked| {
        let body = String::from_utf8_lossy(&asked.body);
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 => (503, "busy".into()),
            1 => (401, "no such token yet".into()),
            _ if body.contains("\"group-2\"") => (422, "cannot be processed".into()),
            _ => (204, String::new()),
        }
    });
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let sink = |name: &str, server: &str| {
        format!(
            "[[sink]]\nname='{name}'\nkind='webhook'\nurl='https://127.0.0.1:{}/in?x=1'\n\
             server_name='{server}'\nca_file='{}'\nsecret_file='{}'\n",
            receiver.port,
            authority.ca.display(),
            secret.display()
        )
    };
    let text = sink("good", "siem.test") + &sink("other", "other.test");
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let mut sent: Vec<String> = (0..5).map(|n| sensor.raise(n)).collect();
    let stats = sensor.wait("four are taken and one refused", |s| {
        s[0].delivered == 4 && s[0].refused == 1 && s[1].failures > 0
    });
    assert!(stats[0].failures >= 2, "{stats:?}");
    assert_eq!(stats[1].delivered, 0, "the certificate is of another name");
    sensor.wait("the refused one waits no longer", |s| s[0].waiting == 0);

    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    let mut got = Vec::new();
    for asked in receiver.asked() {
        assert_eq!(asked.path, "/in?x=1");
        assert_eq!(asked.header("content-type"), "application/json");
        let signed = [asked.header("x-saastap-timestamp").as_bytes(), b".", &asked.body].concat();
        let signature = asked.header("x-saastap-signature").strip_prefix("v1=").unwrap();
        let signature = data_encoding::HEXLOWER.decode(signature.as_bytes()).unwrap();
        hmac::verify(&key, &signed, &signature).unwrap();
        let event: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(event["event_id"], asked.header("x-saastap-event"));
        got.push(event["event_id"].as_str().unwrap().to_owned());
    }
    // The first was tried three times.
    let first = sent[0].clone();
    sent.splice(0..0, [first.clone(), first]);
    assert_eq!(got, sent, "in order");
}

#[test]
fn a_receiver_that_closes_after_each_answer_costs_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(None, |_| (200, "close".into()));
    let text = format!(
        "[[sink]]\nname='hook'\nkind='webhook'\nurl='http://127.0.0.1:{}'\n",
        receiver.port
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let sent: Vec<String> = (0..30).map(|n| sensor.raise(n)).collect();
    let stats = sensor.wait("all are taken", |s| s[0].delivered == 30);
    assert_eq!(stats[0].failures, 0);
    let got: Vec<String> =
        receiver.asked().iter().map(|a| a.header("x-saastap-event").to_owned()).collect();
    assert_eq!(got, sent);
}

#[test]
fn half_an_answer_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let text = format!(
        "[[sink]]\nname='hook'\nkind='webhook'\nurl='http://{}'\n",
        listener.local_addr().unwrap()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let sent = sensor.raise(1);
    let answers = [
        // Closed without a word; half a head; a body that is cut; and at last an answer.
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ];
    let mut asked = Vec::new();
    for answer in answers {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        while !request.contains(&sent) || !request.ends_with('}') {
            let mut octets = [0; 65_536];
            let count = stream.read(&mut octets).unwrap();
            assert!(count > 0, "the sink closed: {request}");
            request.push_str(&String::from_utf8_lossy(&octets[..count]));
        }
        stream.write_all(answer.as_bytes()).unwrap();
        asked.push(request);
    }
    let stats = sensor.wait("the last is believed", |s| s[0].delivered == 1);
    assert_eq!((stats[0].failures, stats[0].refused), (3, 0));
    let body = |request: &String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert!(asked.iter().all(|request| body(request) == body(&asked[0])), "the same each time");
}

#[test]
fn splunk_events_count_when_the_indexer_has_written_them() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "00000000-0000-0000-0000-000000000000").unwrap();
    let (written, taken) = (Arc::new(AtomicBool::new(false)), AtomicU32::new(0));
    let receiver = Receiver::start(None, {
        let written = written.clone();
        move |asked| {
            let refuse = |status, text: &str, code| {
                (status, json!({ "text": text, "code": code }).to_string())
            };
            if asked.header("authorization") != "Splunk 00000000-0000-0000-0000-000000000000" {
                return refuse(403, "Invalid token", 4);
            }
            let channel = asked.header("x-splunk-request-channel");
            if channel.is_empty() {
                return refuse(400, "Data channel is missing", 10);
            }
            if asked.path == format!("/services/collector/ack?channel={channel}") {
                let ids: Value = serde_json::from_slice(&asked.body).unwrap();
                let id = ids["acks"][0].as_u64().unwrap().to_string();
                let acks = json!({ "acks": { id: written.load(Ordering::Relaxed) } });
                return (200, acks.to_string());
            }
            assert_eq!(asked.path, "/services/collector/event");
            if String::from_utf8_lossy(&asked.body).contains("\"group-3\"") {
                return refuse(400, "Invalid data format", 6);
            }
            let id = taken.fetch_add(1, Ordering::Relaxed);
            (200, json!({ "text": "Success", "code": 0, "ackId": id }).to_string())
        }
    });
    let text = format!(
        "[[sink]]\nname='splunk'\nkind='splunk_hec'\nurl='http://127.0.0.1:{}'\ntoken_file='{}'\n\
         acknowledge=true\nindex='network'\n",
        receiver.port,
        token.display()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let sent: Vec<String> = (0..6).map(|n| sensor.raise(n)).collect();
    let asks =
        |receiver: &Receiver| receiver.asked().iter().filter(|a| a.path.contains("/ack")).count();
    let stats = sensor.wait("the indexer was asked twice", |_| asks(&receiver) >= 2);
    assert_eq!(stats[0].delivered, 0, "taken is not written");
    written.store(true, Ordering::Relaxed);
    let stats = sensor.wait("all are written but one", |s| s[0].delivered + s[0].refused == 6);
    assert_eq!((stats[0].delivered, stats[0].refused), (5, 1));

    let mut got = Vec::new();
    for asked in receiver.asked() {
        if asked.path.contains("/ack") || String::from_utf8_lossy(&asked.body).contains("group-3") {
            continue;
        }
        for event in serde_json::Deserializer::from_slice(&asked.body).into_iter::<Value>() {
            let event = event.unwrap();
            assert_eq!(event["sourcetype"], "saastap:json");
            assert_eq!(
                (&event["index"], &event["host"]),
                (&json!("network"), &json!("test-sensor"))
            );
            got.push(event["event"]["event_id"].as_str().unwrap().to_owned());
        }
    }
    let expected: Vec<&String> =
        sent.iter().enumerate().filter(|(n, _)| *n != 3).map(|(_, id)| id).collect();
    assert_eq!(got.iter().collect::<Vec<_>>(), expected, "each once, in order");
}
