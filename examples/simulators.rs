//! Runs both simulated clouds as servers, for clients in other languages.
//!
//! Prints their addresses and credentials as `KEY=value` lines, of which `READY` is the last, and serves until standard
//! input ends:
//!
//! ```sh
//! cargo run --example simulators
//! ```

use isthmus::simulator::{
    nsx::{Levers, NsxOptions, NsxSimulator, Pace, inventory},
    openstack::{AgentPace, OpenstackOptions, OpenstackSimulator},
};
use std::{error::Error, io, time::Duration};

/// How long a cloud takes for one step: long enough for a client to see the steps, short enough to wait for.
const STEP: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let account = NsxOptions::default();
    let nsx = NsxSimulator::start(NsxOptions {
        levers: Levers {
            pace: Pace::Elapsed { per_node: STEP },
            tunnel_up_after: Some(STEP),
            ..Levers::default()
        },
        ..NsxOptions::default()
    })?;
    let openstack = OpenstackSimulator::start(OpenstackOptions {
        pace: AgentPace::Elapsed {
            installed: STEP,
            established: 2 * STEP,
            dip_on_update: false,
        },
        ..OpenstackOptions::default()
    })?;
    let inventory = openstack.inventory();
    for (key, value) in [
        ("NSX_URL", nsx.url()),
        ("NSX_USERNAME", account.username),
        ("NSX_PASSWORD", account.password),
        ("NSX_SERVICE", inventory::SERVICE_ID.to_owned()),
        // The environment variables that OpenStack's own clients read.
        ("OS_AUTH_URL", format!("{}/v3", openstack.keystone_url())),
        ("OS_USERNAME", inventory.member.name.to_owned()),
        ("OS_PASSWORD", inventory.member.password.to_owned()),
        ("OS_PROJECT_ID", inventory.project.project_id.to_owned()),
        ("OS_USER_DOMAIN_ID", "default".to_owned()),
        ("ROUTER", inventory.project.router_id.to_owned()),
        ("SUBNET", inventory.project.subnet_id.to_owned()),
        ("OTHER_IKE_POLICY", inventory.other.ike_policy_id.to_owned()),
        ("READY", "yes".to_owned()),
    ] {
        println!("{key}={value}");
    }
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    Ok(())
}
