//! Words: each is read as what it means with the word beside it, and written as itself or refused by its field's name.

use crate::{
    meanings::{meaning, prf},
    support::{
        api::words,
        running::{fields, reason},
        site::{BACKEND, Site, World},
        values::Taken,
    },
};
use isthmus::model::ResourceKind;
use serde_json::{Map, Value, json};
use tonic::Code;

/// The words of one attribute of one kind, as a cloud's documents list them.
struct Listed {
    kind: ResourceKind,
    /// What the cloud calls it.
    attribute: String,
    /// What the contract calls it.
    field: &'static str,
    words: Vec<String>,
}

/// The contract's name of a cloud's attribute.
fn field_of(attribute: &str) -> &'static str {
    match attribute {
        "dh_groups" | "pfs" => "dh_groups",
        "digest_algorithms" | "auth_algorithm" => "integrity_algorithms",
        "encryption_algorithms" | "encryption_algorithm" => "encryption_algorithms",
        "ike_version" => "ike_version",
        "phase1_negotiation_mode" => "negotiation_mode",
        "transform_protocol" => "transform_protocol",
        "encapsulation_mode" => "encapsulation_mode",
        "df_policy" => "df_policy",
        "dpd_probe_mode" => "probe_mode",
        "ike_log_level" => "ike_log_level",
        "type" => "type",
        other => panic!("{other} has no field"),
    }
}

fn listed(world: World) -> Vec<Listed> {
    match world {
        World::Nsx => nsx(),
        World::Neutron | World::Newest => openstack("neutron"),
        World::Otc => openstack("otc"),
        World::K5 => openstack("k5"),
    }
}

fn nsx() -> Vec<Listed> {
    let text = include_str!("../fixtures/nsx/nsx-mp-vpn-openapi.json");
    let api: Value = serde_json::from_str(text).unwrap();
    let mut found = Vec::new();
    for (schema, kind) in [
        ("IPSecVPNIKEProfile", ResourceKind::IkePolicy),
        ("IPSecVPNTunnelProfile", ResourceKind::IpsecPolicy),
        ("IPSecVPNDPDProfile", ResourceKind::DpdPolicy),
        ("IPSecVPNService", ResourceKind::VpnService),
        ("IPSecVPNLocalEndpoint", ResourceKind::LocalEndpoint),
    ] {
        let properties = api["components"]["schemas"][schema]["properties"].as_object();
        for (attribute, property) in properties.unwrap() {
            let single = property["enum"].as_array();
            // What every object has says nothing of VPNs.
            let words = single.or(property["items"]["enum"].as_array());
            if let Some(list) = words.filter(|_| !attribute.starts_with('_')) {
                found.push(Listed {
                    kind,
                    attribute: attribute.clone(),
                    field: field_of(attribute),
                    words: list
                        .iter()
                        .map(|it| it.as_str().unwrap().to_owned())
                        .collect(),
                });
            }
        }
    }
    assert_eq!(
        found.len(),
        12,
        "the description has other enums than before"
    );
    found
}

fn openstack(variant: &str) -> Vec<Listed> {
    let text = include_str!("../fixtures/openstack/words.json");
    let clouds: Value = serde_json::from_str(text).unwrap();
    let mut found = Vec::new();
    for (collection, attributes) in clouds[variant].as_object().unwrap() {
        let kind = match collection.as_str() {
            "ikepolicies" => ResourceKind::IkePolicy,
            "ipsecpolicies" => ResourceKind::IpsecPolicy,
            "endpoint-groups" => ResourceKind::EndpointGroup,
            other => panic!("{other} is no kind"),
        };
        for (attribute, list) in attributes.as_object().unwrap() {
            let list = list.as_array().unwrap();
            found.push(Listed {
                kind,
                attribute: attribute.clone(),
                field: field_of(attribute),
                words: list
                    .iter()
                    .map(|it| it.as_str().unwrap().to_owned())
                    .collect(),
            });
        }
    }
    found
}

impl Listed {
    /// Whether the contract has a list where the cloud has this.
    fn is_list(&self) -> bool {
        self.field.ends_with('s')
    }

    /// How the contract says these values, and the words beside them.
    fn said<T: Into<Value>>(&self, values: Vec<T>) -> Value {
        let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if self.is_list() {
            Value::Array(values)
        } else {
            values.remove(0)
        }
    }

    /// The words that stand for a value of the contract; Open Telekom Cloud's `disable` says that there is no group.
    fn values(&self) -> Vec<(&String, String)> {
        let groups = self.words.iter().filter(|word| *word != "disable");
        let meant = groups.map(|word| match meaning(&self.attribute, word) {
            Some(value) => (word, value),
            None => panic!("{} `{word}` has no meaning", self.attribute),
        });
        meant.collect()
    }
}

/// How an attribute with these words stands in an object of the cloud.
fn on_the_wire(world: World, attribute: &str, list: &[&String]) -> Value {
    match world {
        World::Nsx if attribute.ends_with('s') => json!(list),
        _ => json!(list[0]),
    }
}

async fn are_read_as_what_they_mean(world: World) {
    let site = Site::start(world).await;
    for listed in listed(world) {
        let Some(taken) = Taken::read(&site, listed.kind).await else {
            panic!("{world:?} has no {:?}", listed.kind)
        };
        let name = made(&site, listed.kind, &taken.whole(1)).await;
        let id = name.rsplit('/').next().unwrap();
        let values = listed.values();
        let mut cases: Vec<Vec<&(&String, String)>> = values.iter().map(|it| vec![it]).collect();
        if world == World::Nsx && listed.is_list() {
            cases.push(values.iter().collect());
        }
        for case in cases {
            let native: Vec<&String> = case.iter().map(|it| it.0).collect();
            let wire = on_the_wire(world, &listed.attribute, &native);
            site.alter(listed.kind, id, json!({ &listed.attribute: wire }));
            let read = site.api.get(listed.kind, &name).await.unwrap();
            let meant: Vec<String> = case.iter().map(|it| it.1.clone()).collect();
            let beside = listed.said(native.iter().map(|it| it.as_str()).collect());
            assert_eq!(
                read[listed.field],
                listed.said(meant.clone()),
                "{world:?} {native:?}"
            );
            assert_eq!(
                read["native_words"][listed.field], beside,
                "{world:?} {read}"
            );
            if listed.field == "integrity_algorithms" && listed.kind == ResourceKind::IkePolicy {
                let functions: Vec<&str> = meant.iter().map(|it| prf(it)).collect();
                assert_eq!(read["prf_algorithms"], json!(functions));
                assert_eq!(read["native_words"]["prf_algorithms"], beside);
            }
            if listed.attribute == "pfs" && listed.kind == ResourceKind::IpsecPolicy {
                assert_eq!(read["perfect_forward_secrecy"], true);
            }
        }
        a_word_nobody_knows_is_kept(&site, &listed, &name).await;
    }
}

/// A word that is in no list has no value, and its text; and it stays unless the list is changed.
async fn a_word_nobody_knows_is_kept(site: &Site, listed: &Listed, name: &str) {
    let (kind, id) = (listed.kind, name.rsplit('/').next().unwrap());
    let word = "quantum-9".to_owned();
    let wire = on_the_wire(site.world, &listed.attribute, &[&word]);
    site.alter(kind, id, json!({ &listed.attribute: wire }));
    let read = site.api.get(kind, name).await.unwrap();
    let text = read[listed.field].to_string();
    assert!(
        text == "null" || text.contains("UNSPECIFIED"),
        "{}: {text}",
        listed.field
    );
    assert_eq!(
        read["native_words"][listed.field],
        listed.said(vec![word]),
        "{read}"
    );
    let again = site.api.update(kind, &read, Some(&["*"]), false).await;
    let again = again.unwrap_or_else(|error| panic!("{read}: {error:?}"));
    assert_eq!(again[words(kind).field], read);
    assert_eq!(site.object(kind, id).unwrap()[&listed.attribute], wire);
}

async fn made(site: &Site, kind: ResourceKind, body: &Value) -> String {
    let answer = site.api.create(kind, BACKEND, body, false).await;
    let answer = answer.unwrap_or_else(|error| panic!("{body}: {error:?}"));
    answer[words(kind).field]["name"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn are_written_as_themselves(world: World) {
    let site = Site::start(world).await;
    let mut number = 10;
    for listed in listed(world) {
        let taken = Taken::read(&site, listed.kind).await.unwrap();
        let values = listed.values();
        let mut cases: Vec<Vec<&(&String, String)>> = values.iter().map(|it| vec![it]).collect();
        if world == World::Nsx && listed.is_list() {
            cases.push(values.iter().collect());
        }
        for case in cases {
            number += 1;
            let native: Vec<&String> = case.iter().map(|it| it.0).collect();
            let meant: Vec<String> = case.iter().map(|it| it.1.clone()).collect();
            let body = asked(&taken.whole(number), &listed, meant);
            let answer = site.api.create(listed.kind, BACKEND, &body, false).await;
            let error = match answer {
                Ok(answer) => {
                    let made = &answer[words(listed.kind).field];
                    let id = made["name"].as_str().unwrap().rsplit('/').next().unwrap();
                    let object = site.object(listed.kind, id).unwrap();
                    let wire = on_the_wire(world, &listed.attribute, &native);
                    assert_eq!(object[&listed.attribute], wire, "{world:?} {body}");
                    assert_eq!(
                        made["native_words"][listed.field],
                        listed.said(native.iter().map(|it| it.as_str()).collect())
                    );
                    continue;
                }
                Err(error) => error,
            };
            assert_eq!(
                error.code(),
                Code::FailedPrecondition,
                "{world:?} {native:?}: {error:?}"
            );
            assert_eq!(
                (reason(&error).as_str(), fields(&error)),
                ("NOT_EXPRESSIBLE", refused(&listed))
            );
            let is_listed = case.iter().all(|(_, value)| {
                let lists = taken.everything();
                lists.contains(&value.as_str())
            });
            assert!(
                !is_listed,
                "{world:?} promises {native:?} and refuses it: {error:?}"
            );
        }
    }
}

/// The fields at fault if what is listed is refused: a hash of an IKE policy is asked for as both.
fn refused(listed: &Listed) -> Vec<String> {
    let mut fields = vec![listed.field];
    if listed.kind == ResourceKind::IkePolicy && listed.field == "integrity_algorithms" {
        fields.push("prf_algorithms");
    }
    let kind = words(listed.kind).field;
    fields
        .into_iter()
        .map(|it| format!("{kind}.{it}"))
        .collect()
}

/// A body that asks for these values.
fn asked(whole: &Value, listed: &Listed, meant: Vec<String>) -> Value {
    let mut body = whole.clone();
    if listed.kind == ResourceKind::IkePolicy && listed.field == "integrity_algorithms" {
        let functions: Vec<&str> = meant.iter().map(|it| prf(it)).collect();
        body["prf_algorithms"] = json!(functions);
    }
    if listed.field == "type" {
        let endpoint = match meant[0].as_str() {
            "TYPE_SUBNET" => "d3300000-0000-4000-8000-000000000021",
            "TYPE_CIDR" => "10.1.0.0/24",
            "TYPE_VLAN" => "100",
            _ => "3f1c2b5a-9d7e-4c1f-8a2b-000000000001",
        };
        body["endpoints"] = json!([endpoint]);
    }
    if listed.field == "probe_mode" {
        body["probe_interval"] = json!("5s");
    }
    body[listed.field] = listed.said(meant);
    body
}

/// `disable` says that there is no exchange, and not which group it has.
#[tokio::test]
async fn open_telekom_cloud_can_do_without_a_group() {
    let site = Site::start(World::Otc).await;
    let kind = ResourceKind::IpsecPolicy;
    let taken = Taken::read(&site, kind).await.unwrap();
    let mut body = taken.whole(1);
    body["perfect_forward_secrecy"] = json!(false);
    body["dh_groups"] = json!([]);
    let name = made(&site, kind, &body).await;
    let id = name.rsplit('/').next().unwrap();
    assert_eq!(site.object(kind, id).unwrap()["pfs"], "disable");
    let read = site.api.get(kind, &name).await.unwrap();
    assert_eq!(
        (&read["perfect_forward_secrecy"], &read["dh_groups"]),
        (&json!(false), &Value::Null)
    );

    // In an IKE policy, where there always is an exchange, it is a word without a value.
    let kind = ResourceKind::IkePolicy;
    let taken = Taken::read(&site, kind).await.unwrap();
    let name = made(&site, kind, &taken.whole(2)).await;
    let id = name.rsplit('/').next().unwrap();
    site.alter(kind, id, json!({ "pfs": "disable" }));
    let read = site.api.get(kind, &name).await.unwrap();
    assert_eq!(
        read["native_words"]["dh_groups"],
        json!(["disable"]),
        "{read}"
    );
    let answer = site
        .api
        .update(kind, &read, Some(&["*"]), false)
        .await
        .unwrap();
    assert_eq!(answer[words(kind).field], read);
}

/// No value of the contract is one that no cloud has.
#[test]
fn every_value_is_of_some_cloud() {
    use isthmus::model::{
        algorithm::{
            DfPolicy, DhGroup, EncapsulationMode, EncryptionAlgorithm, IkeVersion,
            IntegrityAlgorithm, Named, NegotiationMode, PrfAlgorithm, TransformProtocol,
        },
        policy::ProbeMode,
        topology::{EndpointType, IkeLogLevel},
    };
    fn every<T: Named>(names: &mut Vec<&'static str>) {
        names.extend(T::ALL.iter().map(|value| value.as_str()));
    }
    let mut names = Vec::new();
    every::<IkeVersion>(&mut names);
    every::<NegotiationMode>(&mut names);
    every::<EncryptionAlgorithm>(&mut names);
    every::<IntegrityAlgorithm>(&mut names);
    every::<PrfAlgorithm>(&mut names);
    every::<DhGroup>(&mut names);
    every::<TransformProtocol>(&mut names);
    every::<EncapsulationMode>(&mut names);
    every::<DfPolicy>(&mut names);
    every::<ProbeMode>(&mut names);
    every::<EndpointType>(&mut names);
    every::<IkeLogLevel>(&mut names);
    let mut met = Map::new();
    for listed in World::ALL.into_iter().flat_map(listed) {
        for (word, value) in listed.values() {
            if listed.field == "integrity_algorithms" {
                met.insert(prf(&value).to_owned(), json!(word));
            }
            met.insert(value, json!(word));
        }
    }
    for name in &names {
        assert!(met.contains_key(*name), "{name} is no cloud's");
    }
    for value in met.keys() {
        assert!(
            names.contains(&value.as_str()),
            "{value} is not in the model"
        );
    }
}

macro_rules! worlds {
    ($($world:ident => $variant:ident,)+) => {
        $(mod $world {
            use super::*;

            #[tokio::test]
            async fn words_are_read_as_what_they_mean() {
                are_read_as_what_they_mean(World::$variant).await;
            }

            #[tokio::test]
            async fn words_are_written_as_themselves_or_refused() {
                are_written_as_themselves(World::$variant).await;
            }
        })+
    };
}

worlds! {
    nsx_manager => Nsx,
    openstack_neutron => Neutron,
    openstack_neutron_newest => Newest,
    openstack_otc => Otc,
    openstack_k5 => K5,
}
