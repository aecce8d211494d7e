//! Tokens, scopes and roles.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::simulator::openstack::tests::{Bench, CONNECTIONS, password};
use crate::simulator::openstack::{LoginCounts, OpenstackOptions, Region};

#[tokio::test]
async fn a_token_is_scoped_by_name_by_id_or_by_its_application_credential() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let (member, project) = (&bench.inventory.member, bench.inventory.project.project_id);
    let by_id = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"id": member.id, "password": member.password}}},
        "scope": {"project": {"id": project}},
    }});
    let credential = &bench.inventory.application_credential;
    let by_credential = json!({"auth": {"identity": {
        "methods": ["application_credential"],
        "application_credential": {"id": credential.id, "secret": credential.password},
    }}});
    for body in [password(member, Some("demo")), by_id, by_credential.clone()] {
        let got = bench.post_tokens(&body).await;
        assert_eq!(got.status, 201);
        assert_eq!(got.headers["x-subject-token"].len(), 183);
        let token = got.json()["token"].clone();
        assert_eq!(token["project"]["id"], project);
        assert_eq!(token["roles"][1]["name"], "member");
        assert_eq!(
            token["catalog"][0]["endpoints"][0]["url"],
            bench.cloud.neutron_url()
        );
    }
    let mut scoped = by_credential;
    scoped["auth"]["scope"] = json!({"project": {"id": project}});
    for body in [
        scoped,
        password(member, Some("other")),
        json!({"auth": {"identity": {"methods": ["password"]}}}),
    ] {
        assert_eq!(bench.post_tokens(&body).await.status, 401);
    }
    assert_eq!(
        bench
            .post_tokens(&json!({"auth": {"identity": {}}}))
            .await
            .status,
        400
    );
    assert_eq!(
        bench.cloud.state().logins(),
        LoginCounts {
            granted: 4,
            refused: 3
        }
    );
}

#[tokio::test]
async fn who_may_not_see_is_shown_empty_lists() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let id = bench.created(json!({})).await;
    let item = format!("{CONNECTIONS}/{id}");
    let inventory = &bench.inventory;
    let reader = bench.log_in(&inventory.reader, Some("demo")).await;
    let unscoped = bench.log_in(&inventory.member, None).await;
    let other = bench.log_in(&inventory.other_member, Some("other")).await;
    let admin = bench.log_in(&inventory.admin, Some("other")).await;
    for (token, rows, refusal) in [
        (&reader, 0, Some("HTTPNotFound")),
        (&unscoped, 0, Some("IPsecSiteConnectionNotFound")),
        (&other, 0, Some("IPsecSiteConnectionNotFound")),
        (&admin, 1, None),
    ] {
        let list = bench.call_as(token, Method::GET, CONNECTIONS, None).await;
        assert_eq!(list.status, 200);
        assert_eq!(
            list.json()["ipsec_site_connections"]
                .as_array()
                .unwrap()
                .len(),
            rows
        );
        let put = json!({"ipsec_site_connection": {}});
        for (method, body) in [
            (Method::GET, None),
            (Method::PUT, Some(put)),
            (Method::DELETE, None),
        ] {
            if let Some(refusal) = refusal {
                assert_eq!(
                    bench.call_as(token, method, &item, body).await.refusal(),
                    (404, refusal.to_owned())
                );
            }
        }
    }
    let router = format!("/v2.0/routers/{}?fields=id", inventory.project.router_id);
    assert_eq!(
        bench
            .call_as(&reader, Method::GET, &router, None)
            .await
            .status,
        200
    );
    let created = bench
        .call_as(
            &reader,
            Method::POST,
            CONNECTIONS,
            Some(bench.wanted(json!({}))),
        )
        .await;
    assert_eq!(created.refusal(), (403, "PolicyNotAuthorized".to_owned()));
}

#[tokio::test]
async fn an_expired_token_is_refused_and_a_revoked_one_is_cached() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let url = format!("{}/v3/auth/tokens", bench.cloud.keystone_url());
    let with = |request: reqwest::RequestBuilder, own: &str| {
        request
            .header("x-auth-token", own.to_owned())
            .header("x-subject-token", bench.token.clone())
    };
    let revoker = bench.log_in(&bench.inventory.admin, Some("demo")).await;
    let shown = with(bench.client.get(&url), &revoker).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    let refused = with(bench.client.delete(&url), "nobody")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    let still = with(bench.client.get(&url), &revoker).send().await.unwrap();
    assert_eq!(still.status(), 200, "a refused call revokes nothing");
    let revoked = with(bench.client.delete(&url), &revoker)
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), 204);
    let gone = with(bench.client.get(&url), &revoker).send().await.unwrap();
    assert_eq!(gone.status(), 404);
    assert_eq!(bench.get(CONNECTIONS).await.status, 200);
    bench.cloud.state().expire_all_tokens();
    let refused = bench.get(CONNECTIONS).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"]["title"], "Unauthorized");
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let options = OpenstackOptions {
        token_lifetime: Duration::from_millis(50),
        ..OpenstackOptions::default()
    };
    let bench = Bench::new(options).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.get(CONNECTIONS).await.status != 401 {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn keystone_can_be_down_alone_and_the_catalogue_can_point_elsewhere() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    bench.cloud.keystone().stop().await.unwrap();
    assert_eq!(bench.get(CONNECTIONS).await.status, 200);
    bench.cloud.keystone().restart().await.unwrap();
    let region = Region {
        name: "RegionTwo".to_owned(),
        network_url: Some("http://elsewhere.example".to_owned()),
    };
    bench.cloud.state().set_regions(vec![region]);
    assert!(
        bench
            .cloud
            .state()
            .set_roles("demo", bench.inventory.project.project_id, &["reader"])
    );
    let token = bench
        .post_tokens(&password(&bench.inventory.member, Some("demo")))
        .await
        .json();
    assert_eq!(
        token["token"]["catalog"][0]["endpoints"][0]["url"],
        "http://elsewhere.example"
    );
    assert_eq!(
        token["token"]["catalog"][0]["endpoints"][0]["region"],
        "RegionTwo"
    );
    assert_eq!(token["token"]["roles"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_authentication_any_token_or_none_is_taken() {
    let bench = Bench::new(OpenstackOptions {
        no_auth: true,
        ..OpenstackOptions::default()
    })
    .await;
    let url = format!("{}{CONNECTIONS}", bench.cloud.neutron_url());
    assert_eq!(bench.client.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(
        bench
            .client
            .get(&url)
            .header("x-auth-token", "anything")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let body = bench.wanted(json!({}));
    assert_eq!(
        bench
            .client
            .post(&url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .status(),
        201
    );
}
