//! Commands to paste into another terminal while the demo runs.

use crate::cli::{
    demo::clouds::{NSX, PSK, local_endpoint},
    names::short,
};
use std::net::SocketAddr;

/// The values in the commands.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The address of the gateway.
    pub address: SocketAddr,
    /// The name under which this program was started.
    pub program: &'a str,
    /// The full name of the connection on the simulated NSX.
    pub nsx: &'a str,
    /// The full name of the connection on the simulated OpenStack.
    pub openstack: &'a str,
    /// The token of the write that created the connection on NSX.
    pub write_token: &'a str,
}

/// Returns the commands, each with a comment.
pub fn lines(subject: &Subject<'_>) -> String {
    let Subject {
        address,
        program,
        nsx,
        openstack,
        write_token,
    } = subject;
    let endpoint = if address.to_string() == "127.0.0.1:50051" {
        String::new()
    } else {
        format!(" --endpoint http://{address}")
    };
    let (nsx_short, openstack_short) = (short(nsx), short(openstack));
    let call = |body: &str, method: &str| {
        format!("grpcurl -plaintext -d '{body}' {address} isthmus.v1.{method}")
    };
    let get = call(
        &format!(r#"{{"name": "{nsx}"}}"#),
        "ConnectionService/GetConnection",
    );
    let written = call(
        &format!(r#"{{"name": "{nsx}", "writeToken": "{write_token}"}}"#),
        "RealizationService/WatchRealization",
    );
    let create = call(
        &format!(
            r#"{{"parent": "backends/{NSX}", "connection": {{"displayName": "branch", "localEndpoint": "{}", "peer": {{"address": "203.0.113.99", "psk": "{PSK}"}}, "policyBased": {{"rules": [{{"sources": ["10.99.0.0/24"], "destinations": ["192.168.99.0/24"]}}]}}}}}}"#,
            local_endpoint()
        ),
        "ConnectionService/CreateConnection",
    );
    let watch =
        format!("grpcurl -plaintext -d @ {address} isthmus.v1.RealizationService/WatchRealization");
    let every = call(
        r#"{"parent": "backends/-"}"#,
        "RealizationService/WatchRealizations",
    );
    format!(
        "\
# what there is
grpcurl -plaintext {address} list
grpcurl -plaintext {address} describe isthmus.v1.RealizationService
# one connection, and how the write that made it ended
{get}
{written}
# make another one and watch that very write become real, node by node
{create} \\
  | sed -nE '{TOKEN_OF_ANSWER}' \\
  | {watch}
# everything, until ctrl-c
{every}
# the same without grpcurl
{program} list{endpoint}
{program} watch {nsx_short} --write-token {write_token}{endpoint}
{program} watch {openstack_short}{endpoint}"
    )
}

/// The sed script that turns the answer of a create into the request of a watch. grpcurl indents by two blanks per
/// level.
const TOKEN_OF_ANSWER: &str = r#"s/^    "name": ("[^"]*").*/{"name": \1,/p; s/^  "write_?[Tt]oken": ("[^"]*").*/"writeToken": \1}/p"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> String {
        lines(&Subject {
            address: address.parse().unwrap(),
            program: "isthmus",
            nsx: "backends/nsx-demo/connections/1",
            openstack: "backends/openstack-demo/connections/2",
            write_token: "AbC",
        })
    }

    #[test]
    fn requests_are_json() {
        let text = of("127.0.0.1:50051");
        let bodies: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split("-d '").nth(1)?.split('\'').next())
            .collect();
        assert_eq!(bodies.len(), 4, "{text}");
        for body in bodies {
            serde_json::from_str::<serde_json::Value>(body).expect(body);
        }
    }

    #[test]
    fn another_address_is_named_in_every_line() {
        for line in of("127.0.0.1:7").lines() {
            let whole_command = !line.starts_with('#') && !line.starts_with("  | sed");
            assert!(!whole_command || line.contains("127.0.0.1:7"), "{line}");
        }
        assert!(!of("127.0.0.1:50051").contains("--endpoint"));
    }
}
