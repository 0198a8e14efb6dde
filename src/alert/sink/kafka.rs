//! Kafka: events as records of one topic, acknowledged by all replicas in sync (`acks=all`).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rskafka::BackoffConfig;
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use tokio_rustls::rustls::ClientConfig;

use super::batch::Batch;
use super::connection::tls_config;
use super::{Built, Envelope, Fields, Kind, Sink, Soon, Written};
use crate::alert::event::{Event, Report, What};
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind::new("kafka", build);

/// How long one question to the cluster may take, with all that its client tries again by itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// Octets of one record, below the megabyte that brokers take in their defaults.
const MAX_VALUE: usize = 512 << 10;

/// Keys: `brokers` (a list of "host:port"), `topic`, `key` (client), `tls` (false) and then those of [`tls_config`].
fn build(fields: &mut Fields<'_>, format: &'static Format) -> Result<Built, Fault> {
    let brokers = fields.list("brokers")?;
    let topic = fields.text("topic")?;
    let key = fields.text_of("key", KEYS.into_iter())?;
    let by_flow = key.as_deref() == Some(KEYS[1]);
    let tls = if fields.flag_or("tls", false)? {
        // The name that is checked is that under which the cluster tells of each broker.
        Some(tls_config(fields)?)
    } else {
        None
    };
    let sink = Cluster {
        brokers,
        topic,
        tls,
        media: format.media,
        partitions: None,
        batch: Batch::default(),
    };
    Ok(Built::new(Box::new(Keyed { by_flow }), Box::new(sink)))
}

/// What decides the partition, and with it what keeps its order.
const KEYS: [&str; 2] = ["client", "community_id"];

struct Keyed {
    by_flow: bool,
}

impl Keyed {
    /// Of what has no client: the vendor, and of what is about the sensor its name.
    fn key(&self, event: &Event, report: &Report) -> String {
        let Some(usage) = report.usage() else {
            return report.vendor().map_or(&event.sensor.name, |vendor| &vendor.id).to_string();
        };
        let flow = usage.flow.as_ref().and_then(|f| f.community_id.as_deref());
        flow.filter(|_| self.by_flow).unwrap_or(&usage.client.id).to_owned()
    }
}

/// ```text
/// length of the key, 4 octets | key | value
/// ```
impl Envelope for Keyed {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8> {
        let key = match &event.what {
            What::Finding(report) => self.key(event, report),
            What::Usage(summary) => summary.client.id.to_string(),
            What::Heartbeat { .. } | What::Audit { .. } => event.sensor.name.to_string(),
        };
        let length = u32::try_from(key.len()).unwrap_or(0);
        let value = (format.render)(event, MAX_VALUE);
        [&length.to_be_bytes()[..], key.as_bytes(), value.as_bytes()].concat()
    }
}

/// Key and value of a message.
fn parts(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

struct Cluster {
    brokers: Vec<String>,
    topic: String,
    tls: Option<Arc<ClientConfig>>,
    media: &'static str,
    /// In the order of their numbers; `None` before the cluster was asked, and after it failed.
    partitions: Option<(Client, Vec<Arc<PartitionClient>>)>,
    batch: Batch,
}

impl Sink for Cluster {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let (client, partitions) = match self.partitions.take() {
                Some(known) => known,
                None => in_time(self.open()).await?,
            };
            let count = self.batch.most(letters.len());
            let mut batches: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
            for letter in letters.iter().take(count) {
                let (key, value) = parts(&letter.payload).unwrap_or((&[], &letter.payload));
                let partition = partition(key, partitions.len());
                batches.entry(partition).or_default().push(self.record(letter, key, value));
            }
            for (partition, records) in batches {
                let Some(partition) = partitions.get(partition) else { continue };
                let produced = in_time(async {
                    Ok(partition.produce(records, Compression::NoCompression).await)
                });
                match produced.await? {
                    Ok(_) => {}
                    Err(error) if is_refusal(&error) => {
                        self.partitions = Some((client, partitions));
                        return Ok(self.batch.refused(count, error.to_string()));
                    }
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
            self.partitions = Some((client, partitions));
            Ok(self.batch.taken(count))
        })
    }
}

impl Cluster {
    async fn open(&self) -> io::Result<(Client, Vec<Arc<PartitionClient>>)> {
        let mut builder = ClientBuilder::new(self.brokers.clone())
            .client_id("saastap")
            .backoff_config(BackoffConfig { deadline: Some(PATIENCE), ..BackoffConfig::default() });
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(tls.clone());
        }
        let client = builder.build().await.map_err(io::Error::other)?;
        let topics = client.list_topics().await.map_err(io::Error::other)?;
        let Some(topic) = topics.into_iter().find(|topic| topic.name == self.topic) else {
            return Err(io::Error::other(format!("the cluster has no topic `{}`", self.topic)));
        };
        let mut partitions = Vec::new();
        for number in topic.partitions {
            let unknown = UnknownTopicHandling::Error;
            let partition = client.partition_client(&self.topic, number, unknown).await;
            partitions.push(Arc::new(partition.map_err(io::Error::other)?));
        }
        Ok((client, partitions))
    }

    fn record(&self, letter: &Stored, key: &[u8], value: &[u8]) -> Record {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Record {
            key: Some(key.to_vec()),
            value: Some(value.to_vec()),
            headers: BTreeMap::from([
                header("content-type", self.media),
                header("event-id", &letter.event),
            ]),
            timestamp: DateTime::from_timestamp_millis(letter.created).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// The same key goes to the same partition as long as the topic has as many. FNV-1a of 64 bits.
fn partition(key: &[u8], count: usize) -> usize {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    usize::try_from(hash % (count.max(1) as u64)).unwrap_or(0)
}

/// What lies in the message: everything else is mended by whoever runs the cluster.
fn is_refusal(error: &Error) -> bool {
    let Error::ServerError { protocol_error, .. } = error else { return false };
    matches!(
        protocol_error,
        ProtocolError::MessageTooLarge
            | ProtocolError::RecordListTooLarge
            | ProtocolError::InvalidRecord
            | ProtocolError::CorruptMessage
    )
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::case::tests::{lasting, raised};
    use crate::alert::lasting::tests::{loss, silence};

    #[test]
    fn what_has_no_client_is_ordered_by_its_vendor_or_the_sensor() {
        let json = Format::by_name("json").unwrap();
        let key = |mut event: Event, by_flow| {
            event.sensor.name = "sensor-1".into();
            let message = Keyed { by_flow }.wrap(&event, json);
            String::from_utf8(parts(&message).unwrap().0.to_owned()).unwrap()
        };
        for by_flow in [false, true] {
            assert_eq!(key(lasting(silence()).event, by_flow), "zendesk");
            assert_eq!(key(lasting(loss()).event, by_flow), "sensor-1");
            assert_eq!(key(raised(1, 1).event, by_flow), "c-0");
        }
    }
}
