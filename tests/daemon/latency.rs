//! How long it takes from a packet on the wire to a metric, and to a message at a syslog receiver, at natural speed.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::faulty::Faulty;
use super::sensor::{Office, POLICY};
use super::wire::Wire;

#[test]
#[ignore = "takes a minute; `make test-long` runs it"]
fn from_a_packet_to_a_metric_and_to_a_receiver() {
    let Some(wire) = Wire::new() else { return };
    let (office, siem) = (Office::new(""), Faulty::syslog(1));
    siem.recover();
    office.configure(&format!(
        "{POLICY}\n[[sink]]\nname = 'siem'\nkind = 'syslog'\naddress = '127.0.0.1:{}'\n",
        siem.port
    ));
    let sensor = office.run(&wire.near);
    let mut sender = wire.sender();
    let (start, mut sent, mut shown) = (Instant::now(), Vec::new(), Vec::new());
    while start.elapsed() < SCENE {
        let client = [198, 18, 0, 10 + (sent.len() % 200) as u8];
        let began = Instant::now();
        // The server's answer completes the finding: the name imitates, and somebody was there.
        sender.request(client, [198, 18, 1, 5], &format!("zendesk-login{}.com", sent.len()));
        sent.push(Instant::now());
        let flows = Some(sent.len() as f64);
        sensor.until("its flow is counted", |s| s.metric("saastap_flows_started_total") >= flows);
        shown.push(began.elapsed());
        thread::sleep(Duration::from_millis(200));
    }
    sensor.until("all are told", |_| siem.taken().len() == sent.len());
    sensor.stop();
    let told = siem.came().into_iter().zip(&sent).map(|(came, sent)| came - *sent).collect();
    let (shown, told) = (Latency::of(shown), Latency::of(told));
    println!(
        "{} findings; first packet to metric: {shown}; last packet to receiver: {told}",
        sent.len()
    );
    assert!(shown.p99 < Duration::from_secs(2) && told.p99 < Duration::from_secs(3));
}

const SCENE: Duration = Duration::from_secs(60);

struct Latency {
    median: Duration,
    p99: Duration,
    most: Duration,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p99, most } = self;
        write!(f, "median {median:.0?}, p99 {p99:.0?}, most {most:.0?}")
    }
}

impl Latency {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |share: usize| all[(all.len() - 1) * share / 100];
        Self { median: at(50), p99: at(99), most: at(100) }
    }
}
