//! The kinds of resource: their spellings on the command line, in resource names, in calls and for people.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser, ValueParserFactory};
use std::ffi::OsStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connection: the default kind.
    Connection,
    IkePolicy,
    IpsecPolicy,
    DpdPolicy,
    VpnService,
    LocalEndpoint,
    EndpointGroup,
    /// An object that a VPN can be attached to. It can only be listed.
    Attachment,
    /// A backend. It can only be read.
    Backend,
}

impl Kind {
    /// All kinds, the most used first.
    pub const ALL: [Kind; 9] = [
        Kind::Connection,
        Kind::IkePolicy,
        Kind::IpsecPolicy,
        Kind::DpdPolicy,
        Kind::VpnService,
        Kind::LocalEndpoint,
        Kind::EndpointGroup,
        Kind::Attachment,
        Kind::Backend,
    ];

    /// Returns the singular and plural argument, and the plural for people.
    fn words(self) -> [&'static str; 3] {
        match self {
            Kind::Connection => ["connection", "connections", "connections"],
            Kind::IkePolicy => ["ike-policy", "ike-policies", "IKE policies"],
            Kind::IpsecPolicy => ["ipsec-policy", "ipsec-policies", "IPsec policies"],
            Kind::DpdPolicy => ["dpd-policy", "dpd-policies", "DPD policies"],
            Kind::VpnService => ["vpn-service", "vpn-services", "VPN services"],
            Kind::LocalEndpoint => ["local-endpoint", "local-endpoints", "local endpoints"],
            Kind::EndpointGroup => ["endpoint-group", "endpoint-groups", "endpoint groups"],
            Kind::Attachment => ["attachment", "attachments", "attachments"],
            Kind::Backend => ["backend", "backends", "backends"],
        }
    }

    /// Returns the service with the calls for this kind, such as `PolicyService`.
    pub fn service(self) -> &'static str {
        match self {
            Kind::Connection => "ConnectionService",
            Kind::IkePolicy | Kind::IpsecPolicy | Kind::DpdPolicy => "PolicyService",
            Kind::VpnService | Kind::LocalEndpoint | Kind::EndpointGroup | Kind::Attachment => {
                "TopologyService"
            }
            Kind::Backend => "BackendService",
        }
    }

    /// Returns the singular argument, such as `ike-policy`.
    pub fn one(self) -> &'static str {
        self.words()[0]
    }

    /// Returns the plural argument, such as `ike-policies`.
    pub fn several(self) -> &'static str {
        self.words()[1]
    }

    /// Returns the plural for people, such as `IKE policies`.
    pub fn people(self) -> &'static str {
        self.words()[2]
    }

    /// Returns the collection in resource names, such as `ikePolicies`.
    pub fn collection(self) -> String {
        let mut words = self.several().split('-');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &capital(word))
    }

    /// Returns the name of the proto message, which is also the suffix of its calls, such as `IkePolicy`.
    pub fn message(self) -> String {
        self.one().split('-').map(capital).collect()
    }

    /// Returns the name of the list call, such as `ListIkePolicies`.
    pub fn list_call(self) -> String {
        let several: String = self.several().split('-').map(capital).collect();
        format!("List{several}")
    }

    /// Returns the request field with one resource of this kind, such as `ike_policy`.
    pub fn field(self) -> String {
        self.one().replace('-', "_")
    }

    /// Returns the response field with several resources, such as `ike_policies`.
    pub fn fields(self) -> String {
        self.several().replace('-', "_")
    }

    /// Returns the singular for people, such as `IKE policy`.
    pub fn person(self) -> String {
        let people = self.people();
        match people.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => people.strip_suffix('s').unwrap_or(people).to_owned(),
        }
    }

    /// Returns the singular with its article, such as `an IKE policy`.
    pub fn article(self) -> String {
        let person = self.person();
        let article = match person.starts_with(['I', 'a', 'e']) {
            true => "an",
            false => "a",
        };
        format!("{article} {person}")
    }

    /// Returns the kind that a word names, in any spelling: `ike-policies`, `ike-policy`, `ikePolicies`.
    pub fn of(word: &str) -> Option<Kind> {
        let bare = |word: &str| word.replace(['-', '_'], "").to_lowercase();
        let wanted = bare(word);
        Kind::ALL
            .into_iter()
            .find(|kind| bare(kind.one()) == wanted || bare(kind.several()) == wanted)
    }

    /// Reports whether resources of this kind can be created, changed and removed.
    pub fn is_written(self) -> bool {
        !matches!(self, Kind::Attachment | Kind::Backend)
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// A word that names a kind or something else. Completions offer the kinds, in the plural if `SEVERAL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindOr<const SEVERAL: bool>(pub String);

impl<const SEVERAL: bool> ValueParserFactory for KindOr<SEVERAL> {
    type Parser = KindOrParser<SEVERAL>;

    fn value_parser() -> KindOrParser<SEVERAL> {
        KindOrParser
    }
}

/// The parser of a [`KindOr`].
#[derive(Debug, Clone)]
pub struct KindOrParser<const SEVERAL: bool>;

impl<const SEVERAL: bool> TypedValueParser for KindOrParser<SEVERAL> {
    type Value = KindOr<SEVERAL>;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<KindOr<SEVERAL>, clap::Error> {
        StringValueParser::new()
            .parse_ref(command, argument, value)
            .map(KindOr)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let kinds = Kind::ALL.into_iter();
        if SEVERAL {
            return Some(Box::new(
                kinds.map(|kind| PossibleValue::new(kind.several())),
            ));
        }
        let kinds = kinds.filter(|kind| *kind != Kind::Attachment);
        Some(Box::new(kinds.map(|kind| PossibleValue::new(kind.one()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::json;

    #[test]
    fn a_kind_is_known_in_every_spelling() {
        for (word, kind) in [
            ("connections", Some(Kind::Connection)),
            ("ike-policy", Some(Kind::IkePolicy)),
            ("ikePolicies", Some(Kind::IkePolicy)),
            ("IPSEC_POLICIES", Some(Kind::IpsecPolicy)),
            ("vpnservice", Some(Kind::VpnService)),
            ("nsx-demo", None),
            ("", None),
        ] {
            assert_eq!(Kind::of(word), kind, "{word}");
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::of(&kind.collection()), Some(kind));
        }
        assert_eq!(Kind::IkePolicy.person(), "IKE policy");
        assert_eq!(Kind::LocalEndpoint.article(), "a local endpoint");
        assert_eq!(Kind::IpsecPolicy.article(), "an IPsec policy");
    }

    /// The words match the protos: each call exists, with the fields that the command sets.
    #[test]
    fn the_calls_of_every_kind_are_there() {
        for kind in Kind::ALL {
            let mut calls = vec![(kind.list_call(), vec!["page_token"])];
            if kind != Kind::Attachment {
                calls.push((format!("Get{}", kind.message()), vec!["name"]));
            }
            if kind.is_written() {
                let field = kind.field();
                for (call, fields) in [
                    (
                        "Create",
                        vec!["parent", &field, "validate_only", "request_id"],
                    ),
                    (
                        "Update",
                        vec![&field, "update_mask", "validate_only", "request_id"],
                    ),
                    (
                        "Delete",
                        vec![
                            "name",
                            "etag",
                            "allow_missing",
                            "validate_only",
                            "request_id",
                        ],
                    ),
                ] {
                    let fields = fields.iter().map(|field| field.as_ref());
                    assert_call(kind, &format!("{call}{}", kind.message()), fields);
                }
            }
            for (call, fields) in calls {
                assert_call(kind, &call, fields.into_iter());
            }
        }
    }

    fn assert_call<'a>(kind: Kind, call: &str, fields: impl Iterator<Item = &'a str>) {
        let method = json::method(kind.service(), call);
        for field in fields {
            let found = method.input().get_field_by_name(field);
            assert!(found.is_some(), "{call}: {field}");
        }
    }
}
