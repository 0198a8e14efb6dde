//! What raises each finding and what must not, on a sighting that a test changes at will.

use super::*;
use crate::policy::Exception;
use crate::signature::{Deployment, TenantVisibility};

/// A sighting that its test changes at will.
#[derive(Debug)]
pub(crate) struct Sample {
    pub at: Time,
    pub key: Key,
    pub client_kind: ClientKind,
    pub vendor: Vendor,
    pub relation: Relation,
    pub decision: Decision,
    pub vendor_has_own: bool,
    pub standing: Standing,
    pub ambiguous: bool,
    pub agent: bool,
    pub inside: bool,
    pub imitation: Option<(How, bool)>,
    pub host: String,
    pub reached: Option<Arc<str>>,
    pub session: Option<Session>,
    pub added: (u64, u64),
    pub upload: Option<Upload>,
    pub small: bool,
}

impl Sample {
    /// Ten active minutes of one client in the console of a vendor without a rule.
    pub(crate) fn new(vendor: &str, category: &str) -> Self {
        Self {
            at: Time::from_secs(1_795_000_000),
            key: Key {
                group: "support".into(),
                client: "c-1".into(),
                vendor: vendor.into(),
                tenant: None,
                role: Role::Console,
            },
            client_kind: ClientKind::Host,
            vendor: vendor_of(vendor, category),
            relation: Relation::Unknown,
            decision: Decision::default(),
            vendor_has_own: false,
            standing: Standing {
                engagement: Engagement::Use,
                before: Some(Engagement::Visit),
                active_minutes_today: 10,
                sent_today: 123_456,
                threshold: Some("active_minutes"),
                first_flow: false,
                worked: true,
            },
            ambiguous: false,
            agent: false,
            inside: false,
            imitation: None,
            host: format!("app.{vendor}.test"),
            reached: None,
            session: None,
            added: (0, 0),
            upload: None,
            small: false,
        }
    }

    pub(crate) fn foreign(vendor: &str) -> Self {
        let mut sample = Self::new(vendor, "helpdesk");
        sample.key.tenant = Some("other".into());
        sample.relation = Relation::Foreign;
        sample.vendor_has_own = true;
        sample
    }

    pub(crate) fn state(mut self, state: State) -> Self {
        let rule = Some("policy[1] (saastap.toml:3)".into());
        self.decision = Decision { state, rule, ..Decision::default() };
        self
    }

    pub(crate) fn role(mut self, role: Role) -> Self {
        self.key.role = role;
        self
    }

    pub(crate) fn client(mut self, client: &str) -> Self {
        self.key.client = client.into();
        self
    }

    pub(crate) fn sighting(&self) -> Sighting<'_> {
        Sighting {
            at: self.at,
            reached: self.reached.as_ref(),
            key: &self.key,
            veil: Veil { small: self.small, mark: "marked" },
            client_kind: self.client_kind,
            vendor: &self.vendor,
            relation: self.relation,
            decision: &self.decision,
            vendor_has_own: self.vendor_has_own,
            standing: &self.standing,
            ambiguous: self.ambiguous,
            agent: self.agent,
            inside: self.inside,
            activity: self.session.map(|_| Activity::Session),
            session: self.session,
            added: self.added,
            upload: self.upload,
            imitation: self.imitation,
            flow: FlowFacts {
                start: self.at,
                name: &self.host,
                via: "sni",
                transport: "tcp",
                client: Some("10.20.0.7:50123".parse().unwrap()),
                server: None,
                community_id: None,
            },
        }
    }

    fn raises(&self) -> Vec<&'static str> {
        let seen = self.sighting();
        FINDINGS.iter().filter(|f| (f.condition)(&seen).is_some()).map(|f| f.id).collect()
    }
}

fn vendor_of(id: &str, category: &str) -> Vendor {
    Vendor {
        id: id.into(),
        name: id.to_uppercase().into(),
        categories: vec![Arc::from(category)],
        deployment: Deployment::Cloud,
        homepage: String::new(),
        tenant_visibility: TenantVisibility::Name,
        ordinary_inside: false,
        file: "".into(),
    }
}

#[test]
fn what_is_reached_from_outside_is_exposed_unless_policy_allows_it() {
    let mut sample = Sample::new("zammad", "helpdesk").role(Role::Either);
    sample.standing.engagement = Engagement::Glance;
    assert!(!sample.raises().contains(&EXPOSED_ON_PREMISE));
    sample.reached = Some("10.1.2.3".into());
    assert!(sample.raises().contains(&EXPOSED_ON_PREMISE));
    for state in [State::Sanctioned, State::Tolerated] {
        let mut sample = Sample::new("zammad", "helpdesk").state(state);
        sample.reached = Some("10.1.2.3".into());
        assert!(!sample.raises().contains(&EXPOSED_ON_PREMISE), "{state}");
    }
}

#[test]
fn unsanctioned_use_needs_the_state_and_the_use() {
    let mut sample = Sample::new("helpjuice", "knowledge-base").state(State::Unsanctioned);
    assert!(sample.raises().contains(&UNSANCTIONED_USE));
    sample.standing.engagement = Engagement::Visit;
    assert!(!sample.raises().contains(&UNSANCTIONED_USE));
    for state in [State::Sanctioned, State::Tolerated, State::Unreviewed] {
        let sample = Sample::new("helpjuice", "knowledge-base").state(state);
        assert!(!sample.raises().contains(&UNSANCTIONED_USE), "{state}");
    }
}

#[test]
fn remote_assistance_does_not_wait() {
    for (role, state, raised) in [
        (Role::Relay, State::Unreviewed, true),
        (Role::Download, State::Unreviewed, true),
        (Role::Console, State::Unsanctioned, true),
        (Role::Marketing, State::Unsanctioned, false),
        (Role::Telemetry, State::Unsanctioned, false),
        (Role::Relay, State::Sanctioned, false),
        (Role::Relay, State::Tolerated, false),
    ] {
        let mut sample = Sample::new("anydesk", "remote-assistance").role(role).state(state);
        sample.standing.engagement = Engagement::Glance;
        assert_eq!(sample.raises().contains(&UNSANCTIONED_USE), raised, "{role} {state}");
    }
    let mut other = Sample::new("talkdesk", "contact-center").role(Role::Relay);
    other.standing.engagement = Engagement::Glance;
    assert!(other.raises().is_empty());
}

#[test]
fn a_session_of_remote_assistance_is_told_beside_its_first_contact() {
    for (state, raised) in [
        (State::Unreviewed, vec![UNSANCTIONED_USE, REMOTE_SESSION]),
        (State::Unsanctioned, vec![UNSANCTIONED_USE, REMOTE_SESSION]),
        (State::Sanctioned, vec![]),
        (State::Tolerated, vec![]),
    ] {
        let relay = Sample::new("anydesk", "remote-assistance").role(Role::Relay);
        let mut sample = relay.state(state);
        sample.standing.engagement = Engagement::Glance;
        assert!(!sample.raises().contains(&REMOTE_SESSION), "presence {state}");
        sample.session = Some(Session::relayed(1, 9));
        assert_eq!(sample.raises(), raised, "{state}");
        sample.ambiguous = true;
        assert!(!sample.raises().contains(&REMOTE_SESSION), "a name shared with others");
    }
    let mut call = Sample::new("talkdesk", "contact-center").role(Role::Relay);
    call.session = Some(Session::relayed(1, 9));
    assert!(!call.raises().contains(&REMOTE_SESSION), "a call is no remote assistance");
}

#[test]
fn a_session_within_the_network_is_told_only_where_policy_forbids_it() {
    for (inside, state, raised) in [
        (true, State::Unreviewed, false),
        (true, State::Unsanctioned, true),
        (false, State::Unreviewed, true),
    ] {
        let relay = Sample::new("rdp", "remote-assistance").role(Role::Relay);
        let mut sample = relay.state(state);
        sample.vendor.ordinary_inside = true;
        sample.inside = inside;
        sample.session = Some(Session::direct(true, inside));
        assert_eq!(sample.raises().contains(&REMOTE_SESSION), raised, "{inside} {state}");
    }
    let row = Finding::by_id(REMOTE_SESSION).unwrap();
    assert_eq!(row.attack(true, true), ["T1021", "T1219.002"]);
    assert_eq!(row.attack(true, false), ["T1219.002"]);
}

#[test]
fn an_upload_is_told_whatever_policy_says_and_whatever_the_role() {
    let upload = Upload { hour_bytes: 60, threshold_bytes: 50, usual: false };
    for state in [State::Sanctioned, State::Tolerated, State::Unreviewed, State::Unsanctioned] {
        for role in [Role::Widget, Role::Console, Role::Telemetry] {
            let mut sample = Sample::new("gorgias", "helpdesk").state(state).role(role);
            assert!(!sample.raises().contains(&UPLOAD_SPIKE));
            sample.upload = Some(upload);
            assert!(sample.raises().contains(&UPLOAD_SPIKE), "{state} {role}");
        }
    }
}

#[test]
fn what_administers_every_network_is_remote_assistance_across_its_border() {
    for (ordinary_inside, inside, raised) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, true)]
    {
        let mut sample = Sample::new("rdp", "remote-assistance").role(Role::Relay);
        sample.standing.engagement = Engagement::Glance;
        sample.vendor.ordinary_inside = ordinary_inside;
        sample.inside = inside;
        assert_eq!(sample.raises().contains(&UNSANCTIONED_USE), raised, "{inside}");
        let mut sample = sample.state(State::Unsanctioned);
        sample.standing.engagement = Engagement::Use;
        assert!(sample.raises().contains(&UNSANCTIONED_USE), "what policy forbids");
    }
}

#[test]
fn a_foreign_tenant_counts_where_people_work_in_it() {
    assert!(Sample::foreign("kustomer").raises().contains(&UNSANCTIONED_TENANT));
    let mut without_own = Sample::foreign("kustomer");
    without_own.vendor_has_own = false;
    assert!(!without_own.raises().contains(&UNSANCTIONED_TENANT));
    let mut own = Sample::foreign("kustomer");
    own.relation = Relation::Own;
    assert!(!own.raises().contains(&UNSANCTIONED_TENANT));
    let mut visit = Sample::foreign("kustomer");
    visit.standing.engagement = Engagement::Visit;
    assert!(!visit.raises().contains(&UNSANCTIONED_TENANT));
    for state in [State::Sanctioned, State::Tolerated] {
        assert!(Sample::foreign("kustomer").state(state).raises().is_empty());
    }
    let mut either = Sample::foreign("zendesk").role(Role::Either);
    assert!(!either.raises().contains(&UNSANCTIONED_TENANT), "no agent, not ambiguous");
    either.ambiguous = true;
    assert!(either.raises().contains(&UNSANCTIONED_TENANT), "use of an ambiguous name");
    let mut portal = Sample::foreign("zendesk").role(Role::Portal);
    portal.agent = true;
    assert!(portal.raises().contains(&UNSANCTIONED_TENANT), "agent evidence");
}

#[test]
fn a_supplier_and_a_widget_raise_nothing() {
    for state in [State::Unreviewed, State::Unsanctioned] {
        let portal = Sample::foreign("zendesk").role(Role::Portal).state(state);
        assert!(portal.raises().is_empty(), "portal {state}");
        let mut either = Sample::foreign("zendesk").role(Role::Either).state(state);
        either.ambiguous = true;
        either.standing.engagement = Engagement::Visit;
        assert!(either.raises().is_empty(), "either {state}");
        for role in [Role::Widget, Role::Cdn, Role::Telemetry, Role::Marketing, Role::Platform] {
            let sample = Sample::foreign("zendesk").role(role).state(state);
            assert!(sample.raises().is_empty(), "{role} {state}");
        }
    }
}

#[test]
fn off_hours_is_work_in_what_is_sanctioned() {
    let mut sample = Sample::new("gorgias", "helpdesk").state(State::Sanctioned);
    assert!(sample.raises().is_empty(), "within its hours");
    sample.decision.off_hours = true;
    assert_eq!(sample.raises(), [OFF_HOURS]);
    sample.standing.worked = false;
    assert!(sample.raises().is_empty(), "a tab left open");
    let mut widget = Sample::new("gorgias", "helpdesk").state(State::Sanctioned);
    widget.decision.off_hours = true;
    assert!(widget.role(Role::Widget).raises().is_empty());
}

#[test]
fn an_expired_exception_is_told_where_its_use_goes_on() {
    let exception = Exception {
        owner: "marketing".into(),
        reason: "migration".into(),
        expires: "2026-11-01".into(),
        ends: Time::from_secs(1_793_577_600),
    };
    let mut sample = Sample::new("gorgias", "helpdesk").state(State::Tolerated);
    sample.decision.expired = Some(exception.into());
    assert_eq!(sample.raises(), [EXCEPTION_EXPIRED]);
    sample.standing.engagement = Engagement::Glance;
    assert!(sample.raises().is_empty());
    assert!(Sample::new("gorgias", "helpdesk").state(State::Tolerated).raises().is_empty());
}

#[test]
fn an_imitation_is_told_whatever_policy_says_of_the_vendor() {
    let mut sample = Sample::new("zendesk", "helpdesk").role(Role::Marketing);
    sample.imitation = Some((How::Typo, true));
    assert_eq!(sample.raises(), [LOOKALIKE]);
    let row = Finding::by_id(LOOKALIKE).unwrap();
    let told = (row.condition)(&sample.sighting()).unwrap();
    assert_eq!(row.severity(false, told), Severity::Medium);
    assert_eq!(row.severity(true, told), Severity::High);
    sample.imitation = Some((How::Typo, false));
    let told = (row.condition)(&sample.sighting()).unwrap();
    assert_eq!(row.severity(true, told), Severity::Informational);
    assert_eq!(sample.state(State::Sanctioned).raises(), [LOOKALIKE]);
}

#[test]
fn first_seen_needs_a_visit() {
    let mut sample = Sample::new("gorgias", "helpdesk");
    sample.standing.engagement = Engagement::Visit;
    assert_eq!(sample.raises(), [FIRST_SEEN]);
    sample.standing.engagement = Engagement::Glance;
    assert!(sample.raises().is_empty());
}

#[test]
fn every_row_is_whole() {
    for (i, row) in FINDINGS.iter().enumerate() {
        assert!(row.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", row.id);
        assert!(row.id.len() <= 32, "MSGID holds 32 octets: {}", row.id);
        assert!(!row.title.is_empty() && !row.definition.is_empty(), "{}", row.id);
        assert!(FINDINGS.iter().skip(i + 1).all(|other| other.id != row.id), "{}", row.id);
    }
}
