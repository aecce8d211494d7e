//! The index of this Neutron's collections, and its extensions.

use serde_json::{Value, json};

use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::Reply;
use crate::simulator::openstack::state::Cloud;
use crate::simulator::openstack::variant::Variant;

/// GET /v2.0/.
pub(crate) fn index(origin: &str) -> Reply {
    let resource = |name: &str, collection: &str| {
        let links = json!([{"rel": "self", "href": format!("{origin}/v2.0/{collection}")}]);
        json!({"name": name, "collection": collection, "links": links})
    };
    let resources = [
        resource("subnet", "subnets"),
        resource("port", "ports"),
        resource("router", "routers"),
        resource("extension", "extensions"),
    ];
    Reply::json(200, json!({"resources": resources}))
}

/// GET /v2.0/extensions.
pub(crate) fn extensions(cloud: &Cloud) -> Reply {
    let present = EXTENSIONS
        .iter()
        .filter(|extension| extension.present(cloud));
    let present: Vec<_> = present.map(Extension::describe).collect();
    Reply::json(200, json!({"extensions": present}))
}

/// GET /v2.0/extensions/{alias}. For an absent extension it is the only 404 with a plain text body.
pub(crate) fn extension(cloud: &Cloud, alias: &str) -> Reply {
    let found = EXTENSIONS
        .iter()
        .find(|extension| extension.alias == alias && extension.present(cloud));
    match found {
        Some(extension) => Reply::json(200, json!({"extension": extension.describe()})),
        None => {
            let body = format!(
                "404 Not Found\n\nThe resource could not be found.\n\n Extension with alias {alias} does not exist  "
            );
            Reply::text(404, "text/plain; charset=UTF-8", body)
        }
    }
}

struct Extension {
    alias: &'static str,
    name: &'static str,
    description: &'static str,
    updated: &'static str,
    /// Whether the extension belongs to the VPN plugin.
    vpn: bool,
}

impl Extension {
    fn present(&self, cloud: &Cloud) -> bool {
        let known = match self.alias {
            "vpn-endpoint-groups" => cloud.variant.has(Kind::EndpointGroup),
            // These date from 2017 and 2024. The other clouds branched off Neutron earlier.
            "vpn-flavors" | "vpn-aes-ctr" => cloud.variant == Variant::Neutron,
            _ => true,
        };
        known && !(self.vpn && cloud.vpn_absent)
    }

    fn describe(&self) -> Value {
        json!({
            "name": self.name, "alias": self.alias, "description": self.description, "updated": self.updated,
            "links": [],
        })
    }
}

const EXTENSIONS: [Extension; 7] = [
    Extension {
        alias: "vpnaas",
        name: "VPN service",
        description: "Extension for VPN service",
        updated: "2013-05-29T10:00:00-00:00",
        vpn: true,
    },
    Extension {
        alias: "vpn-endpoint-groups",
        name: "VPN Endpoint Groups",
        description: "VPN endpoint groups support",
        updated: "2015-08-04T10:00:00-00:00",
        vpn: true,
    },
    Extension {
        alias: "vpn-flavors",
        name: "VPN Service Flavor Extension",
        description: "Flavor support for vpnservices.",
        updated: "2017-04-19T00:00:00-00:00",
        vpn: true,
    },
    Extension {
        alias: "vpn-aes-ctr",
        name: "VPN support for AES CTR mode",
        description: "Add AES CTR choices for encryption algorithm",
        updated: "2024-01-09T09:00:00-00:00",
        vpn: true,
    },
    Extension {
        alias: "router",
        name: "Neutron L3 Router",
        description: "Router abstraction for basic L3 forwarding between L2 Neutron networks and access to external \
                      networks via a NAT gateway.",
        updated: "2012-07-20T10:00:00-00:00",
        vpn: false,
    },
    Extension {
        alias: "quota_details",
        name: "Quota details management support",
        description: "Expose functions for quotas usage statistics per project",
        updated: "2017-02-10T10:00:00-00:00",
        vpn: false,
    },
    Extension {
        alias: "pagination",
        name: "Pagination support",
        description: "Extension that indicates that pagination is enabled.",
        updated: "2016-06-12T00:00:00-00:00",
        vpn: false,
    },
];
