//! The three clouds that speak this API: their enumerations and the shapes of their answers.
//!
//! Rows are stored in stock Neutron's form. What another cloud adds, omits or words differently is applied here, when a
//! row is sent.

use serde_json::{Map, Value, json};

use crate::simulator::chance;
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::{Refusal, Reply};
use crate::simulator::openstack::row::Row;

/// A cloud that speaks this API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Stock Neutron with neutron-vpnaas.
    #[default]
    Neutron,
    /// Open Telekom Cloud, classic VPN (and Huawei's former API, which is the same).
    Otc,
    /// Fujitsu K5 / FJcloud-O: the older API, without endpoint groups.
    K5,
}

/// A release of stock Neutron.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// 2026.1: unknown filters are ignored.
    #[default]
    V2026_1,
    /// 2026.2: unknown filters and four-byte characters in names are 400, `sha1` and `3des` are 500.
    V2026_2,
}

/// An enumeration of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Words {
    /// The same on every cloud.
    Fixed(&'static [&'static str]),
    Auth,
    Encryption,
    Pfs,
    /// The type of endpoints in a group.
    Endpoint,
    /// The action of dead peer detection.
    DpdAction,
}

impl Variant {
    /// The words of an enumeration. K5 dates from 2018, so its words are those that Neutron had until 2023.1.
    pub(crate) fn words(self, words: Words) -> &'static [&'static str] {
        match (words, self) {
            (Words::Fixed(words), _) => words,
            (Words::Auth, Self::Otc) => &["md5", "sha1", "sha2-256", "sha2-384", "sha2-512"],
            (Words::Auth, Self::K5) => &["sha1", "sha256", "sha384", "sha512"],
            (Words::Auth, _) => &["sha1", "sha256", "sha384", "sha512", "aes-xcbc", "aes-cmac"],
            (Words::Encryption, Self::Otc | Self::K5) => &["3des", "aes-128", "aes-192", "aes-256"],
            (Words::Encryption, _) => ENCRYPTION,
            (Words::Pfs, Self::Otc) => &[
                "group1", "group2", "group5", "group14", "group15", "group16", "group19",
                "group20", "group21", "disable",
            ],
            (Words::Pfs, Self::K5) => &["group2", "group5", "group14"],
            (Words::Pfs, _) => PFS,
            (Words::Endpoint, Self::Otc) => &["subnet", "cidr"],
            (Words::Endpoint, _) => &["subnet", "cidr", "vlan", "network", "router"],
            (Words::DpdAction, Self::K5) => &["hold", "restart"],
            (Words::DpdAction, _) => &["clear", "disabled", "hold", "restart", "restart-by-peer"],
        }
    }

    /// Whether this cloud lacks an attribute that stock Neutron has.
    pub(crate) fn lacks(self, kind: Kind, attribute: &str) -> bool {
        match (self, kind) {
            (Self::Neutron, _) => false,
            (Self::Otc, Kind::Connection) => attribute == "local_id",
            (Self::Otc, Kind::VpnService) => attribute == "flavor_id",
            (Self::K5, Kind::Connection) => matches!(
                attribute,
                "local_id" | "local_ep_group_id" | "peer_ep_group_id"
            ),
            (Self::K5, Kind::VpnService) => {
                matches!(attribute, "flavor_id" | "external_v4_ip" | "external_v6_ip")
            }
            (Self::Otc | Self::K5, _) => false,
        }
    }

    /// Whether this cloud has the collection.
    pub(crate) fn has(self, kind: Kind) -> bool {
        !(self == Self::K5 && kind == Kind::EndpointGroup)
    }

    /// Whether a LIST accepts filters, `limit`, `marker` and sorting. Open Telekom Cloud documents `fields` only, and
    /// nothing is known of K5. Both return everything.
    pub(crate) fn filters(self) -> bool {
        self == Self::Neutron
    }

    /// One row as this cloud shows it in a LIST.
    ///
    /// Open Telekom Cloud's two examples of the same connection differ. A GET shows both names of the project and
    /// nothing of orders. A LIST shows only `tenant_id`, and also the order, the time and the tags.
    pub(crate) fn list(self, kind: Kind, row: &Row, spelling: Spelling) -> Map<String, Value> {
        let mut shown = self.show(kind, row, spelling);
        if self == Self::Otc {
            shown.remove("project_id");
            if kind == Kind::Connection {
                add_order(&mut shown, row);
            }
        }
        shown
    }

    /// One row as this cloud shows it in the answer to a write. It is that of a LIST, except that Open Telekom Cloud
    /// omits the tags of a service.
    pub(crate) fn written(self, kind: Kind, row: &Row, spelling: Spelling) -> Map<String, Value> {
        let mut shown = self.list(kind, row, spelling);
        if self == Self::Otc && kind == Kind::VpnService {
            shown.remove("tags");
        }
        shown
    }

    /// One row as this cloud shows it in a GET.
    pub(crate) fn show(self, kind: Kind, row: &Row, spelling: Spelling) -> Map<String, Value> {
        let mut shown: Map<String, Value> = row.fields.clone();
        shown.retain(|name, _| !self.lacks(kind, name));
        match self {
            Self::Neutron => return shown,
            Self::Otc => {
                if kind != Kind::Connection {
                    shown.remove("project_id");
                }
                if kind == Kind::VpnService {
                    add_order(&mut shown, row);
                    shown.insert("prepay_connection_num".to_owned(), json!(0));
                    shown.insert("resource_speccode".to_owned(), json!(""));
                }
                // A lifetime given as a string is a number in its answers.
                let value = shown
                    .get_mut("lifetime")
                    .and_then(|lifetime| lifetime.get_mut("value"));
                if let Some(value) = value
                    && let Some(Ok(number)) = value.as_str().map(|text| text.trim().parse::<i64>())
                {
                    *value = json!(number);
                }
                if let Some(Value::String(status)) = shown.get_mut("status")
                    && spelling.blank_in_status
                {
                    *status = status.replacen("PENDING_", "PENDING ", 1);
                }
            }
            Self::K5 => {
                shown.remove("project_id");
                if row.text("availability_zone").is_empty() {
                    shown.insert("availability_zone".to_owned(), json!("AZ1"));
                }
                if let Some(Value::String(peer_id)) = shown.get_mut("peer_id")
                    && spelling.at_before_peer_id
                    && !peer_id.starts_with('@')
                {
                    peer_id.insert(0, '@');
                }
            }
        }
        shown
    }

    /// The body of a 201.
    ///
    /// Open Telekom Cloud's example of a created connection repeats the key `vpnservice_id` with two values. The last
    /// one is the one that GET shows later.
    pub(crate) fn created(self, kind: Kind, shown: Map<String, Value>) -> Reply {
        let body = json!({kind.singular(): shown}).to_string();
        if self != Self::Otc || kind != Kind::Connection {
            return Reply::text(201, "application/json", body);
        }
        let opening = format!("{{\"{}\":{{", kind.singular());
        let members = body
            .strip_prefix(&opening)
            .expect("the body was just built with this opening");
        let repeated = format!(
            "{opening}\"vpnservice_id\":\"{}\",{members}",
            chance::uuid()
        );
        Reply::text(201, "application/json", repeated)
    }

    /// A refusal in this cloud's words.
    ///
    /// Open Telekom Cloud documents codes for VPN, among them 400 for an exceeded quota and for missing permission.
    /// Nothing says that its native OpenStack calls differ from Neutron otherwise.
    pub(crate) fn refuse(self, refusal: Refusal) -> Reply {
        if self != Self::Otc {
            return refusal.neutron();
        }
        let (status, code, message) = match refusal.kind {
            "VPC.1001" | "VPC.1016" | "VPC.1026" => (400, refusal.kind, refusal.message.as_str()),
            "OverQuota" => (400, "VPC.1003", "The quota limit has been reached."),
            "PolicyNotAuthorized" => (
                400,
                "VPC.1017",
                "You do not have permission to perform this operation.",
            ),
            "HTTPInternalServerError" => (500, "VPC.1002", "Internal server error."),
            "HTTPBadRequest" | "InvalidInput" => (400, "VPC.1001", "Invalid VPN parameters."),
            _ => return refusal.neutron(),
        };
        Reply::json(status, json!({"code": code, "message": message}))
    }
}

/// Adds the order attributes that only Open Telekom Cloud has.
fn add_order(shown: &mut Map<String, Value>, row: &Row) {
    shown.insert("order_id".to_owned(), json!(""));
    shown.insert("product_id".to_owned(), json!(""));
    shown.insert("created_at".to_owned(), json!(row.created.without_zone()));
    shown.insert("tags".to_owned(), json!([]));
}

/// Peculiar spellings, each switched on by an option.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spelling {
    /// `PENDING CREATE`, as in Open Telekom Cloud's LIST example.
    pub(crate) blank_in_status: bool,
    /// `@198.51.100.20`, as K5 returned peer ids.
    pub(crate) at_before_peer_id: bool,
}

const ENCRYPTION: &[&str] = &[
    "3des",
    "aes-128",
    "aes-192",
    "aes-256",
    "aes-128-ccm-8",
    "aes-192-ccm-8",
    "aes-256-ccm-8",
    "aes-128-ccm-12",
    "aes-192-ccm-12",
    "aes-256-ccm-12",
    "aes-128-ccm-16",
    "aes-192-ccm-16",
    "aes-256-ccm-16",
    "aes-128-gcm-8",
    "aes-192-gcm-8",
    "aes-256-gcm-8",
    "aes-128-gcm-12",
    "aes-192-gcm-12",
    "aes-256-gcm-12",
    "aes-128-gcm-16",
    "aes-192-gcm-16",
    "aes-256-gcm-16",
    "aes-128-ctr",
    "aes-192-ctr",
    "aes-256-ctr",
];

const PFS: &[&str] = &[
    "group2", "group5", "group14", "group15", "group16", "group17", "group18", "group19",
    "group20", "group21", "group22", "group23", "group24", "group25", "group26", "group27",
    "group28", "group29", "group30", "group31",
];
