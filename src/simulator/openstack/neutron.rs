//! The Neutron API: routes, permissions, and the order in which a request is checked.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query as AxumQuery, State};
use axum::response::IntoResponse;
use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::openstack::attributes::attributes;
use crate::simulator::openstack::call::NeutronCall;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::listing::{self, ListContext, Query};
use crate::simulator::openstack::network::Collection;
use crate::simulator::openstack::reply::{Refusal, Reply};
use crate::simulator::openstack::shared::Shared;
use crate::simulator::openstack::state::{Caller, Cloud};
use crate::simulator::openstack::variant::{Series, Variant};
use crate::simulator::openstack::{
    agent, bounds, connections, discovery, network, quotas, resources, validate,
};

/// The routes of Neutron.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let pairs = AxumQuery::<Vec<(String, String)>>::try_from_uri(&uri)
        .map(|query| query.0)
        .unwrap_or_default();
    let path = uri.path().trim_end_matches('/');
    let taken = shared.cloud().fields_taken;
    let call = NeutronCall {
        method: &method,
        path: path.strip_suffix(".json").unwrap_or(path),
        query: Query(pairs).taking(taken),
        origin: origin(&shared, &headers),
        path_given: uri.path(),
        body: &body,
        now: Instant::now(),
    };
    if call.path.is_empty() {
        return versions(&call).into_response();
    }
    let Some(caller) = caller(&shared, &headers, call.now) else {
        return Reply::unauthorized(&shared.keystone_url()).into_response();
    };
    answer(&mut shared.cloud(), &caller, &call).into_response()
}

fn origin(shared: &Shared, headers: &HeaderMap) -> String {
    if let Some(advertised) = &shared.cloud().advertised {
        return advertised.clone();
    }
    let text = |name: &str| headers.get(name).and_then(|text| text.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or("http");
    text("host").map_or_else(|| shared.neutron_url(), |host| format!("{scheme}://{host}"))
}

/// The caller of a request. `None` without a valid token. A server without authentication takes every caller for the
/// demo member.
fn caller(shared: &Shared, headers: &HeaderMap, now: Instant) -> Option<Caller> {
    if let Some(everybody) = &shared.everybody {
        return Some(everybody.clone());
    }
    let token = headers.get("x-auth-token")?.to_str().ok()?;
    shared.identity().caller(token, now)
}

fn versions(call: &NeutronCall<'_>) -> Reply {
    let links = json!([{"rel": "self", "href": format!("{}/v2.0/", call.origin)}]);
    Reply::json(
        200,
        json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}),
    )
}

/// Answers an authenticated request.
pub(crate) fn answer(cloud: &mut Cloud, caller: &Caller, call: &NeutronCall<'_>) -> Reply {
    agent::advance(cloud, call.now);
    let segments: Vec<_> = call.path.split('/').skip(1).collect();
    let outcome = match segments[..] {
        ["v2.0"] => Ok(discovery::index(&call.origin)),
        ["v2.0", "extensions"] => Ok(discovery::extensions(cloud)),
        ["v2.0", "extensions", alias] => Ok(discovery::extension(cloud, alias)),
        ["v2.0", "quotas", project] => quotas::answer(cloud, caller, call, project),
        ["v2.0", "quotas", project, "details"] => quotas::details(cloud, caller, call, project),
        ["v2.0", "vpn", segment, ref item @ ..] => {
            let known = Kind::from_segment(segment)
                .filter(|kind| cloud.variant.has(*kind) && !cloud.vpn_absent);
            return match (known, item) {
                (Some(kind), []) => collection(cloud, caller, call, kind),
                (Some(kind), [id]) => object(cloud, caller, call, kind, id),
                _ => Err(Refusal::hidden()),
            }
            .unwrap_or_else(|refusal| cloud.variant.refuse(refusal));
        }
        ["v2.0", "routers", id] if *call.method == Method::PUT => {
            network::disconnect(cloud, caller, call, id, None)
        }
        ["v2.0", "routers", id, action] if *call.method == Method::PUT => {
            network::disconnect(cloud, caller, call, id, Some(action))
        }
        ["v2.0", segment, ref item @ ..] if matches!(*call.method, Method::GET | Method::HEAD) => {
            match (Collection::from_segment(segment), item) {
                (Some(all), []) => network::read(cloud, caller, call, all, None),
                (Some(all), [id]) => network::read(cloud, caller, call, all, Some(id)),
                _ => Err(Refusal::hidden()),
            }
        }
        _ => Err(Refusal::hidden()),
    };
    outcome.unwrap_or_else(Refusal::neutron)
}

fn collection(
    cloud: &mut Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    kind: Kind,
) -> Result<Reply, Refusal> {
    match *call.method {
        Method::GET | Method::HEAD => {
            let shown = cloud.listed(caller, kind).into_iter();
            let rows = shown
                .map(|row| cloud.variant.list(kind, row, cloud.spelling))
                .collect();
            let href = format!("{}{}", call.origin, call.path_given);
            let known: Vec<_> = attributes(kind, cloud.variant)
                .map(|attribute| attribute.name)
                .collect();
            let place = ListContext {
                plural: kind.plural(),
                narrowed: cloud.variant.filters(),
                sort_keys: kind.sort_keys(),
                filters: (cloud.series == Series::V2026_2).then_some(&known),
                page_cap: cloud.page_cap,
                href: &href,
            };
            Ok(Reply::json(200, listing::list(place, &call.query, rows)?))
        }
        Method::POST => create(cloud, caller, call, kind),
        _ => Err(not_allowed()),
    }
}

/// The order is: validation, quota, policy, and last the checks of the plugin.
fn create(
    cloud: &mut Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    kind: Kind,
) -> Result<Reply, Refusal> {
    let given = validate::envelope(kind, call.body)?;
    let own = caller.project.as_deref();
    let given = validate::create(kind, cloud.variant, own, caller.is_admin(), given)?;
    within_rules(cloud, kind, true, &given)?;
    let project = given
        .get("tenant_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    cloud.within_quota(kind, project)?;
    if !caller.may_use_vpn() {
        let message = format!("rule:create_{} is disallowed by policy", kind.singular());
        return Err(Refusal::new(403, "PolicyNotAuthorized", message));
    }
    let row = match kind {
        Kind::Connection => connections::create(cloud, caller, given, call.now)?,
        _ => resources::create(cloud, caller, kind, given)?,
    };
    Ok(cloud
        .variant
        .created(kind, cloud.variant.written(kind, &row, cloud.spelling)))
}

fn object(
    cloud: &mut Cloud,
    caller: &Caller,
    call: &NeutronCall<'_>,
    kind: Kind,
    id: &str,
) -> Result<Reply, Refusal> {
    let row = match *call.method {
        Method::GET | Method::HEAD => {
            let row = cloud.visible(caller, kind, id)?;
            let shown = cloud.variant.show(kind, row, cloud.spelling);
            let shown = listing::only(&call.query.fields(), shown);
            return Ok(Reply::json(200, json!({kind.singular(): shown})));
        }
        Method::PUT => {
            let given = validate::envelope(kind, call.body)?;
            let own = caller.project.as_deref();
            let given = validate::update(kind, cloud.variant, own, caller.is_admin(), given)?;
            within_rules(cloud, kind, false, &given)?;
            match kind {
                Kind::Connection => connections::update(cloud, caller, id, given, call.now)?,
                _ => resources::update(cloud, caller, kind, id, given)?,
            }
        }
        Method::DELETE => {
            resources::delete(cloud, caller, kind, id)?;
            return Ok(Reply::empty(204));
        }
        _ => return Err(not_allowed()),
    };
    Ok(Reply::json(
        200,
        json!({kind.singular(): cloud.variant.written(kind, &row, cloud.spelling)}),
    ))
}

/// Rules of one variant or release on top of the attribute map.
fn within_rules(
    cloud: &Cloud,
    kind: Kind,
    creating: bool,
    given: &Map<String, Value>,
) -> Result<(), Refusal> {
    bounds::check(cloud.variant, kind, creating, given)?;
    if cloud.variant == Variant::Neutron && cloud.series == Series::V2026_2 {
        for name in ["name", "description"] {
            let text = given.get(name).and_then(Value::as_str).unwrap_or_default();
            if text.chars().any(|c| c.len_utf8() == 4) {
                let message = format!(
                    "Invalid input for {name}. Reason: '{text}' has characters that are not allowed."
                );
                return Err(Refusal::bad_request(message));
            }
        }
    }
    Ok(())
}

fn not_allowed() -> Refusal {
    let message = "The server could not comply with the request since it is either malformed or otherwise incorrect.";
    Refusal::new(405, "HTTPMethodNotAllowed", message)
}
