//! Cases, store and outbox as the collector connects them, and findings to send through them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use saastap::alert::event::{ClientName, VendorName};
use saastap::alert::sink::{Configured, Table};
use saastap::alert::summary::Sums;
use saastap::alert::{
    Cases, FlowFacts, Lasting, Options, Outbox, Raised, Sensor, Sighting, SinkStats, Summary, Veil,
};
use saastap::count::Cells;
use saastap::identity::ClientKind;
use saastap::policy::{Decision, Relation, State};
use saastap::signature::{Deployment, Role, TenantVisibility, Vendor};
use saastap::store::{Batch, Store};
use saastap::time::Time;
use saastap::usage::{Engagement, Key, Standing};
use tokio::runtime::Runtime;

/// Cases, store and outbox as the collector connects them.
pub struct Sensing {
    pub cases: Cases,
    pub outbox: Outbox,
    _runtime: Runtime,
}

impl Sensing {
    pub fn new(path: &Path, text: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct File {
            sink: Vec<Table>,
        }
        let file: File = toml::from_str(text).unwrap();
        let sinks = Configured::read(&file.sink, "saastap.toml", text).unwrap();
        let (store, damaged) = Store::open(path).unwrap();
        assert_eq!(damaged, None);
        let sensor = Sensor {
            name: "test-sensor".into(),
            site: Some("north".into()),
            version: "0.1.0".into(),
            catalog: "342-c1caaf142f80".into(),
            policy: "58fe3faa".into(),
        };
        let mut cases = Cases::new(Options::default(), sensor, Cells::new());
        assert!(cases.restore(&store.windows().unwrap()).is_empty());
        let (writer, answers) = store.start(256, Cells::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let outbox = Outbox::start(sinks, writer, answers, runtime.handle());
        Self { cases, outbox, _runtime: runtime }
    }

    /// A case of group `n` opens; the id of its event.
    pub fn raise(&mut self, n: u32) -> String {
        let mut raised: Vec<Raised> = Vec::new();
        see(&mut self.cases, n, &mut raised);
        assert_eq!(raised.len(), 1);
        assert!(self.outbox.submit(&raised[0], Vec::new()));
        self.outbox.poll(&mut self.cases);
        raised[0].event.id.to_string()
    }

    /// A case of what no contact shows opens; the id of its event.
    pub fn hold(&mut self, lasting: &Lasting) -> String {
        let mut raised: Vec<Raised> = Vec::new();
        self.cases.hold(lasting, Time::from_secs(1_795_000_000), &mut raised);
        assert_eq!(raised.len(), 1);
        assert!(self.outbox.submit(&raised[0], Vec::new()));
        self.outbox.poll(&mut self.cases);
        raised[0].event.id.to_string()
    }

    /// All cases close, as nothing was seen of them for two days; the ids of the events.
    pub fn close_cases(&mut self) -> Vec<String> {
        let mut raised: Vec<Raised> = Vec::new();
        self.cases.tick(Time::from_secs(1_795_000_000 + 2 * 86_400), &mut raised);
        for raised in &raised {
            assert!(self.outbox.submit(raised, Vec::new()));
        }
        self.outbox.poll(&mut self.cases);
        raised.iter().map(|raised| raised.event.id.to_string()).collect()
    }

    /// An hour of this client is over; the id of its summary.
    pub fn tell(&mut self, client: &str) -> String {
        let sensor = self.cases.sensor().clone();
        let (key, summary) = hour_of(client);
        let event = summary.event(&sensor, 498_611, &key);
        self.outbox.keep_with(Batch::default(), std::slice::from_ref(&event));
        event.id.to_string()
    }

    /// Does `step` until it says that it is done.
    pub fn wait_for(&mut self, what: &str, mut step: impl FnMut(&mut Self) -> bool) {
        for _ in 0..600 {
            if step(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("waited 30 s until {what}: {:?}", self.outbox.stats());
    }

    pub fn wait(&mut self, what: &str, done: impl Fn(&[SinkStats]) -> bool) -> Vec<SinkStats> {
        for _ in 0..600 {
            self.outbox.poll(&mut self.cases);
            let stats = self.outbox.stats();
            if done(&stats) {
                return stats;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("waited 30 s until {what}: {:?}", self.outbox.stats());
    }

    pub fn close(mut self) {
        self.outbox.close(&mut self.cases);
    }
}

/// What a client did with one vendor.
fn hour_of(client: &str) -> (Key, Summary) {
    let key = Key {
        group: "support".into(),
        client: client.into(),
        vendor: "zendesk".into(),
        tenant: Some("acme".into()),
        role: Role::Console,
    };
    let hour = Time::from_secs(498_611 * 3_600);
    let summary = Summary {
        vendor: VendorName {
            id: "zendesk".into(),
            name: "Zendesk".into(),
            category: Some("helpdesk".into()),
        },
        tenant: key.tenant.clone(),
        role: key.role,
        relation: Relation::Own,
        group: key.group.clone(),
        state: State::Sanctioned,
        rule: Some("policy[0] (saastap.toml:9)".into()),
        client: ClientName { id: client.into(), kind: ClientKind::Host },
        usage: Sums {
            hour,
            flows: 3,
            sessions: 0,
            sent_bytes: 4_096,
            received_bytes: 65_536,
            active_minutes: 12,
            engagement: Engagement::Use,
            deployment: Deployment::Cloud,
            first_seen: hour.plus(Duration::from_secs(5)),
            last_seen: hour.plus(Duration::from_secs(3_000)),
        },
    };
    (key, summary)
}

/// The first relay contact of a client of group `n` with a remote-assistance vendor.
fn see(cases: &mut Cases, n: u32, raised: &mut Vec<Raised>) {
    let at = Time::from_secs(1_795_000_000 + u64::from(n));
    let vendor = Vendor {
        id: "anydesk".into(),
        name: "AnyDesk".into(),
        categories: vec![Arc::from(Vendor::REMOTE_ASSISTANCE)],
        deployment: Deployment::Cloud,
        homepage: String::new(),
        tenant_visibility: TenantVisibility::None,
        ordinary_inside: false,
        file: "".into(),
    };
    let key = Key {
        group: format!("group-{n}").into(),
        client: "c-1".into(),
        vendor: "anydesk".into(),
        tenant: None,
        role: Role::Relay,
    };
    let decision = Decision::default();
    let standing = Standing {
        engagement: Engagement::Glance,
        before: None,
        active_minutes_today: 0,
        sent_today: 100,
        threshold: None,
        first_flow: true,
        worked: false,
    };
    let flow = FlowFacts {
        start: at,
        name: "relay-1.net.anydesk.test",
        via: "sni",
        transport: "tcp",
        client: Some("10.20.0.7:50123".parse().unwrap()),
        server: Some("192.0.2.80:443".parse().unwrap()),
        community_id: Some("1:3b04DeQ0E2U5k9jLZoqT3AO9K5U="),
    };
    let sighting = Sighting {
        at,
        key: &key,
        veil: Veil { small: false, mark: "" },
        client_kind: ClientKind::Host,
        vendor: &vendor,
        relation: Relation::Unknown,
        decision: &decision,
        vendor_has_own: false,
        standing: &standing,
        ambiguous: false,
        agent: false,
        reached: None,
        inside: false,
        activity: None,
        session: None,
        added: (0, 0),
        upload: None,
        imitation: None,
        flow,
    };
    cases.see(&sighting, raised);
}
