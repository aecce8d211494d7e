//! The upstream calls of the table, in the order of its rows: which use case, and which of its requests.

use crate::{bench::Start, columns::Dialect};
use http::{Method, StatusCode};
use isthmus::simulator::{
    faults::{Answer, Fault, Rule},
    openstack::Variant,
};

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// As it stands in the table: the use case, and the request.
    pub name: &'static str,
    /// How the cell begins.
    pub start: Start,
    /// What the client of the gateway does.
    pub act: Act,
    /// The request that the fault strikes.
    pub target: Asked,
    /// The request right before it, where there is one: after it connections are refused.
    pub before: Option<Asked>,
    /// What goes wrong before, so that the request is made at all.
    pub lead: Option<(Asked, Lead)>,
}

/// What the client of the gateway does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// GetBackend, once the gateway has asked the backend by itself.
    Probe,
    /// GetConnection.
    Get,
    /// GetConnection after the login of the gateway has ended.
    GetExpired,
    /// ListConnections.
    List,
    /// CreateConnection.
    Create,
    /// UpdateConnection, with an etag.
    Update,
    /// UpdateConnection of nothing but the key, which cannot be read back.
    Rekey,
    /// DeleteConnection, with an etag.
    Delete,
    /// GetRealization.
    PollResult,
    /// GetRealization with the tunnel.
    PollTunnel,
    /// GetRealization of a connection that somebody has removed.
    PollGone,
    /// WatchRealizations, until it is synced.
    WatchAll,
    /// WatchRealization of a write, whose end must come once the fault is over.
    Watch,
    /// WatchRealization of a removal.
    WatchGone,
    /// WatchRealizations over several, whose changes must come once the fault is over.
    WatchMany,
}

impl Act {
    /// Whether it goes on during the fault, and has to end rightly after it.
    pub fn is_watch(self) -> bool {
        matches!(self, Act::Watch | Act::WatchGone | Act::WatchMany)
    }
}

/// What goes wrong before the fault, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// The answer is lost.
    Lost,
    /// The cloud refuses it as wrong.
    Refused,
    /// 404 in nobody's words.
    Foreign404,
    /// 404 that names the connection, from an API that hides it.
    Named404,
}

/// A request. `{id}` and `{peer}` in its path stand for the first connection and its peer endpoint.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    /// As in [`Rule::on`].
    pub path: &'static str,
    query: &'static str,
    skip: u32,
}

impl Asked {
    fn on(method: Method, path: &'static str) -> Asked {
        Asked {
            method,
            path,
            query: "",
            skip: 0,
        }
    }

    fn query(self, query: &'static str) -> Asked {
        Asked { query, ..self }
    }

    /// Spares so many before.
    fn after(self, skip: u32) -> Asked {
        Asked { skip, ..self }
    }

    /// Whether it is a write.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// The rule that strikes it.
    pub fn rule(&self, fault: Fault, id: &str, peer: &str) -> Rule {
        let path = self.path.replace("{id}", id).replace("{peer}", peer);
        Rule::on(self.method.clone(), path, fault)
            .query(self.query)
            .after(self.skip)
    }
}

impl Lead {
    /// The fault.
    pub fn fault(self, id: &str) -> Fault {
        match self {
            Lead::Lost => Fault::CutAfterHandling,
            Lead::Refused => Fault::Answer(Answer::json(
                StatusCode::BAD_REQUEST,
                &serde_json::json!({ "httpStatus": "BAD_REQUEST", "error_code": 255, "error_message": "no" }),
            )),
            Lead::Foreign404 => Fault::Answer(Answer::text(
                StatusCode::NOT_FOUND,
                "text/plain",
                "404 page not found",
            )),
            Lead::Named404 => Fault::Answer(Answer::json(
                StatusCode::NOT_FOUND,
                &serde_json::json!({ "NeutronError": {
                    "type": "IPsecSiteConnectionNotFound",
                    "message": format!("ipsec_site_connection {id} not found"),
                    "detail": "",
                } }),
            )),
        }
    }
}

impl Row {
    fn of(name: &'static str, act: Act, target: Asked) -> Row {
        Row {
            name,
            start: START,
            act,
            target,
            before: None,
            lead: None,
        }
    }

    fn before(self, before: Asked) -> Row {
        let before = Some(before);
        Row { before, ..self }
    }

    fn lead(self, asked: Asked, lead: Lead) -> Row {
        let lead = Some((asked, lead));
        Row { lead, ..self }
    }

    fn start(self, start: Start) -> Row {
        Row { start, ..self }
    }
}

const START: Start = Start {
    variant: Variant::Neutron,
    reader: false,
    connections: 1,
    settled: true,
};
const EMPTY: Start = Start {
    connections: 0,
    ..START
};
const UNASKED: Start = Start {
    settled: false,
    ..EMPTY
};
const SEVERAL: Start = Start {
    connections: 4,
    ..START
};
const READER: Start = Start {
    reader: true,
    ..START
};
const OTC: Start = Start {
    variant: Variant::Otc,
    connections: 0,
    ..START
};

fn get(path: &'static str) -> Asked {
    Asked::on(Method::GET, path)
}

fn post(path: &'static str) -> Asked {
    Asked::on(Method::POST, path)
}

fn put(path: &'static str) -> Asked {
    Asked::on(Method::PUT, path)
}

fn delete(path: &'static str) -> Asked {
    Asked::on(Method::DELETE, path)
}

/// The rows of this dialect.
pub fn rows(dialect: Dialect) -> Vec<Row> {
    match dialect {
        Dialect::Nsx => nsx(),
        Dialect::Openstack => openstack(),
    }
}

fn nsx() -> Vec<Row> {
    use Lead::{Lost, Refused};
    const SESSIONS: &str = "/sessions$";
    const PEERS: &str = "/peer-endpoints$";
    const LOGIN: &str = "/api/session/create$";
    let session = || get("/sessions/{id}$");
    let peer = || get("/peer-endpoints/{peer}$");
    let state = || get("/sessions/{id}/state$");
    let row = Row::of;
    vec![
        row("probe:login", Act::Probe, post(LOGIN)).start(UNASKED),
        row("probe:sessions", Act::Probe, get(SESSIONS))
            .start(UNASKED)
            .before(post(LOGIN)),
        row("any:login-again", Act::GetExpired, post(LOGIN)).before(session()),
        row("get:session", Act::Get, session()),
        row("get:peer", Act::Get, peer()).before(session()),
        row("list:sessions", Act::List, get(SESSIONS)),
        row("list:peer", Act::List, peer()).before(get(SESSIONS)),
        row("list:peers", Act::List, get(PEERS))
            .start(SEVERAL)
            .before(get(SESSIONS)),
        row("create:peer", Act::Create, post(PEERS)).start(EMPTY),
        row("create:peer-lost", Act::Create, get(PEERS))
            .start(EMPTY)
            .before(post(PEERS))
            .lead(post(PEERS), Lost),
        row("create:session", Act::Create, post(SESSIONS))
            .start(EMPTY)
            .before(post(PEERS)),
        row("create:session-lost", Act::Create, get(SESSIONS))
            .start(EMPTY)
            .before(post(SESSIONS))
            .lead(post(SESSIONS), Lost),
        row("create:undo-peer", Act::Create, delete("/peer-endpoints/"))
            .start(EMPTY)
            .before(post(SESSIONS))
            .lead(post(SESSIONS), Refused),
        row("update:get-session", Act::Update, session()),
        row("update:get-peer", Act::Update, peer()).before(session()),
        row("update:put-session", Act::Update, put("/sessions/")).before(peer()),
        row("update:session-lost", Act::Update, session().after(1))
            .before(put("/sessions/"))
            .lead(put("/sessions/"), Lost),
        row("update:put-peer", Act::Update, put("/peer-endpoints/")).before(put("/sessions/")),
        row("update:put-key", Act::Rekey, put("/peer-endpoints/")).before(peer()),
        row("update:peer-lost", Act::Update, peer().after(1))
            .before(put("/peer-endpoints/"))
            .lead(put("/peer-endpoints/"), Lost),
        row("update:undo-get", Act::Update, session().after(1))
            .before(put("/peer-endpoints/"))
            .lead(put("/peer-endpoints/"), Refused),
        row(
            "update:undo-session",
            Act::Update,
            put("/sessions/").after(1),
        )
        .before(session().after(1))
        .lead(put("/peer-endpoints/"), Refused),
        row("delete:get-session", Act::Delete, session()),
        row("delete:get-peer", Act::Delete, peer()).before(session()),
        row("delete:get-part", Act::Delete, get("/local-endpoints/")).before(peer()),
        row("delete:session", Act::Delete, delete("/sessions/")).before(peer()),
        row("delete:session-lost", Act::Delete, session().after(1))
            .before(delete("/sessions/"))
            .lead(delete("/sessions/"), Lost),
        row("delete:peer", Act::Delete, delete("/peer-endpoints/")).before(delete("/sessions/")),
        row("delete:peer-lost", Act::Delete, peer().after(1))
            .before(delete("/peer-endpoints/"))
            .lead(delete("/peer-endpoints/"), Lost),
        row("look:state", Act::PollResult, state()),
        row("look:session", Act::PollResult, session()).before(state()),
        row(
            "look:tunnel",
            Act::PollTunnel,
            get("/sessions/{id}/status$"),
        ),
        row("gone:state", Act::PollGone, state()),
        row("gone:session", Act::PollGone, session()).before(state()),
        row("gone:sessions", Act::PollGone, get(SESSIONS)).before(session()),
        row("watch-all:sessions", Act::WatchAll, get(SESSIONS)),
        row(
            "watch:state-of-write",
            Act::Watch,
            get("/state$").query("request_id="),
        )
        .start(EMPTY),
        row("watch-gone:state", Act::WatchGone, state()),
    ]
}

fn openstack() -> Vec<Row> {
    use Lead::{Foreign404, Lost, Named404};
    const MANY: &str = "/ipsec-site-connections$";
    const LOGIN: &str = "/v3/auth/tokens$";
    let one = || get("/ipsec-site-connections/{id}$");
    let any = "/ipsec-site-connections/";
    let services = || get("/vpnservices$");
    let row = Row::of;
    vec![
        row("probe:login", Act::Probe, post(LOGIN)).start(UNASKED),
        row("probe:list", Act::Probe, get(MANY)).start(UNASKED),
        row("probe:sees-services", Act::Probe, services())
            .start(Start {
                settled: false,
                ..READER
            })
            .before(get(MANY)),
        row("any:login-again", Act::GetExpired, post(LOGIN)),
        row("get:one", Act::Get, one()),
        row("get:foreign-404", Act::Get, get(MANY))
            .before(one())
            .lead(one(), Foreign404),
        row("list:many", Act::List, get(MANY)),
        row("create:post", Act::Create, post(MANY)).start(EMPTY),
        row("create:lost-list", Act::Create, get(MANY))
            .start(EMPTY)
            .before(post(MANY))
            .lead(post(MANY), Lost),
        row("create:lost-get", Act::Create, get(any))
            .start(EMPTY)
            .before(get(MANY))
            .lead(post(MANY), Lost),
        row("create-otc:before", Act::Create, get(MANY)).start(OTC),
        row("create-otc:post", Act::Create, post(MANY))
            .start(OTC)
            .before(get(MANY)),
        row("update:get", Act::Update, one()),
        row("update:put", Act::Update, put(any)).before(one()),
        row("update:put-key", Act::Rekey, put(any)).before(one()),
        row("update:lost", Act::Update, one().after(1))
            .before(put(any))
            .lead(put(any), Lost),
        row("delete:get", Act::Delete, one()),
        row("delete:get-part", Act::Delete, get("/vpnservices/")).before(one()),
        row("delete:delete", Act::Delete, delete(any)).before(one()),
        row("delete:lost", Act::Delete, one().after(1))
            .before(delete(any))
            .lead(delete(any), Lost),
        row("delete:lost-list", Act::Delete, get(MANY).query("id="))
            .before(one().after(1))
            .lead(delete(any), Lost),
        row("look:one", Act::PollResult, one()),
        row("gone:one", Act::PollGone, one()),
        row("gone:list", Act::PollGone, get(MANY).query("id=")).before(one()),
        row("gone:sees-services", Act::PollGone, services())
            .start(READER)
            .before(get(MANY).query("id="))
            .lead(one(), Named404),
        row("gone:sees-list", Act::PollGone, get(MANY).query("limit=1"))
            .start(READER)
            .before(services())
            .lead(one(), Named404),
        row("watch-all:list", Act::WatchAll, get(MANY)),
        row("watch-many:list", Act::WatchMany, get(MANY).query("id=")).start(SEVERAL),
        row("watch:one", Act::Watch, get(any)).start(EMPTY),
        row("watch-gone:one", Act::WatchGone, one()),
    ]
}
