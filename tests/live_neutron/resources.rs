//! Policies, services and endpoint groups of a real Neutron: made, read, listed, changed, used, refused and removed.

use crate::{
    calls::{create, gateway, gateway_with, metadata},
    cloud::{self, BACKEND, Login, reports, seeded},
    operator::{self, User},
    support::{
        api::{Api, words},
        running::{fields, id_of, reason},
        site::World,
    },
    tap::Tap,
};
use isthmus::model::ResourceKind;
use reqwest::Method;
use serde_json::{Value, json};
use tonic::{Code, Status};

/// Every kind that a Neutron has.
const KINDS: [ResourceKind; 4] = [
    ResourceKind::IkePolicy,
    ResourceKind::IpsecPolicy,
    ResourceKind::VpnService,
    ResourceKind::EndpointGroup,
];

/// Everything that can be said of one.
fn whole(kind: ResourceKind, name: &str) -> Value {
    let own = match kind {
        ResourceKind::IkePolicy => json!({
            "ike_version": "IKE_VERSION_2", "negotiation_mode": "NEGOTIATION_MODE_AGGRESSIVE",
            "encryption_algorithms": ["ENCRYPTION_ALGORITHM_AES_GCM_16_256"],
            "integrity_algorithms": ["INTEGRITY_ALGORITHM_HMAC_SHA2_512_256"],
            "prf_algorithms": ["PRF_ALGORITHM_HMAC_SHA2_512"],
            "dh_groups": ["DH_GROUP_ECP_384"], "lifetime": { "time": "28800s" },
        }),
        ResourceKind::IpsecPolicy => json!({
            "transform_protocol": "TRANSFORM_PROTOCOL_AH", "encapsulation_mode": "ENCAPSULATION_MODE_TRANSPORT",
            "encryption_algorithms": ["ENCRYPTION_ALGORITHM_AES_CTR_192"],
            "integrity_algorithms": ["INTEGRITY_ALGORITHM_AES_CMAC_96"], "perfect_forward_secrecy": true,
            "dh_groups": ["DH_GROUP_CURVE25519"], "lifetime": { "time": "1800s" },
        }),
        ResourceKind::VpnService => json!({
            "router": seeded("DEMO", "ROUTER"), "subnet": seeded("DEMO", "SUBNET_1"), "admin_enabled": true,
        }),
        _ => json!({ "type": "TYPE_CIDR", "endpoints": ["10.91.0.0/24", "10.92.0.7/24"] }),
    };
    let mut body = json!({ "display_name": name, "description": "tried" });
    body.as_object_mut()
        .unwrap()
        .extend(own.as_object().unwrap().clone());
    body
}

/// New values of everything that can be changed.
fn changes(kind: ResourceKind) -> Value {
    match kind {
        ResourceKind::IkePolicy => json!({
            "display_name": "new", "description": "new words", "ike_version": "IKE_VERSION_1",
            "negotiation_mode": "NEGOTIATION_MODE_MAIN",
            "encryption_algorithms": ["ENCRYPTION_ALGORITHM_AES_CBC_192"],
            "integrity_algorithms": ["INTEGRITY_ALGORITHM_AES_XCBC_96"], "dh_groups": ["DH_GROUP_MODP_2048"],
            "lifetime": { "time": "3600s" },
        }),
        ResourceKind::IpsecPolicy => json!({
            "display_name": "new", "description": "new words", "transform_protocol": "TRANSFORM_PROTOCOL_ESP",
            "encapsulation_mode": "ENCAPSULATION_MODE_TUNNEL",
            "encryption_algorithms": ["ENCRYPTION_ALGORITHM_AES_CCM_8_128"],
            "integrity_algorithms": ["INTEGRITY_ALGORITHM_HMAC_SHA2_384_192"],
            "dh_groups": ["DH_GROUP_BRAINPOOL_P256R1"], "lifetime": { "time": "7200s" },
        }),
        ResourceKind::VpnService => {
            json!({ "display_name": "new", "description": "new words", "admin_enabled": false })
        }
        _ => json!({ "display_name": "new", "description": "new words" }),
    }
}

async fn made(api: &Api, kind: ResourceKind, body: &Value) -> Value {
    let answer = api.create(kind, BACKEND, body, false).await;
    let mut answer = answer.unwrap_or_else(|error| panic!("{body}: {error:?}"));
    answer[words(kind).field].take()
}

fn name(resource: &Value) -> &str {
    resource["name"].as_str().unwrap()
}

async fn remove(api: &Api, kind: ResourceKind, resource: &Value) {
    api.delete(kind, name(resource), &json!({})).await.unwrap();
}

/// Neutron changes no service that its agent has not seen.
fn settle(kind: ResourceKind, resource: &Value) {
    if kind == ResourceKind::VpnService {
        reports(&id_of(name(resource)), "ACTIVE --service");
    }
}

#[track_caller]
fn assert_covers(read: &Value, wanted: &Value) {
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(read[field], *value, "{field} of {read}");
    }
}

#[track_caller]
fn assert_refused(answer: Result<Value, Status>, code: Code, why: &str, said: &str) {
    let error = answer.expect_err("it is refused");
    let upstream = format!(
        "{} {}",
        metadata(&error, "upstream_status"),
        metadata(&error, "upstream_code")
    );
    let found = (error.code(), reason(&error), upstream.trim().to_owned());
    assert_eq!(found, (code, why.to_owned(), said.to_owned()), "{error:?}");
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_made_read_listed_changed_and_removed() {
    let _shared = cloud::shared().await;
    let tap = Tap::neutron().await;
    let given = cloud::settings(&Login::demo()).with("url", &tap.url);
    let running = gateway_with(given).await;
    let api = Api::new(running.channel.clone());
    for kind in KINDS {
        let wanted = whole(kind, "made by a test");
        let writes = tap.writes();
        let checked = api.create(kind, BACKEND, &wanted, true).await.unwrap();
        let told: Vec<&String> = checked.as_object().unwrap().keys().collect();
        assert_eq!(told, ["plan"]);
        assert_eq!(checked["plan"].as_array().unwrap().len(), 1, "{checked}");
        assert_eq!(tap.writes(), writes, "what is only checked is not sent");
        let first = made(&api, kind, &wanted).await;
        assert_covers(&first, &wanted);
        assert_eq!(
            (&first["managed"], first["openstack"]["project_id"].as_str()),
            (&json!(true), Some(&*seeded("DEMO", "PROJECT")))
        );
        let read = api.get(kind, name(&first)).await.unwrap();
        assert_eq!(read, first);
        settle(kind, &first);

        // A twin out of what was read, and both in pages of one.
        let read = api.get(kind, name(&first)).await.unwrap();
        let mut twin = read.clone();
        twin.as_object_mut().unwrap().remove("name");
        let twin = made(&api, kind, &twin).await;
        assert_covers(&twin, &wanted);
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let request = json!({
                "page_size": 1, "page_token": token, "filter": "display_name=\"made by a test\" AND managed=true",
            });
            let page = api.list(kind, BACKEND, &request).await.unwrap();
            let items = page[words(kind).fields]
                .as_array()
                .cloned()
                .unwrap_or_default();
            found.extend(items.iter().map(|it| name(it).to_owned()));
            token = page["next_page_token"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if token.is_empty() {
                break;
            }
        }
        let mut both = [name(&first).to_owned(), name(&twin).to_owned()];
        both.sort();
        assert_eq!(found, both);

        // What was read changes nothing, with any mask.
        let writes = tap.writes();
        for mask in [None, Some(&["*"][..])] {
            let answer = api.update(kind, &read, mask, false).await.unwrap();
            assert_eq!(answer[words(kind).field], read);
        }
        assert_eq!(tap.writes(), writes);

        let new = changes(kind);
        for (field, value) in new.as_object().unwrap() {
            let body = json!({ "name": name(&first), field: value });
            let answer = api.update(kind, &body, Some(&[field]), false).await;
            let answer = answer.unwrap_or_else(|error| panic!("{body}: {error:?}"));
            assert_eq!(answer[words(kind).field][field], *value);
            settle(kind, &first);
        }
        let after = api.get(kind, name(&first)).await.unwrap();
        assert_covers(&after, &new);
        let stale = json!({ "name": name(&first), "display_name": "x", "etag": first["etag"] });
        let answer = api.update(kind, &stale, None, false).await;
        assert_refused(answer, Code::Aborted, "STALE_ETAG", "");

        remove(&api, kind, &twin).await;
        remove(&api, kind, &first).await;
        for answer in [
            api.get(kind, name(&first)).await,
            api.delete(kind, name(&first), &json!({})).await,
        ] {
            let error = answer.unwrap_err();
            assert_eq!(
                (error.code(), reason(&error).as_str()),
                (Code::NotFound, "RESOURCE_NOT_FOUND")
            );
        }
        let again = api
            .delete(kind, name(&first), &json!({ "allow_missing": true }))
            .await;
        assert_eq!(again.unwrap(), json!({}));
    }
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_connection_uses_stays() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let api = Api::new(running.channel.clone());
    let ike = made(
        &api,
        ResourceKind::IkePolicy,
        &json!({ "display_name": "used" }),
    )
    .await;
    let ipsec = made(
        &api,
        ResourceKind::IpsecPolicy,
        &json!({ "display_name": "used" }),
    )
    .await;
    let service = json!({ "display_name": "used", "router": seeded("DEMO", "ROUTER") });
    let service = made(&api, ResourceKind::VpnService, &service).await;
    let local = json!({ "type": "TYPE_SUBNET", "endpoints": [seeded("DEMO", "SUBNET_1")] });
    let local = made(&api, ResourceKind::EndpointGroup, &local).await;
    let peer = json!({ "type": "TYPE_CIDR", "endpoints": ["10.93.0.0/24"] });
    let peer = made(&api, ResourceKind::EndpointGroup, &peer).await;
    // What a policy is where nothing is said: no series refuses it.
    assert_eq!(
        ike["integrity_algorithms"],
        json!(["INTEGRITY_ALGORITHM_HMAC_SHA2_256_128"])
    );
    let connection = create(&running, |connection| {
        use isthmus::grpc::pb::connection::Selectors;
        connection.ike_policy = name(&ike).to_owned();
        connection.ipsec_policy = name(&ipsec).to_owned();
        connection.vpn_service = name(&service).to_owned();
        if let Some(Selectors::PolicyBased(groups)) = &mut connection.selectors {
            groups.local_endpoint_group = name(&local).to_owned();
            groups.peer_endpoint_group = name(&peer).to_owned();
        }
    });
    let connection = connection.await.unwrap().connection.unwrap().name;
    let used = [
        (ResourceKind::IkePolicy, &ike, "409 IKEPolicyInUse"),
        (ResourceKind::IpsecPolicy, &ipsec, "409 IPsecPolicyInUse"),
        (ResourceKind::VpnService, &service, "409 VPNServiceInUse"),
        (
            ResourceKind::EndpointGroup,
            &local,
            "400 EndpointGroupInUse",
        ),
        (ResourceKind::EndpointGroup, &peer, "400 EndpointGroupInUse"),
    ];
    let in_use = |answer, said: &str| {
        assert_refused(answer, Code::FailedPrecondition, "IN_USE", said);
    };
    for (kind, resource, said) in used {
        in_use(api.delete(kind, name(resource), &json!({})).await, said);
        let renamed = json!({ "name": name(resource), "display_name": "x" });
        let answer = api.update(kind, &renamed, None, false).await;
        match kind {
            // Known before it is asked for.
            ResourceKind::IkePolicy | ResourceKind::IpsecPolicy => in_use(answer, ""),
            ResourceKind::VpnService => {
                let error = answer.unwrap_err();
                let why = (error.code(), reason(&error));
                assert_eq!(
                    why,
                    (Code::FailedPrecondition, "WRONG_STATE".to_owned()),
                    "{error:?}"
                );
            }
            _ => assert_eq!(answer.unwrap()[words(kind).field]["display_name"], "x"),
        }
        // What would change nothing is no change, used or not.
        let read = api.get(kind, name(resource)).await.unwrap();
        let same = api.update(kind, &read, Some(&["*"]), false).await.unwrap();
        assert_eq!(same[words(kind).field], read);
    }
    crate::calls::remove(&running, &connection).await;
    for (kind, resource, _) in used {
        remove(&api, kind, resource).await;
    }
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_neutron_does_not_take_is_said_by_name() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let api = Api::new(running.channel.clone());
    let service = |router: String, subnet: Option<String>| {
        let mut body = json!({ "display_name": "x", "router": router });
        if let Some(subnet) = subnet {
            body["subnet"] = json!(subnet);
        }
        body
    };
    let (mine, nowhere) = (
        seeded("DEMO", "ROUTER"),
        "00000000-0000-4000-8000-000000000000".to_owned(),
    );
    // A router of our own that leads nowhere.
    let (me, body) = (Login::demo(), json!({ "router": { "name": "lone" } }));
    let lone = operator::neutron(&me, Method::POST, "routers", body);
    let lone = lone.await["router"]["id"].as_str().unwrap().to_owned();
    let group = |kind: &str, endpoint: &str| json!({ "type": kind, "endpoints": [endpoint] });
    let cases = [
        (
            ResourceKind::VpnService,
            service(nowhere.clone(), None),
            "vpn_service.router",
        ),
        (
            ResourceKind::VpnService,
            service(seeded("OTHER", "ROUTER"), None),
            "vpn_service.router",
        ),
        (
            ResourceKind::VpnService,
            service(lone.clone(), None),
            "vpn_service.router",
        ),
        (
            ResourceKind::VpnService,
            service(mine, Some(nowhere.clone())),
            "vpn_service.subnet",
        ),
        (
            ResourceKind::EndpointGroup,
            group("TYPE_SUBNET", &nowhere),
            "endpoint_group.endpoints",
        ),
    ];
    for (kind, body, field) in cases {
        let error = api
            .create(kind, BACKEND, &body, false)
            .await
            .expect_err(&body.to_string());
        let codes = [Code::FailedPrecondition, Code::InvalidArgument];
        assert!(codes.contains(&error.code()), "{body}: {error:?}");
        let named = fields(&error);
        assert!(
            named.iter().all(|it| it.split('[').next() == Some(field)),
            "{body}: {error:?}"
        );
        assert!(
            !metadata(&error, "upstream_message").is_empty() || !named.is_empty(),
            "{error:?}"
        );
    }
    let attachments = json!({
        "parent": format!("backends/{BACKEND}"), "filter": "kind=KIND_ROUTER", "page_size": 1000,
    });
    let listed = api
        .call("TopologyService/ListAttachments", &attachments)
        .await
        .unwrap();
    let routers = listed["attachments"].as_array().unwrap();
    let of = |id: &str| routers.iter().find(|it| it["id"] == id);
    let usable = of(&seeded("DEMO", "ROUTER")).unwrap();
    assert_eq!(
        (&usable["usable"], &usable["reason"]),
        (&json!(true), &Value::Null),
        "{usable}"
    );
    assert!(
        !usable["addresses"].as_array().unwrap().is_empty(),
        "{usable}"
    );
    let barred = of(&lone).unwrap();
    assert_eq!(barred["usable"], Value::Null, "{barred}");
    assert!(barred["reason"].is_string(), "{barred}");
    assert!(of(&seeded("OTHER", "ROUTER")).is_none(), "{routers:?}");
    let subnets = json!({
        "parent": format!("backends/{BACKEND}"),
        "filter": format!("kind=KIND_SUBNET AND parent_id={}", seeded("DEMO", "ROUTER")),
    });
    let listed = api
        .call("TopologyService/ListAttachments", &subnets)
        .await
        .unwrap();
    assert!(
        listed.to_string().contains(&seeded("DEMO", "SUBNET_1")),
        "{listed}"
    );
    let path = format!("routers/{lone}");
    operator::neutron(&Login::demo(), Method::DELETE, &path, Value::Null).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_project_has_is_not_there() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let api = Api::new(running.channel.clone());
    for (kind, what) in [
        (ResourceKind::IkePolicy, "IKE_POLICY"),
        (ResourceKind::IpsecPolicy, "IPSEC_POLICY"),
        (ResourceKind::VpnService, "VPN_SERVICE"),
        (ResourceKind::EndpointGroup, "PEER_ENDPOINT_GROUP"),
    ] {
        let id = seeded("OTHER", what);
        let name = format!("backends/{BACKEND}/{}/{id}", kind.collection().segment());
        let renamed = json!({ "name": name, "display_name": "x" });
        for answer in [
            api.get(kind, &name).await,
            api.update(kind, &renamed, None, false).await,
            api.delete(kind, &name, &json!({})).await,
        ] {
            let error = answer.unwrap_err();
            let why = (error.code(), reason(&error));
            assert_eq!(
                why,
                (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned()),
                "{error:?}"
            );
        }
        let all = api
            .list(kind, BACKEND, &json!({ "page_size": 1000 }))
            .await
            .unwrap();
        assert!(!all.to_string().contains(&id), "{name}");
        assert!(all.to_string().contains(&seeded("DEMO", what)), "{name}");
    }
    for kind in [ResourceKind::DpdPolicy, ResourceKind::LocalEndpoint] {
        let error = api.list(kind, BACKEND, &json!({})).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Unimplemented, "KIND_ABSENT")
        );
    }
}

/// What one series takes and the next one's database refuses: by its name if the backend says which it is, else by Neutron.
#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_series_has_dropped_is_refused() {
    let _shared = cloud::shared().await;
    let kept = cloud::series() == World::Neutron;
    let unsaid = cloud::settings(&Login::demo()).with("variant", "neutron");
    let (unsaid, said) = (gateway_with(unsaid).await, gateway(&Login::demo()).await);
    let apis = [&unsaid, &said].map(|it| Api::new(it.channel.clone()));
    let hash = json!({ "integrity_algorithms": ["INTEGRITY_ALGORITHM_HMAC_SHA1_96"] });
    let cipher = json!({ "encryption_algorithms": ["ENCRYPTION_ALGORITHM_3DES"] });
    for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
        for body in [&hash, &cipher] {
            for (api, upstream) in apis.iter().zip(["500", ""]) {
                match api.create(kind, BACKEND, body, false).await {
                    Ok(answer) => {
                        assert!(kept, "{body} was taken");
                        let made = &answer[words(kind).field];
                        assert_covers(made, body);
                        remove(api, kind, made).await;
                    }
                    Err(error) => {
                        assert!(!kept, "{body}: {error:?}");
                        assert_eq!(metadata(&error, "upstream_status"), upstream, "{error:?}");
                        let is_known = reason(&error) == "NOT_EXPRESSIBLE";
                        assert_eq!(is_known, upstream.is_empty(), "{error:?}");
                    }
                }
            }
        }
    }
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_each_kind_says_so() {
    let _shared = cloud::shared().await;
    let called = format!("test-{}", uuid::Uuid::new_v4());
    let body = json!({ "project": { "name": called, "domain_id": "default" } });
    let project = operator::keystone(Method::POST, "projects", body).await;
    let project = project["project"]["id"].as_str().unwrap().to_owned();
    let quotas = [
        (ResourceKind::IkePolicy, "ikepolicy"),
        (ResourceKind::IpsecPolicy, "ipsecpolicy"),
        (ResourceKind::EndpointGroup, "endpoint_group"),
    ];
    for (_, quota) in quotas {
        operator::set_quota(&project, quota, 0).await;
    }
    let user = User::new(&called, &project, &["member"]).await;
    let running = gateway(&user.login).await;
    let api = Api::new(running.channel.clone());
    let mut found = Vec::new();
    for (kind, _) in quotas {
        found.push(api.create(kind, BACKEND, &whole(kind, "x"), false).await);
    }
    user.remove().await;
    operator::keystone(Method::DELETE, &format!("projects/{project}"), Value::Null).await;
    for answer in found {
        assert_refused(
            answer,
            Code::ResourceExhausted,
            "QUOTA_EXCEEDED",
            "409 OverQuota",
        );
    }
}
