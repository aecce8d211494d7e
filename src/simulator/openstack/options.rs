//! How a simulated OpenStack starts.

use std::time::Duration;

use crate::simulator::openstack::memo::AgentPace;
use crate::simulator::openstack::variant::{Series, Variant};

/// How a simulated OpenStack starts.
#[derive(Clone, Debug)]
pub struct OpenstackOptions {
    /// The cloud to simulate. Defaults to stock Neutron.
    pub variant: Variant,
    /// The release of stock Neutron. Defaults to 2026.1. The other variants ignore it.
    pub series: Series,
    /// What moves connections. Defaults to the levers alone.
    pub pace: AgentPace,
    /// Whether Neutron ignores tokens and takes every caller for the demo member. Defaults to false.
    pub no_auth: bool,
    /// Lifetime of tokens. Defaults to one hour.
    pub token_lifetime: Duration,
    /// How long Neutron still accepts a revoked token. Defaults to 300 s, as on a real cloud.
    pub token_cache_time: Duration,
    /// `pagination_max_limit`. Defaults to infinite.
    pub page_cap: Option<usize>,
    /// Whether Open Telekom Cloud spells `PENDING CREATE` with a blank, as in one of its examples. Defaults to false.
    pub blank_in_status: bool,
    /// Whether K5 puts an `@` before peer ids. Defaults to false.
    pub at_before_peer_id: bool,
}

impl Default for OpenstackOptions {
    fn default() -> Self {
        Self {
            variant: Variant::default(),
            series: Series::default(),
            pace: AgentPace::default(),
            no_auth: false,
            token_lifetime: Duration::from_secs(3600),
            token_cache_time: Duration::from_secs(300),
            page_cap: None,
            blank_in_status: false,
            at_before_peer_id: false,
        }
    }
}
