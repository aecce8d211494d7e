//! The state that Keystone and Neutron share.

use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::simulator::openstack::identity::Identity;
use crate::simulator::openstack::inventory::Inventory;
use crate::simulator::openstack::options::OpenstackOptions;
use crate::simulator::openstack::state::{Caller, Cloud};
use crate::simulator::openstack::variant::Spelling;

#[derive(Debug)]
pub(crate) struct Shared {
    /// The caller of every request, if Neutron requires no token.
    pub(super) everybody: Option<Caller>,
    urls: OnceLock<Urls>,
    /// std mutexes, because no holder awaits anything. No code holds both at once.
    identity: Mutex<Identity>,
    cloud: Mutex<Cloud>,
}

#[derive(Debug)]
struct Urls {
    keystone: String,
    neutron: String,
}

impl Shared {
    pub(super) fn new(options: &OpenstackOptions) -> Self {
        let inventory = Inventory::fixed();
        let mut identity = Identity::new(options.token_lifetime, options.token_cache_time);
        inventory.enroll(&mut identity);
        let mut cloud = Cloud::new(
            options.variant,
            options.series,
            options.pace,
            inventory.network(),
        );
        cloud.page_cap = options.page_cap.filter(|cap| *cap > 0);
        cloud.spelling = Spelling {
            blank_in_status: options.blank_in_status,
            at_before_peer_id: options.at_before_peer_id,
        };
        inventory.fill(&mut cloud);
        let everybody = options.no_auth.then(|| Caller {
            project: Some(inventory.project.project_id.to_owned()),
            roles: vec!["reader".to_owned(), "member".to_owned()],
        });
        Self {
            everybody,
            urls: OnceLock::new(),
            identity: Mutex::new(identity),
            cloud: Mutex::new(cloud),
        }
    }

    /// Sets the addresses of both services. Only the first call counts.
    pub(super) fn reached_at(&self, keystone: String, neutron: String) {
        self.urls.get_or_init(|| Urls { keystone, neutron });
    }

    pub(super) fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity
            .lock()
            .expect("no code panics while it holds the identity")
    }

    pub(super) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud
            .lock()
            .expect("no code panics while it holds the cloud")
    }

    pub(super) fn keystone_url(&self) -> String {
        self.urls
            .get()
            .map(|urls| urls.keystone.clone())
            .unwrap_or_default()
    }

    pub(super) fn neutron_url(&self) -> String {
        self.urls
            .get()
            .map(|urls| urls.neutron.clone())
            .unwrap_or_default()
    }
}
