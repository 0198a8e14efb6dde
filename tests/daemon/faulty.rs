//! Receivers that die, hang, refuse, answer slowly or half, as chance will have it, until they are told to be well.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::chance::Random;
use super::sensor::PATIENCE;

/// A receiver on a port of its own; what it took is known by the ids of the findings, in the order in which they came.
pub struct Faulty {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    well: AtomicBool,
    chance: Mutex<Random>,
    taken: Mutex<Vec<(String, Instant)>>,
}

impl Faulty {
    /// Syslog over TCP, framed by octet counting (RFC 6587 section 3.4.1).
    pub fn syslog(seed: u64) -> Self {
        Self::start(seed, take_frames)
    }

    /// A webhook.
    pub fn webhook(seed: u64) -> Self {
        Self::start(seed, take_requests)
    }

    /// From now on it takes all that comes.
    pub fn recover(&self) {
        self.shared.well.store(true, Ordering::Relaxed);
    }

    pub fn taken(&self) -> Vec<String> {
        self.shared.taken.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    /// When each came.
    pub fn came(&self) -> Vec<Instant> {
        self.shared.taken.lock().unwrap().iter().map(|(_, at)| *at).collect()
    }

    fn start(seed: u64, take: fn(TcpStream, &Shared) -> Option<()>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            well: AtomicBool::new(false),
            chance: Mutex::new(Random(seed)),
            taken: Mutex::default(),
        });
        let inside = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let inside = inside.clone();
                thread::spawn(move || take(stream.unwrap(), &inside));
            }
        });
        Self { port, shared }
    }
}

impl Shared {
    /// One of `count` faults by chance; none where the receiver is well.
    fn fault(&self, count: u32) -> Option<u32> {
        let fault = self.chance.lock().unwrap().below(count);
        (!self.well.load(Ordering::Relaxed)).then_some(fault)
    }

    fn take(&self, message: &str) {
        let event: Value = serde_json::from_str(message).unwrap();
        if event["event_kind"] == "finding" {
            let id = event["event_id"].as_str().unwrap().to_owned();
            self.taken.lock().unwrap().push((id, Instant::now()));
        }
    }
}

/// Reads messages until the connection ends or a fault ends it. What was not read whole was not taken.
fn take_frames(stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        match shared.fault(8) {
            Some(0) => return None,
            Some(1) => thread::sleep(HANG),
            // Dies within a message.
            Some(2) => return stream.read_exact(&mut [0; 40]).ok(),
            _ => {}
        }
        let mut count = Vec::new();
        stream.read_until(b' ', &mut count).ok()?;
        let count: usize = std::str::from_utf8(count.strip_suffix(b" ")?).ok()?.parse().unwrap();
        let mut message = vec![0; count];
        stream.read_exact(&mut message).ok()?;
        let message = String::from_utf8(message).unwrap();
        shared.take(message.split_once(" - {").map(|(_, json)| format!("{{{json}")).as_deref()?);
    }
}

fn take_requests(stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).ok()? > 0 && line != "\r\n" {
            let name = line.to_ascii_lowercase();
            length =
                name.strip_prefix("content-length:").map_or(length, |l| l.trim().parse().unwrap());
            line.clear();
        }
        if line.is_empty() {
            return None;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let fault = shared.fault(10);
        let answer = match fault {
            Some(0) => return None,
            Some(1) => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            Some(2) => {
                "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
            }
            // Takes it, and says so by half.
            Some(3) => "HTTP/1.1 20",
            Some(4) => {
                thread::sleep(HANG);
                "HTTP/1.1 204 No Content\r\n\r\n"
            }
            _ => "HTTP/1.1 204 No Content\r\n\r\n",
        };
        if !answer.contains(" 503 ") && !answer.contains(" 429 ") {
            shared.take(std::str::from_utf8(&body).unwrap());
        }
        stream.write_all(answer.as_bytes()).ok()?;
        if fault == Some(3) {
            return None;
        }
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

/// Long beside a write, short beside the test.
const HANG: Duration = Duration::from_millis(400);
