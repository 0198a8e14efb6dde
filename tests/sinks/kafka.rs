//! Kafka: a broker of the test's own, which speaks as much of the protocol as a producer needs.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::sensing::Sensing;

#[test]
fn records_are_keyed_acknowledged_by_all_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // The first produce is lost with its connection, and the group 3 has a message that is too large.
    let broker = Broker::start();
    let text = format!(
        "[[sink]]\nname='bus'\nkind='kafka'\nbrokers=['127.0.0.1:{}']\ntopic='saastap'\nheartbeat=false\n",
        broker.port
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let mut sent: Vec<String> = (0..10).map(|n| sensor.raise(n)).collect();
    let stats = sensor.wait("all are taken but one", |s| s[0].delivered == 9);
    assert_eq!(stats[0].refused, 1);
    let refused = sent.remove(3);

    let produced = broker.produced();
    assert!(produced.iter().all(|p| p.acks == -1 && p.topic == "saastap"));
    let mut got: Vec<String> = Vec::new();
    let mut partitions = std::collections::BTreeSet::new();
    for record in produced.iter().filter(|p| p.taken).flat_map(|p| &p.records) {
        let event: Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(record.headers["content-type"], b"application/json");
        assert_eq!(record.headers["event-id"], event["event_id"].as_str().unwrap().as_bytes());
        assert_eq!(record.key, event["client"]["id"].as_str().unwrap().as_bytes());
        partitions.insert(record.partition);
        let id = event["event_id"].as_str().unwrap().to_owned();
        // Known ids may come again, after an answer that was lost.
        if !got.contains(&id) {
            got.push(id);
        }
    }
    assert_eq!(got, sent, "in order");
    assert_eq!(partitions.len(), 1, "one client, one partition");
    assert!(!got.contains(&refused));
}

/// One request to produce.
#[derive(Clone)]
struct Produced {
    topic: String,
    acks: i16,
    taken: bool,
    records: Vec<Kept>,
}

#[derive(Clone)]
struct Kept {
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: BTreeMap<String, Vec<u8>>,
}

struct Broker {
    port: u16,
    produced: Arc<Mutex<Vec<Produced>>>,
}

impl Broker {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let produced = Arc::new(Mutex::new(Vec::new()));
        let noted = produced.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = noted.clone();
                thread::spawn(move || serve(stream.unwrap(), port, &noted));
            }
        });
        Self { port, produced }
    }

    fn produced(&self) -> Vec<Produced> {
        self.produced.lock().unwrap().clone()
    }
}

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const MESSAGE_TOO_LARGE: i16 = 10;
const PARTITIONS: i32 = 3;

/// Answers the requests of one connection until it is closed.
fn serve(mut stream: TcpStream, port: u16, noted: &Mutex<Vec<Produced>>) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        let mut request = Octets(&request);
        let (api, version, correlation) = (request.i16(), request.i16(), request.i32());
        request.text();
        let mut answer = correlation.to_be_bytes().to_vec();
        match (api, version) {
            (API_VERSIONS, 3) => {
                answer.extend([0, 0, 4]);
                for (api, version) in [(PRODUCE, 3_i16), (METADATA, 1), (API_VERSIONS, 3)] {
                    for number in [api, version, version] {
                        answer.extend(number.to_be_bytes());
                    }
                    answer.push(0);
                }
                answer.extend([0; 5]);
            }
            (METADATA, 1) => metadata(&mut answer, port),
            (PRODUCE, 3) => {
                let produced = produce(&mut request, &mut answer);
                let mut noted = noted.lock().unwrap();
                noted.push(produced);
                if noted.len() == 1 {
                    return;
                }
            }
            other => panic!("this broker does not know {other:?}"),
        }
        let length = u32::try_from(answer.len()).unwrap();
        stream.write_all(&length.to_be_bytes()).unwrap();
        stream.write_all(&answer).unwrap();
    }
}

/// One broker, which leads all partitions of one topic.
fn metadata(answer: &mut Vec<u8>, port: u16) {
    let int = |answer: &mut Vec<u8>, value: i32| answer.extend(value.to_be_bytes());
    let text = |answer: &mut Vec<u8>, value: &str| {
        answer.extend(i16::try_from(value.len()).unwrap().to_be_bytes());
        answer.extend(value.as_bytes());
    };
    int(answer, 1);
    int(answer, 7);
    text(answer, "127.0.0.1");
    int(answer, i32::from(port));
    answer.extend((-1_i16).to_be_bytes());
    int(answer, 7);
    int(answer, 1);
    answer.extend([0, 0]);
    text(answer, "saastap");
    answer.push(0);
    int(answer, PARTITIONS);
    for partition in 0..PARTITIONS {
        answer.extend([0, 0]);
        for value in [partition, 7, 1, 7, 1, 7] {
            int(answer, value);
        }
    }
}

fn produce(request: &mut Octets<'_>, answer: &mut Vec<u8>) -> Produced {
    request.text();
    let acks = request.i16();
    request.i32();
    assert_eq!(request.i32(), 1, "one topic");
    let topic = request.text().unwrap();
    assert_eq!(request.i32(), 1, "one partition");
    let partition = request.i32();
    let length = usize::try_from(request.i32()).unwrap();
    let records = batch(&mut Octets(request.take(length)), partition);
    let large = records.iter().any(|r| String::from_utf8_lossy(&r.value).contains("\"group-3\""));
    answer.extend(1_i32.to_be_bytes());
    answer.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
    answer.extend(topic.as_bytes());
    answer.extend(1_i32.to_be_bytes());
    answer.extend(partition.to_be_bytes());
    answer.extend(if large { MESSAGE_TOO_LARGE } else { 0 }.to_be_bytes());
    answer.extend([0; 8 + 8 + 4]);
    Produced { topic, acks, taken: !large, records }
}

/// A batch of version 2: 57 octets before the number of records, of which the 17th is the version.
fn batch(octets: &mut Octets<'_>, partition: i32) -> Vec<Kept> {
    let head = octets.take(57);
    assert_eq!(head[16], 2);
    let count = octets.i32();
    let record = |octets: &mut Octets<'_>| {
        octets.varint();
        octets.take(1);
        octets.varint();
        octets.varint();
        let (key, value) = (octets.counted(), octets.counted());
        let headers = (0..octets.varint())
            .map(|_| (String::from_utf8(octets.counted()).unwrap(), octets.counted()))
            .collect();
        Kept { partition, key, value, headers }
    };
    (0..count).map(|_| record(octets)).collect()
}

struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()).ok()?;
        Some(String::from_utf8(self.take(length).to_vec()).unwrap())
    }

    /// Zigzag, seven bits an octet, the lowest first.
    fn varint(&mut self) -> i64 {
        let mut value = 0_u64;
        for shift in (0..).step_by(7) {
            let octet = self.take(1)[0];
            value |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                break;
            }
        }
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    fn counted(&mut self) -> Vec<u8> {
        let length = usize::try_from(self.varint()).unwrap();
        self.take(length).to_vec()
    }
}
