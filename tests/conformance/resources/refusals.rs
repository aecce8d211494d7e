//! What is refused, and how that is said.

use super::{Cell, assert_refused, id_of};
use crate::support::{
    clouds::PSK,
    running::{fields, reason},
    site::{BACKEND, Cloud, Site},
};
use http::{Method, StatusCode};
use isthmus::{
    model::{
        ResourceField, ResourceKind,
        algorithm::{
            DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion,
            IntegrityAlgorithm, Named, NegotiationMode, PrfAlgorithm, TransformProtocol,
        },
        topology::EndpointType,
    },
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::inventory,
    },
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// A value that a field could have somewhere.
fn elsewhere(field: ResourceField) -> Value {
    use ResourceField as F;
    match field {
        F::NegotiationMode => json!("NEGOTIATION_MODE_MAIN"),
        F::DfPolicy => json!("DF_POLICY_COPY"),
        F::TransformProtocol => json!("TRANSFORM_PROTOCOL_ESP"),
        F::EncapsulationMode => json!("ENCAPSULATION_MODE_TUNNEL"),
        F::BypassRules => json!([{ "sources": ["10.1.0.0/24"] }]),
        F::IkeLogLevel => json!("IKE_LOG_LEVEL_INFO"),
        F::HaSync | F::PerfectForwardSecrecy => json!(true),
        F::Subnet | F::Flavor => json!("d3300000-0000-4000-8000-000000000021"),
        F::AvailabilityZone => json!("AZ1"),
        F::Description => json!("words"),
        other => panic!("{other:?} is taken everywhere"),
    }
}

/// A field that the cloud does not have is refused by its name, alone or with others, and nothing is asked.
pub async fn what_is_not_taken_is_refused_by_name(cell: &Cell<'_>) {
    let made = cell.make(2).await;
    let (writes, asked) = (cell.site.writes(), cell.site.asked(cell.kind));
    let taken = cell.taken.fields();
    let mut all = cell.taken.whole(1);
    let mut paths = Vec::new();
    let foreign = cell
        .kind
        .fields()
        .iter()
        .filter(|field| !taken.contains(field));
    for field in foreign {
        let mut body = cell.taken.whole(1);
        body[field.path()] = elsewhere(*field);
        all[field.path()] = elsewhere(*field);
        let path = [cell.path(*field)];
        for validate_only in [true, false] {
            let answer = cell
                .site
                .api
                .create(cell.kind, BACKEND, &body, validate_only)
                .await;
            assert_refused(answer, Code::FailedPrecondition, "NOT_EXPRESSIBLE", &path);
        }
        let body = json!({ "name": made["name"], field.path(): elsewhere(*field) });
        for mask in [None, Some(&[field.path()][..])] {
            let answer = cell.update(&body, mask).await;
            assert_refused(answer, Code::FailedPrecondition, "NOT_EXPRESSIBLE", &path);
        }
        paths.extend(path);
    }
    if !paths.is_empty() {
        let answer = cell.site.api.create(cell.kind, BACKEND, &all, false).await;
        let error = answer.unwrap_err();
        let mut said = fields(&error);
        said.sort();
        paths.sort();
        assert_eq!(said, paths);
    }
    assert_eq!(
        (cell.site.writes(), cell.site.asked(cell.kind)),
        (writes, asked)
    );
}

fn every<T: Named>() -> Vec<&'static str> {
    T::ALL.iter().map(|value| value.as_str()).collect()
}

/// A value that the cloud does not have, or that is too long or too much, is refused by the name of its field.
pub async fn what_is_out_of_range_is_refused_by_name(cell: &Cell<'_>) {
    use ResourceField as F;
    let lists = [
        (F::IkeVersion, "ike_versions", every::<IkeVersion>()),
        (
            F::NegotiationMode,
            "negotiation_modes",
            every::<NegotiationMode>(),
        ),
        (
            F::EncryptionAlgorithms,
            "encryption_algorithms",
            every::<EncryptionAlgorithm>(),
        ),
        (
            F::IntegrityAlgorithms,
            "integrity_algorithms",
            every::<IntegrityAlgorithm>(),
        ),
        (F::PrfAlgorithms, "prf_algorithms", every::<PrfAlgorithm>()),
        (F::DhGroups, "dh_groups", every::<DhGroup>()),
        (
            F::TransformProtocol,
            "transform_protocols",
            every::<TransformProtocol>(),
        ),
        (
            F::EncapsulationMode,
            "encapsulation_modes",
            every::<EncapsulationMode>(),
        ),
        (F::DfPolicy, "df_policies", every::<DfPolicy>()),
        (F::EndpointType, "endpoint_types", every::<EndpointType>()),
    ];
    let asked = cell.site.asked(cell.kind);
    let taken = cell.taken.fields();
    let mut wrong: Vec<(F, Value)> = Vec::new();
    for (field, list, words) in lists {
        let known = cell.taken.list(list);
        if !taken.contains(&field) {
            assert!(known.is_empty(), "{list} of a field that is not taken");
            continue;
        }
        assert!(!known.is_empty(), "{list} of a field that is taken");
        let is_list = cell
            .taken
            .value(field, crate::support::values::Choice::First, 1)
            .is_array();
        let foreign = words
            .into_iter()
            .filter(|word| !known.iter().any(|it| it == word));
        wrong
            .extend(foreign.map(|word| (field, if is_list { json!([word]) } else { json!(word) })));
        if is_list && field != F::IntegrityAlgorithms && field != F::PrfAlgorithms {
            let most = cell.taken.number("max_algorithms");
            wrong.push((field, json!(vec![&known[0]; most + 1])));
        }
    }
    if taken.contains(&F::Lifetime) {
        let seconds = |name: &str| {
            let text = cell.taken.text(name);
            text.trim_end_matches('s').parse::<u64>().unwrap()
        };
        wrong.extend([
            (
                F::Lifetime,
                json!({ "time": format!("{}s", seconds("min_lifetime") - 1) }),
            ),
            (
                F::Lifetime,
                json!({ "time": format!("{}s", seconds("max_lifetime") + 1) }),
            ),
            (F::Lifetime, json!({ "time": "3600.5s" })),
        ]);
        if !cell.taken.says("lifetime_kilobytes") {
            wrong.push((F::Lifetime, json!({ "kilobytes": "100000" })));
        }
    }
    let most = cell.taken.number("max_display_name");
    wrong.push((F::DisplayName, json!("x".repeat(most + 1))));
    wrong.push((F::Description, json!("x".repeat(1025))));
    for (field, value) in wrong {
        if field == F::Description && !taken.contains(&field) {
            continue;
        }
        let mut body = cell.taken.whole(1);
        body[field.path()] = value.clone();
        // One list is enough for both names of one word.
        match field {
            F::IntegrityAlgorithms => drop(body.as_object_mut().unwrap().remove("prf_algorithms")),
            F::PrfAlgorithms => drop(body.as_object_mut().unwrap().remove("integrity_algorithms")),
            _ => {}
        }
        let answer = cell.site.api.create(cell.kind, BACKEND, &body, false).await;
        let error = answer.expect_err(&format!("{field:?} {value} was taken"));
        assert_named(cell, &error, field, &value);
    }
    assert_eq!(cell.site.asked(cell.kind), asked, "nothing was asked");
}

/// Fails unless an error is about this field and says what would be accepted.
#[track_caller]
fn assert_named(cell: &Cell<'_>, error: &Status, field: ResourceField, value: &Value) {
    use tonic_types::StatusExt;
    let why = reason(error);
    let kinds = [
        (Code::FailedPrecondition, "NOT_EXPRESSIBLE"),
        (Code::InvalidArgument, "INVALID_FIELD"),
    ];
    assert!(
        kinds.contains(&(error.code(), why.as_str())),
        "{value}: {error:?}"
    );
    let said = error.get_details_bad_request().unwrap().field_violations;
    let is_about = |field: ResourceField, said: &str| {
        let path = cell.path(field);
        let rest = said.strip_prefix(path.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // What is in a group is wrong with its type.
    let rest = match field {
        ResourceField::EndpointType => ResourceField::Endpoints,
        field => field,
    };
    let named = said.iter().any(|it| is_about(field, &it.field));
    let nothing_else = said
        .iter()
        .all(|it| is_about(field, &it.field) || is_about(rest, &it.field));
    assert!(named && nothing_else, "{value}: {said:?}");
    assert!(said.iter().all(|it| !it.description.is_empty()));
}

/// What must be said and is not is named, all of it at once.
pub async fn what_is_missing_is_named(cell: &Cell<'_>) {
    let asked = cell.site.asked(cell.kind);
    let required = cell.taken.list("required_fields");
    let nothing = json!({ "display_name": "x" });
    let answer = cell
        .site
        .api
        .create(cell.kind, BACKEND, &nothing, false)
        .await;
    if required.is_empty() {
        answer.unwrap();
        return;
    }
    let path = |field: &String| format!("{}.{field}", crate::support::api::words(cell.kind).field);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::InvalidArgument, "INVALID_FIELD")
    );
    let mut said = fields(&error);
    said.sort();
    let mut wanted: Vec<String> = required
        .iter()
        .filter(|it| *it != "display_name")
        .map(path)
        .collect();
    wanted.sort();
    assert_eq!(said, wanted);
    for field in required.iter().filter(|it| *it != "display_name") {
        let mut body = cell.taken.whole(1);
        body.as_object_mut().unwrap().remove(field);
        let answer = cell.site.api.create(cell.kind, BACKEND, &body, true).await;
        assert_refused(
            answer,
            Code::InvalidArgument,
            "INVALID_FIELD",
            &[path(field)],
        );
    }
    assert_eq!(cell.site.asked(cell.kind), asked, "nothing was asked");
}

/// A name that is not of what was asked for is malformed.
pub async fn names_must_agree(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let mut body = cell.taken.whole(2);
    body["name"] = made["name"].clone();
    let name = format!("{}.name", crate::support::api::words(cell.kind).field);
    let asked = cell.site.asked(cell.kind);
    let invalid = |answer, path: &str| {
        assert_refused::<Value>(
            answer,
            Code::InvalidArgument,
            "INVALID_FIELD",
            &[path.to_owned()],
        );
    };
    invalid(
        cell.site.api.create(cell.kind, BACKEND, &body, false).await,
        &name,
    );
    let id = id_of(&made);
    let others = [
        format!("backends/{BACKEND}/connections/{id}"),
        format!("backends/-/{}/{id}", cell.kind.collection().segment()),
        String::new(),
    ];
    for other in others {
        let body = json!({ "name": other, "display_name": "x" });
        invalid(cell.update(&body, None).await, &name);
        invalid(cell.site.api.get(cell.kind, &other).await, "name");
        invalid(
            cell.site.api.delete(cell.kind, &other, &json!({})).await,
            "name",
        );
    }
    let body = json!({ "name": made["name"], "display_name": "x" });
    invalid(
        cell.update(&body, Some(&["colour"])).await,
        "update_mask.paths[0]",
    );
    assert_eq!(cell.site.asked(cell.kind), asked, "nothing was asked");
}

/// What belongs to the cloud itself, to another principal or to another project is not changed.
pub async fn what_belongs_to_others_stays(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    match &cell.site.cloud {
        Cloud::Nsx(cloud) => {
            let kind = crate::support::site::nsx_kind(cell.kind).unwrap();
            cloud.state().give_to(kind, id_of(&made), "somebody");
            let mut foreign = vec![made];
            let system = match cell.kind {
                ResourceKind::IkePolicy => Some(inventory::DEFAULT_IKE_PROFILE_ID),
                ResourceKind::IpsecPolicy => Some(inventory::DEFAULT_TUNNEL_PROFILE_ID),
                ResourceKind::DpdPolicy => Some(inventory::DEFAULT_DPD_PROFILE_ID),
                _ => None,
            };
            if let Some(id) = system {
                let read = cell
                    .get(&json!({ "name": cell.site.name(cell.kind, id) }))
                    .await;
                assert_eq!(
                    (&read["nsx"]["system_owned"], &read["managed"]),
                    (&json!(true), &Value::Null)
                );
                foreign.push(read);
            }
            for it in foreign {
                let before = cell.get(&it).await;
                let body = json!({ "name": it["name"], "display_name": "x" });
                let answer = cell.update(&body, None).await;
                assert_refused(answer, Code::PermissionDenied, "NOT_OWNER", &[]);
                let answer = cell.delete(&it, &json!({})).await;
                assert_refused(answer, Code::PermissionDenied, "NOT_OWNER", &[]);
                assert_eq!(cell.get(&it).await, before);
            }
        }
        Cloud::Openstack(cloud) => {
            let other = cloud.inventory().other;
            let id = match cell.kind {
                ResourceKind::IkePolicy => other.ike_policy_id,
                ResourceKind::IpsecPolicy => other.ipsec_policy_id,
                ResourceKind::VpnService => other.service_id,
                _ => other.local_group_id,
            };
            let name = cell.site.name(cell.kind, id);
            let body = json!({ "name": name, "display_name": "x" });
            for answer in [
                cell.site.api.get(cell.kind, &name).await,
                cell.update(&body, None).await,
                cell.site.api.delete(cell.kind, &name, &json!({})).await,
            ] {
                assert_refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND", &[]);
            }
            let list = cell
                .site
                .api
                .list(cell.kind, BACKEND, &json!({}))
                .await
                .unwrap();
            assert!(!list.to_string().contains(id), "{list}");
            assert!(cell.site.object(cell.kind, id).is_some());
        }
    }
    let barred = Site::with(cell.site.world, |mut given| {
        given.core.read_only = true;
        given
    });
    let barred = barred.await;
    let name = barred.name(cell.kind, "00000000-0000-4000-8000-000000000000");
    let named = json!({ "name": name, "display_name": "x" });
    let api = &barred.api;
    for answer in [
        api.create(cell.kind, BACKEND, &cell.taken.whole(1), false)
            .await,
        api.update(cell.kind, &named, None, false).await,
        api.delete(cell.kind, &name, &json!({})).await,
    ] {
        assert_refused(answer, Code::PermissionDenied, "READ_ONLY", &[]);
    }
    api.list(cell.kind, BACKEND, &json!({})).await.unwrap();
    assert_eq!(barred.writes(), 0);
}

/// What a cloud says of a refused write is cut, cleaned and shown without secrets; so is what it says of an object.
pub async fn words_of_a_cloud_are_bounded(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let words = format!(
        "\u{1b}[31mno: {{\"psk\": \"{PSK}\"}} {}",
        "x".repeat(100_000)
    );
    let refusal = json!({
        "error_code": 255, "error_message": words,
        "NeutronError": { "type": "BadRequest", "message": words, "detail": words },
    });
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let refusal = Fault::Answer(Answer::json(StatusCode::BAD_REQUEST, &refusal));
        let rule = Rule::on(method.clone(), cell.site.path(cell.kind), refusal);
        cell.site.faults().inject(rule);
        let answer = match method {
            Method::POST => {
                let body = cell.taken.whole(2);
                cell.site.api.create(cell.kind, BACKEND, &body, false).await
            }
            Method::PUT => {
                let body = json!({ "name": made["name"], "display_name": "x" });
                cell.update(&body, None).await
            }
            _ => cell.delete(&made, &json!({})).await,
        };
        cell.site.faults().clear();
        let error = answer.expect_err("it is refused");
        let whole = format!("{error:?}");
        let why = reason(&error);
        // NSX says by the same status that something is in use.
        let in_use = method == Method::DELETE && why == "IN_USE";
        let rejected = why == "UPSTREAM_REJECTED" || in_use;
        assert!(rejected, "{method}: {whole:.500}");
        assert!(whole.len() < 16 * 1024, "{method}: {} bytes", whole.len());
        assert!(
            !whole.contains(PSK) && !error.message().contains('\u{1b}'),
            "{method}"
        );
    }
    cell.site.alter(
        cell.kind,
        id_of(&made),
        json!({ "psk": PSK, "admin_password": PSK }),
    );
    let read = cell.get(&made).await;
    assert!(!read.to_string().contains(PSK), "{read}");
}
