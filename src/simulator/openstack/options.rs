//! What kind of OpenStack to start.

use std::time::Duration;

use crate::simulator::openstack::memo::AgentPace;
use crate::simulator::openstack::variant::{Series, Variant};

/// What kind of OpenStack to start.
#[derive(Clone, Debug)]
pub struct OpenstackOptions {
    /// Whose cloud it is; stock Neutron by default.
    pub variant: Variant,
    /// Which release of stock Neutron; 2026.1 by default. The other variants ignore it.
    pub series: Series,
    /// Who moves connections; nobody by default.
    pub pace: AgentPace,
    /// Whether Neutron takes any token or none, and everybody for the demo member; false by default.
    pub no_auth: bool,
    /// How long tokens are valid; an hour by default.
    pub token_lifetime: Duration,
    /// How long Neutron goes on taking a token after it was revoked; 300 s by default, as on a real one.
    pub token_cache_time: Duration,
    /// `pagination_max_limit`; infinite by default.
    pub page_cap: Option<usize>,
    /// Whether Open Telekom Cloud spells `PENDING CREATE` with a blank, as in one of its examples; false by default.
    pub blank_in_status: bool,
    /// Whether K5 puts an `@` before peer ids; false by default.
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
