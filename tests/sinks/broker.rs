//! Kafka: a real broker, built by `make test-long`, as it takes longer than all other tests.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rskafka::client::partition::{OffsetAt, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::authority::Authority;
use crate::free_port;
use crate::receiver::acceptor;
use crate::sensing::Sensing;

#[test]
#[ignore = "needs the broker that `make test-long` builds"]
fn has_every_event_over_its_absence_and_a_hang() {
    every_event(None);
}

#[test]
#[ignore = "needs the broker that `make test-long` builds"]
fn has_every_event_by_tls() {
    let folder = tempfile::tempdir().unwrap();
    every_event(Some(&Authority::make(folder.path())));
}

fn every_event(tls: Option<&Authority>) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let keys = tls.map_or_else(String::new, |authority| {
        format!("tls=true\nca_file='{}'\n", authority.ca.display())
    });
    let text = format!(
        "[[sink]]\nname='bus'\nkind='kafka'\nbrokers=['127.0.0.1:{port}']\ntopic='saastap'\n\
         heartbeat=false\n{keys}"
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let mut sent: Vec<String> = (0..20).map(|n| sensor.raise(n)).collect();
    sensor.wait("nobody is there", |s| s[0].failures > 0);

    let runtime = Runtime::new().unwrap();
    let broker = Broker::start(port, tls);
    let client = runtime.block_on(broker.client(tls));
    let topics = client.controller_client().unwrap();
    runtime.block_on(topics.create_topic("saastap", PARTITIONS, 1, 5_000)).unwrap();
    sensor.wait("it has those of before", |s| s[0].delivered == 20);
    // It hangs while more comes.
    broker.signal(Signal::STOP);
    sent.extend((20..60).map(|n| sensor.raise(n)));
    std::thread::sleep(Duration::from_secs(1));
    broker.signal(Signal::CONT);
    sensor.wait("it has them all", |s| s[0].delivered == 60);

    // All are of one client, and so in one partition and one order; what was sent again comes twice.
    let partitions = (0..PARTITIONS).map(|number| runtime.block_on(records(&client, number)));
    let mut filled: Vec<Vec<String>> = partitions.filter(|events| !events.is_empty()).collect();
    assert_eq!(filled.len(), 1);
    let mut known = std::collections::BTreeSet::new();
    let mut got = filled.remove(0);
    got.retain(|id| known.insert(id.clone()));
    assert_eq!(got, sent);
}

/// The events of a partition, each of which is what its key and headers say.
async fn records(client: &Client, partition: i32) -> Vec<String> {
    let unknown = UnknownTopicHandling::Retry;
    let partition = client.partition_client("saastap", partition, unknown).await.unwrap();
    let end = partition.get_offset(OffsetAt::Latest).await.unwrap();
    let (mut events, mut offset) = (Vec::new(), 0);
    while offset < end {
        let (records, _) = partition.fetch_records(offset, 1..1 << 20, 1_000).await.unwrap();
        for taken in records {
            offset = taken.offset + 1;
            let event: Value = serde_json::from_slice(&taken.record.value.unwrap()).unwrap();
            let id = event["event_id"].as_str().unwrap();
            assert_eq!(
                taken.record.key.unwrap(),
                event["client"]["id"].as_str().unwrap().as_bytes()
            );
            assert_eq!(taken.record.headers["event-id"], id.as_bytes());
            events.push(id.to_owned());
        }
    }
    events
}

const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker that keeps its records in memory.
struct Broker {
    child: Child,
    port: u16,
}

impl Broker {
    fn start(port: u16, tls: Option<&Authority>) -> Self {
        let program = std::env::var_os("SAASTAP_TEST_BROKER").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-broker/bin/tansu"),
            PathBuf::from,
        );
        // Its program refuses `--cert` and `--key` together: somebody else ends TLS in front of it.
        let inner = tls.map_or(port, |authority| relay(port, acceptor(&authority.local)));
        let url = |port| format!("tcp://127.0.0.1:{port}");
        let mut command = Command::new(&program);
        command.args(["broker", "--storage-engine", "memory://tansu/"]);
        command.args(["--listener-url", &url(inner), "--advertised-listener-url", &url(port)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        Self { child, port }
    }

    /// A client that has reached it.
    async fn client(&self, tls: Option<&Authority>) -> Client {
        let mut builder = ClientBuilder::new(vec![format!("127.0.0.1:{}", self.port)]);
        if let Some(authority) = tls {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(&authority.ca).unwrap()).unwrap();
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder = builder.tls_config(Arc::new(config));
        }
        tokio::time::timeout(PATIENCE, builder.build()).await.expect("it answers").unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends TLS at `port` and passes all on in clear; to which port.
fn relay(port: u16, acceptor: TlsAcceptor) -> u16 {
    let inner = free_port();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outer = acceptor.accept(stream).await.ok()?;
                    let mut clear = TcpStream::connect(("127.0.0.1", inner)).await.ok()?;
                    tokio::io::copy_bidirectional(&mut outer, &mut clear).await.ok()
                });
            }
        });
    });
    inner
}
