//! What an operator of the cloud does beside the gateway, with requests of its own.

use crate::cloud::{Login, variable};
use reqwest::{Client, Method};
use serde_json::{Value, json};

fn http() -> Client {
    // A second installation fails, and is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// A token of this login, and what Keystone says of it.
pub async fn token(login: &Login) -> (String, Value) {
    let body = json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": {
            "name": login.user, "password": login.password, "domain": { "id": "default" } } } },
        "scope": { "project": { "name": login.project, "domain": { "id": "default" } } } } });
    let url = format!("{}/v3/auth/tokens", variable("LIVE_KEYSTONE_URL"));
    let answer = http().post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let token = answer.headers()["x-subject-token"]
        .to_str()
        .unwrap()
        .to_owned();
    (token, answer.json::<Value>().await.unwrap()["token"].take())
}

fn admin() -> Login {
    Login {
        user: variable("LIVE_ADMIN_USER"),
        password: variable("LIVE_ADMIN_PASSWORD"),
        project: "admin".to_owned(),
    }
}

async fn call(login: &Login, method: Method, url: String, body: Value) -> Value {
    let (token, _) = token(login).await;
    let mut request = http()
        .request(method.clone(), &url)
        .header("x-auth-token", token);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{method} {url}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Asks Neutron as this login, below `/v2.0`.
pub async fn neutron(login: &Login, method: Method, path: &str, body: Value) -> Value {
    let url = format!("{}/v2.0/{path}", variable("LIVE_NEUTRON_URL"));
    call(login, method, url, body).await
}

/// Asks Keystone as the administrator, below `/v3`.
pub async fn keystone(method: Method, path: &str, body: Value) -> Value {
    let url = format!("{}/v3/{path}", variable("LIVE_KEYSTONE_URL"));
    call(&admin(), method, url, body).await
}

/// Sets a quota as the administrator.
pub async fn set_quota(project_id: &str, what: &str, limit: i64) {
    let body = json!({ "quota": { what: limit } });
    neutron(&admin(), Method::PUT, &format!("quotas/{project_id}"), body).await;
}

/// Takes a token back.
pub async fn revoke(token_to_revoke: &str) {
    let url = format!("{}/v3/auth/tokens", variable("LIVE_KEYSTONE_URL"));
    let (token, _) = token(&admin()).await;
    let answer = http()
        .delete(url)
        .header("x-auth-token", token)
        .header("x-subject-token", token_to_revoke)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
}

/// A user made for one test.
pub struct User {
    /// How it logs in.
    pub login: Login,
    id: String,
    project_id: String,
}

impl User {
    /// One with these roles on a project.
    pub async fn new(project: &str, project_id: &str, roles: &[&str]) -> User {
        let login = Login {
            user: format!("test-{}", uuid::Uuid::new_v4()),
            password: "test-password".to_owned(),
            project: project.to_owned(),
        };
        let body = json!({ "user": {
            "name": login.user, "password": login.password, "domain_id": "default" } });
        let made = keystone(Method::POST, "users", body).await;
        let user = User {
            login,
            id: made["user"]["id"].as_str().unwrap().to_owned(),
            project_id: project_id.to_owned(),
        };
        for role in roles {
            user.role(Method::PUT, role).await;
        }
        user
    }

    /// Gives (`PUT`) or takes (`DELETE`) a role.
    pub async fn role(&self, method: Method, role: &str) {
        let found = keystone(Method::GET, &format!("roles?name={role}"), Value::Null).await;
        let role = found["roles"][0]["id"].as_str().unwrap();
        let path = format!(
            "projects/{}/users/{}/roles/{role}",
            self.project_id, self.id
        );
        keystone(method, &path, Value::Null).await;
    }

    /// Removes the user.
    pub async fn remove(self) {
        keystone(Method::DELETE, &format!("users/{}", self.id), Value::Null).await;
    }
}
