//! What the two simulated clouds have in common, so that one test holds for both; and a dialect that is bound to one.

use crate::support::{
    clouds::{self, PSK, References},
    running::{install_provider, unhurried},
    writes::Writes,
};
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Call, Dialect, Mark, Page, PageRequest, Target, Written},
        error::Error,
    },
    dialects::settings::Given,
    grpc::pb,
    model::{
        Authentication, Connection, ConnectionChange, ConnectionSpec, Field, PolicyRule, Psk,
        Selectors, Sighting,
    },
    simulator::{
        faults::{Answer, Fault, Faults, Rule},
        http::Server,
        nsx::{self, NsxOptions, NsxSimulator},
        openstack::{self, OpenstackOptions, OpenstackSimulator},
    },
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A simulated cloud, and what a test does to it behind the gateway's back.
pub trait Cloud: Send + Sync {
    /// A backend on it.
    fn settings(&self, backend: &str) -> Given;
    /// A connection that it takes, of this backend.
    fn wanted(&self, backend: &str) -> pb::Connection;
    /// The same, as a dialect is asked for it.
    fn spec(&self) -> ConnectionSpec;
    /// Fields and values that it cannot express.
    fn inexpressible(&self) -> ConnectionSpec;
    /// The path under which its connections are, in one piece.
    fn collection(&self) -> &'static str;
    /// Its servers; the first has the connections, the last gives out logins.
    fn servers(&self) -> Vec<&Server>;
    /// The server that has the connections.
    fn server(&self) -> &Server {
        self.servers()[0]
    }
    /// What that server does wrong.
    fn faults(&self) -> &Faults {
        self.server().faults()
    }
    /// The ids of its connections.
    fn connections(&self) -> Vec<String>;
    /// The ids of its peer endpoints, where a connection has one.
    fn peers(&self) -> Vec<String> {
        Vec::new()
    }
    /// An object as text, whatever it is; empty if it is not there.
    fn object(&self, id: &str) -> String;
    /// The key that a connection has.
    fn key(&self, id: &str) -> String;
    /// The cloud has made a connection real.
    fn settle(&self, id: &str);
    /// Somebody else removes a connection.
    fn vanish(&self, id: &str);
    /// Its lists no longer show a connection that is there all the same, where they are used to look.
    fn hide(&self, _id: &str) {}
    /// Somebody else sets the name of a connection.
    fn rename(&self, id: &str, name: &str);
    /// Somebody else sets the description of a connection, or of a peer endpoint.
    fn describe(&self, id: &str, words: &str);
    /// The tunnel of a connection goes down.
    fn take_down(&self, id: &str);
    /// What is deleted is there until it is finished, where a cloud can have it so.
    fn linger(&self) {}
    /// The VPN API is no longer there.
    fn remove_api(&self);
    /// Every login that was given out is over.
    fn expire_logins(&self);
    /// How many logins it has given out.
    fn logins(&self) -> u64;
    /// How it says that a login, or what came of it, is not good.
    fn refusal(&self) -> Fault;
    /// Every login is over, and none is given out any more.
    fn spoil_login(&self);
    /// How many logins it has refused since then.
    fn refused_logins(&self) -> u64;
}

fn spec(selectors: Selectors) -> ConnectionSpec {
    ConnectionSpec {
        display_name: "branch 42".into(),
        peer_address: "198.51.100.20".into(),
        authentication: Some(Authentication::Psk(Psk::new(PSK))),
        selectors: Some(selectors),
        ..ConnectionSpec::default()
    }
}

/// A simulated NSX that takes any number of requests, and whose objects are gone as soon as they are deleted.
pub fn nsx() -> NsxSimulator {
    let cloud = NsxSimulator::start(NsxOptions::default()).unwrap();
    cloud.state().tune(|levers| {
        levers.limits = None;
        levers.delete_lingers = false;
    });
    cloud
}

/// A simulated OpenStack.
pub fn openstack() -> OpenstackSimulator {
    OpenstackSimulator::start(OpenstackOptions::default()).unwrap()
}

impl Cloud for NsxSimulator {
    fn settings(&self, backend: &str) -> Given {
        clouds::nsx(backend, self)
    }

    fn wanted(&self, backend: &str) -> pb::Connection {
        clouds::nsx_connection(backend)
    }

    fn spec(&self) -> ConnectionSpec {
        ConnectionSpec {
            local_endpoint: Some(nsx::inventory::LOCAL_ENDPOINT_ID.into()),
            ..spec(Selectors::Rules(vec![PolicyRule {
                sources: vec!["10.1.0.0/24".into()],
                destinations: vec!["10.2.0.0/24".into()],
                ..PolicyRule::default()
            }]))
        }
    }

    fn inexpressible(&self) -> ConnectionSpec {
        ConnectionSpec {
            description: "x".repeat(1025),
            peer_address: "vpn.example".into(),
            ..self.spec()
        }
    }

    fn collection(&self) -> &'static str {
        "/api/v1/vpn/ipsec/sessions"
    }

    fn servers(&self) -> Vec<&Server> {
        vec![self.manager(0)]
    }

    fn connections(&self) -> Vec<String> {
        ids(&self.state().objects(nsx::Kind::Session))
    }

    fn peers(&self) -> Vec<String> {
        ids(&self.state().objects(nsx::Kind::PeerEndpoint))
    }

    fn object(&self, id: &str) -> String {
        let mut kinds = [nsx::Kind::Session, nsx::Kind::PeerEndpoint].into_iter();
        let found = kinds.find_map(|kind| self.state().object(kind, id));
        found.map(|it| it.to_string()).unwrap_or_default()
    }

    fn key(&self, id: &str) -> String {
        self.state().psk(&peer_of(self, id)).unwrap()
    }

    fn settle(&self, id: &str) {
        self.state().finish(id);
    }

    fn vanish(&self, id: &str) {
        assert!(self.state().vanish(nsx::Kind::Session, id));
    }

    fn rename(&self, id: &str, name: &str) {
        let name = json!({ "display_name": name });
        self.state().alter(nsx::Kind::Session, id, name);
    }

    fn describe(&self, id: &str, words: &str) {
        let words = json!({ "description": words });
        for kind in [nsx::Kind::Session, nsx::Kind::PeerEndpoint] {
            self.state().alter(kind, id, words.clone());
        }
    }

    fn take_down(&self, id: &str) {
        let down = nsx::Tunnel::down("Peer not reachable");
        self.state().set_tunnel(id, Some(down));
    }

    fn linger(&self) {
        self.state().tune(|levers| levers.delete_lingers = true);
    }

    fn remove_api(&self) {
        self.state().tune(|levers| levers.api_absent = true);
    }

    fn expire_logins(&self) {
        self.state().expire_sessions();
    }

    fn logins(&self) -> u64 {
        self.state().logins()
    }

    fn refusal(&self) -> Fault {
        let words = json!({ "error_code": "403", "error_message": "incorrect or locked" });
        Fault::Answer(Answer::json(StatusCode::FORBIDDEN, &words))
    }

    fn spoil_login(&self) {
        self.state().set_password("admin", "another-password");
        self.state().expire_sessions();
    }

    fn refused_logins(&self) -> u64 {
        self.state().failed_logins()
    }
}

fn ids(objects: &[Value]) -> Vec<String> {
    let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
    objects.iter().map(id).collect()
}

/// The id of the peer endpoint that a session of NSX has.
pub fn peer_of(cloud: &NsxSimulator, session: &str) -> String {
    let session = cloud.state().object(nsx::Kind::Session, session).unwrap();
    session["peer_endpoint_id"].as_str().unwrap().to_owned()
}

impl Cloud for OpenstackSimulator {
    fn settings(&self, backend: &str) -> Given {
        clouds::openstack(backend, self)
    }

    fn wanted(&self, backend: &str) -> pb::Connection {
        References::of(self).connection(backend)
    }

    fn spec(&self) -> ConnectionSpec {
        let references = References::of(self);
        ConnectionSpec {
            vpn_service: Some(references.vpn_service),
            ike_policy: Some(references.ike_policy),
            ipsec_policy: Some(references.ipsec_policy),
            ..spec(Selectors::EndpointGroups {
                local: references.local_endpoint_group,
                peer: references.peer_endpoint_group,
            })
        }
    }

    fn inexpressible(&self) -> ConnectionSpec {
        ConnectionSpec {
            local_endpoint: Some("any".into()),
            mtu: Some(60),
            ..self.spec()
        }
    }

    fn collection(&self) -> &'static str {
        "/v2.0/vpn/ipsec-site-connections"
    }

    fn servers(&self) -> Vec<&Server> {
        vec![self.neutron(), self.keystone()]
    }

    fn connections(&self) -> Vec<String> {
        self.state().ids(openstack::Kind::Connection)
    }

    fn object(&self, id: &str) -> String {
        let row = self.state().row(openstack::Kind::Connection, id);
        row.map(|it| it.to_string()).unwrap_or_default()
    }

    fn key(&self, id: &str) -> String {
        let row = self.state().row(openstack::Kind::Connection, id).unwrap();
        row["psk"].as_str().unwrap().to_owned()
    }

    fn settle(&self, id: &str) {
        self.state().agent_reports(id, "DOWN");
        self.state().agent_reports(id, "ACTIVE");
    }

    fn vanish(&self, id: &str) {
        assert!(self.state().vanish(openstack::Kind::Connection, id));
    }

    fn hide(&self, id: &str) {
        let kind = openstack::Kind::Connection;
        assert!(self.state().hide_from_list(kind, id, true));
    }

    fn rename(&self, id: &str, name: &str) {
        set(self, id, "name", name);
    }

    fn describe(&self, id: &str, words: &str) {
        set(self, id, "description", words);
    }

    fn take_down(&self, id: &str) {
        self.state().agent_reports(id, "DOWN");
    }

    fn remove_api(&self) {
        self.state().set_vpn_absent(true);
    }

    fn expire_logins(&self) {
        self.state().expire_all_tokens();
    }

    fn logins(&self) -> u64 {
        self.state().logins().granted
    }

    fn refusal(&self) -> Fault {
        let words = json!({"error": {"code": 401, "title": "Unauthorized", "message": "no"}});
        Fault::Answer(Answer::json(StatusCode::UNAUTHORIZED, &words))
    }

    fn spoil_login(&self) {
        self.state().expire_all_tokens();
        self.keystone().requests().clear();
        let rule = Rule::on(Method::POST, "/auth/tokens", self.refusal());
        self.keystone().faults().inject(rule);
    }

    fn refused_logins(&self) -> u64 {
        let requests = self.keystone().requests();
        requests.count(&Method::POST, "/v3/auth/tokens")
    }
}

fn set(cloud: &OpenstackSimulator, id: &str, attribute: &str, value: &str) {
    let (kind, value) = (openstack::Kind::Connection, Some(value.into()));
    assert!(cloud.state().set_attribute(kind, id, attribute, value));
}

/// A dialect with the cloud that it is bound to.
pub struct Bound<C> {
    /// The cloud.
    pub cloud: C,
    /// The dialect.
    pub dialect: Arc<dyn Dialect>,
}

/// A call that has five seconds.
pub fn call() -> Call {
    Call::unary(Duration::from_secs(5))
}

/// A change of these fields to what `values` says.
pub fn change(fields: &[Field], values: ConnectionSpec) -> ConnectionChange {
    ConnectionChange {
        fields: fields.iter().copied().collect(),
        values,
        ..ConnectionChange::default()
    }
}

/// A change of the display name.
pub fn renamed(name: &str) -> ConnectionChange {
    let values = ConnectionSpec {
        display_name: name.to_owned(),
        ..ConnectionSpec::default()
    };
    change(&[Field::DisplayName], values)
}

/// What is looked for where nothing is known but the id.
pub fn target(id: &str) -> Target {
    Target {
        id: id.to_owned(),
        ..Target::default()
    }
}

/// The first page of a list, with so many connections at most.
pub fn page(size: u32) -> PageRequest {
    PageRequest {
        size,
        ..PageRequest::default()
    }
}

impl<C> Bound<C> {
    /// Binds a dialect to a cloud.
    pub fn to(cloud: C, settings: &Given) -> Bound<C> {
        install_provider();
        let dialect = unhurried(settings).unwrap();
        Bound { cloud, dialect }
    }

    /// Whether the backend is there.
    pub async fn probe(&self) -> Result<(), Error> {
        self.dialect.probe(&call()).await
    }

    /// Reads a connection.
    pub async fn get(&self, id: &str) -> Result<Connection, Error> {
        self.dialect.get(id, &call()).await
    }

    /// Lists connections.
    pub async fn list(&self, request: &PageRequest) -> Result<Page<Connection>, Error> {
        self.dialect.list(request, &call()).await
    }

    /// Makes a connection with a fresh mark.
    pub async fn create(&self, spec: &ConnectionSpec) -> Result<Written, Error> {
        self.dialect.create(spec, &Mark::new(), &call()).await
    }

    /// Changes a connection.
    pub async fn update(&self, id: &str, change: &ConnectionChange) -> Result<Written, Error> {
        self.dialect.update(id, change, &call()).await
    }

    /// Removes a connection, whatever its etag is.
    pub async fn delete(&self, id: &str) -> Result<Written, Error> {
        self.dialect.delete(id, None, &call()).await
    }

    /// Polls one connection.
    pub async fn poll(&self, target: Target) -> Result<Sighting, Error> {
        let mut seen = self.dialect.poll(&[target], &call()).await;
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}
