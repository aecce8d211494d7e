//! The state behind Keystone: users, projects and issued tokens. No I/O.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::simulator::openstack::clock::Stamp;
use crate::simulator::openstack::state::Caller;

/// Users, projects, roles and tokens of one cloud.
pub(crate) struct Identity {
    pub(crate) users: Vec<User>,
    pub(crate) projects: Vec<Project>,
    pub(crate) application_credentials: Vec<ApplicationCredential>,
    pub(crate) lifetime: Duration,
    /// How long Neutron still accepts a revoked token, because its middleware caches tokens (`token_cache_time`).
    pub(crate) cache_time: Duration,
    pub(crate) regions: Vec<Region>,
    pub(crate) logins: LoginCounts,
    /// Previous passwords of users and secrets of credentials that are still accepted, by id.
    pub(crate) retiring: HashMap<String, String>,
    tokens: HashMap<String, Token>,
}

impl fmt::Debug for Identity {
    /// Omits passwords and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("logins", &self.logins)
            .finish_non_exhaustive()
    }
}

/// Counts of token requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginCounts {
    /// Requests answered with a token.
    pub granted: u64,
    /// Requests answered with 401.
    pub refused: u64,
}

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) password: String,
    /// Role names by project id.
    pub(crate) roles: HashMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Clone)]
pub(crate) struct ApplicationCredential {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) user: String,
    pub(crate) project: String,
}

/// One region of the catalogue.
#[derive(Clone, Debug)]
pub struct Region {
    /// Id and name of the region.
    pub name: String,
    /// Address of the network endpoint without `/v2.0`. `None` means the simulator's own Neutron.
    pub network_url: Option<String>,
}

/// One token. The map of tokens is keyed by its text.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) user: User,
    pub(crate) project: Option<Project>,
    pub(crate) roles: Vec<String>,
    pub(crate) method: String,
    pub(crate) audit_id: String,
    pub(crate) issued: Stamp,
    pub(crate) expires: Stamp,
    expires_at: Instant,
    revoked_at: Option<Instant>,
}

impl Identity {
    pub(crate) fn new(lifetime: Duration, cache_time: Duration) -> Self {
        Self {
            users: Vec::new(),
            projects: Vec::new(),
            application_credentials: Vec::new(),
            lifetime,
            cache_time,
            regions: vec![Region {
                name: "RegionOne".to_owned(),
                network_url: None,
            }],
            logins: LoginCounts::default(),
            retiring: HashMap::new(),
            tokens: HashMap::new(),
        }
    }

    /// Issues a token. The text is the value of `X-Subject-Token`.
    pub(crate) fn issue(
        &mut self,
        user: User,
        project: Option<Project>,
        method: &str,
        now: Instant,
    ) -> (String, Token) {
        let issued = Stamp::now();
        let roles = project
            .as_ref()
            .and_then(|project| user.roles.get(&project.id))
            .cloned()
            .unwrap_or_default();
        let token = Token {
            user,
            project,
            roles,
            method: method.to_owned(),
            audit_id: random_text(22),
            issued,
            expires: issued.plus(self.lifetime),
            expires_at: now + self.lifetime,
            revoked_at: None,
        };
        let text = format!("gAAAAAB{}", random_text(176));
        self.tokens.insert(text.clone(), token.clone());
        self.logins.granted += 1;
        (text, token)
    }

    /// Whether `given` is the current secret of this id, or its previous one while that is still accepted.
    pub(crate) fn takes(&self, id: &str, secret: &str, given: &Value) -> bool {
        let retiring = self.retiring.get(id).map(String::as_str);
        let given = given.as_str();
        given == Some(secret) || given.is_some() && given == retiring
    }

    /// Returns a token that Keystone itself accepts: neither expired nor revoked.
    pub(crate) fn valid(&self, text: &str, now: Instant) -> Option<&Token> {
        self.tokens
            .get(text)
            .filter(|token| now < token.expires_at && token.revoked_at.is_none())
    }

    /// Returns the caller that Neutron takes the bearer of a token for.
    ///
    /// An expired token is refused at once. A revoked one is refused only after the cache time.
    pub(crate) fn caller(&self, text: &str, now: Instant) -> Option<Caller> {
        let token = self
            .tokens
            .get(text)
            .filter(|token| now < token.expires_at)?;
        if token
            .revoked_at
            .is_some_and(|revoked| now >= revoked + self.cache_time)
        {
            return None;
        }
        let project = token.project.as_ref().map(|project| project.id.clone());
        Some(Caller {
            project,
            roles: token.roles.clone(),
        })
    }

    /// Gives the issued tokens of a user in a project the user's current roles there.
    pub(crate) fn tokens_take_roles(&mut self, user: &str, project_id: &str) {
        let known = self.users.iter().find(|known| known.name == user);
        let roles = known.and_then(|user| user.roles.get(project_id)).cloned();
        let is_of = |token: &&mut Token| {
            let project = token.project.as_ref();
            token.user.name == user && project.is_some_and(|project| project.id == project_id)
        };
        for token in self.tokens.values_mut().filter(is_of) {
            token.roles = roles.clone().unwrap_or_default();
        }
    }

    /// Revokes one token. Returns false if it was not valid.
    pub(crate) fn revoke(&mut self, text: &str, now: Instant) -> bool {
        let valid = self.valid(text, now).is_some();
        if let Some(token) = self.tokens.get_mut(text).filter(|_| valid) {
            token.revoked_at = Some(now);
        }
        valid
    }

    pub(crate) fn revoke_all(&mut self, now: Instant) {
        for token in self.tokens.values_mut() {
            token.revoked_at.get_or_insert(now);
        }
    }

    /// Expires every issued token.
    pub(crate) fn expire_all(&mut self) {
        self.tokens.clear();
    }
}

/// Random letters and digits, in place of URL-safe base64.
fn random_text(length: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(length)
        .collect()
}
