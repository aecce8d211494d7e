//! What parses, what it accepts, and what is refused.

use super::*;
use crate::model::{
    Attachment, AttachmentKind, Connection, Peer, Resource, ResourceKind, ResourceSpec, Settings,
    topology::{EndpointGroup, EndpointType, LocalEndpoint, VpnService},
};
use proptest::prelude::*;

fn backend() -> BackendName {
    "a".parse().unwrap()
}

fn connection() -> Connection {
    Connection {
        display_name: "Branch 42".into(),
        admin_enabled: Some(true),
        managed: true,
        vpn_service: Some("s-1".into()),
        local_endpoint: Some("l-1".into()),
        peer: Peer {
            address: "2001:db8::20".into(),
            ..Peer::default()
        },
        ..Connection::default()
    }
}

#[track_caller]
fn check(text: &str, expected: bool) {
    let filter: Filter = text.parse().unwrap();
    assert_eq!(
        filter.accepts(&backend(), &connection()),
        expected,
        "{text}"
    );
}

#[test]
fn each_field_is_asked_for_what_it_holds() {
    for (text, expected) in [
        ("", true),
        ("  \t", true),
        (r#"display_name="Branch 42""#, true),
        (r#"display_name = "Branch 42""#, true),
        (r#"display_name="branch 42""#, false),
        (r#"display_name="Branch 42 ""#, false),
        ("display_name=Branch", false),
        ("display_name:branch", true),
        ("display_name : 42", true),
        (r#"display_name:"H 4""#, true),
        ("display_name:43", false),
        (r#"display_name:"""#, true),
        ("peer.address=2001:db8::20", true),
        (r#"peer.address="2001:DB8:0:0::0020""#, true),
        ("peer.address=2001:db8::21", false),
        ("peer.address=vpn.example.net", false),
        ("peer.address:2001:DB8:", true),
        ("peer.address:::2", true),
        ("admin_enabled=true", true),
        ("admin_enabled=false", false),
        ("managed=true", true),
        ("managed = false", false),
        ("vpn_service=backends/a/vpnServices/s-1", true),
        ("vpn_service=backends/a/vpnServices/s-2", false),
        ("vpn_service=backends/b/vpnServices/s-1", false),
        ("local_endpoint=\"backends/a/localEndpoints/l-1\"", true),
        ("managed=true AND display_name:branch", true),
        (
            "managed=true AND display_name:branch AND admin_enabled=false",
            false,
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_the_cloud_does_not_say_is_neither_true_nor_false() {
    let silent = Connection::default();
    for text in ["admin_enabled=true", "admin_enabled=false"] {
        let filter: Filter = text.parse().unwrap();
        assert!(!filter.accepts(&backend(), &silent), "{text}");
    }
    let none: Filter = "vpn_service=backends/a/vpnServices/s-1".parse().unwrap();
    assert!(!none.accepts(&backend(), &silent));
}

#[test]
fn everything_else_is_refused_with_what_is_accepted() {
    for (text, why) in [
        ("branch", "`=` or `:` is expected behind `branch`"),
        ("\"branch\"", "stands where a field is expected"),
        ("colour=red", "there is no field `colour`"),
        ("peer.psk=x", "there is no field `peer.psk`"),
        ("state=ACTIVE", "there is no field `state`"),
        ("display_name", "`=` or `:` is expected"),
        ("display_name=", "a value is missing"),
        ("display_name==x", "a value is missing"),
        (
            "display_name=AND managed=true",
            "a value is missing before `AND`",
        ),
        ("display_name=a b", "`b` stands where AND is expected"),
        (
            "display_name=a OR display_name=b",
            "`OR` stands where AND is expected",
        ),
        (
            "display_name=a and managed=true",
            "`and` stands where AND is expected",
        ),
        ("NOT managed=true", "`NOT` stands where a field is expected"),
        ("-managed=true", "there is no field `-managed`"),
        ("managed!=true", "`!` is not understood"),
        ("display_name<b", "`<` is not understood"),
        ("(managed=true)", "`(` is not understood"),
        ("display_name=branch*", "`*` is not understood"),
        ("display_name='x'", "`'` is not understood"),
        ("display_name=\"x", "a quotation is not closed"),
        ("display_name=\"\\n\"", "are escapes"),
        ("managed=true AND", "nothing follows the last AND"),
        ("AND managed=true", "`AND` stands where a field is expected"),
        ("managed=true AND AND managed=true", "`AND` stands where"),
        ("managed=yes", "`managed` is true or false"),
        ("managed:true", "`managed` takes `=` only"),
        ("vpn_service:backends/a/vpnServices/s", "takes `=` only"),
        (
            "vpn_service=s-1",
            "must be `backends/{backend}/vpnServices/{id}`",
        ),
        (
            "local_endpoint=backends/a/vpnServices/s",
            "must be `backends/{backend}/localEndpoints/{id}`",
        ),
    ] {
        let error = text.parse::<Filter>().expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
        assert!(
            error.contains(&accepted(Listable::Connections)),
            "{text}: {error}"
        );
        assert!(error.len() < 1_000, "{text}: {error}");
    }
    let long = format!("display_name=\"{}\"", "x".repeat(MAX_BYTES));
    assert!(long.parse::<Filter>().unwrap_err().contains("longer than"));
}

fn resource(settings: Settings) -> Resource {
    Resource {
        id: "r-1".into(),
        spec: ResourceSpec {
            display_name: "Branch 42".into(),
            settings,
            ..ResourceSpec::none(ResourceKind::IkePolicy)
        },
        etag: String::new(),
        managed: true,
        joint: false,
        create_time: None,
        update_time: None,
        native_words: Default::default(),
        details: None,
        native: Default::default(),
    }
}

/// One of each kind, with some of their fields set.
fn one_of_each() -> Vec<Resource> {
    ResourceKind::ALL
        .into_iter()
        .map(|kind| match Settings::none(kind) {
            Settings::VpnService(service) => Settings::VpnService(VpnService {
                router: "Router 1".into(),
                admin_enabled: Some(true),
                ..service
            }),
            Settings::LocalEndpoint(endpoint) => Settings::LocalEndpoint(LocalEndpoint {
                vpn_service: Some("s-1".into()),
                address: "2001:db8::20".into(),
                ..endpoint
            }),
            Settings::EndpointGroup(group) => Settings::EndpointGroup(EndpointGroup {
                endpoint_type: Some(EndpointType::Cidr),
                ..group
            }),
            settings => settings,
        })
        .map(resource)
        .collect()
}

fn attachment() -> Attachment {
    Attachment {
        kind: AttachmentKind::Subnet,
        id: "a-1".into(),
        display_name: "Branch 42".into(),
        addresses: Vec::new(),
        networks: Vec::new(),
        parent_id: Some("Router 1".into()),
        unusable: Some("is not attached to any router".into()),
        native: Default::default(),
    }
}

/// Returns what a filter says of the item of this kind; `None` if the filter is refused.
fn verdict(text: &str, of: Listable) -> Option<bool> {
    let filter = Filter::read(text, of).ok()?;
    Some(match of {
        Listable::Connections => filter.accepts(&backend(), &connection()),
        Listable::Attachments => filter.accepts(&backend(), &attachment()),
        Listable::Resources(kind) => {
            let all = one_of_each();
            let one = all.iter().find(|it| it.spec.kind() == kind).unwrap();
            filter.accepts(&backend(), one)
        }
    })
}

/// For each field, what each kind of item says to a filter that it meets and to one that it does not. A kind without
/// the field refuses the filter.
#[test]
fn each_kind_has_the_fields_of_its_contract_and_no_others() {
    let service = Listable::Resources(ResourceKind::VpnService);
    let endpoint = Listable::Resources(ResourceKind::LocalEndpoint);
    let group = Listable::Resources(ResourceKind::EndpointGroup);
    let (connections, attachments) = (Listable::Connections, Listable::Attachments);
    let but_attachments: Vec<Listable> = Listable::ALL
        .into_iter()
        .filter(|of| *of != attachments)
        .collect();
    for (met, not_met, has) in [
        (
            "display_name:branch",
            "display_name=branch",
            Listable::ALL.to_vec(),
        ),
        ("managed=true", "managed=false", but_attachments),
        (
            "admin_enabled=true",
            "admin_enabled=false",
            vec![connections, service],
        ),
        (
            r#"router="Router 1""#,
            r#"router="router 1""#,
            vec![service],
        ),
        (
            "vpn_service=backends/a/vpnServices/s-1",
            "vpn_service=backends/b/vpnServices/s-1",
            vec![connections, endpoint],
        ),
        ("address=2001:DB8::0020", "address:10.", vec![endpoint]),
        (
            "peer.address=2001:DB8::0020",
            "peer.address:10.",
            vec![connections],
        ),
        (
            "local_endpoint=backends/a/localEndpoints/l-1",
            "local_endpoint=backends/a/localEndpoints/l-2",
            vec![connections],
        ),
        ("type=TYPE_CIDR", "type=TYPE_SUBNET", vec![group]),
        (
            "kind=KIND_SUBNET",
            "kind=\"KIND_ROUTER\"",
            vec![attachments],
        ),
        ("usable=false", "usable=true", vec![attachments]),
        (
            r#"parent_id="Router 1""#,
            r#"parent_id="""#,
            vec![attachments],
        ),
    ] {
        for of in Listable::ALL {
            let has = has.contains(&of);
            assert_eq!(verdict(met, of), has.then_some(true), "{met} of {of:?}");
            assert_eq!(
                verdict(not_met, of),
                has.then_some(false),
                "{not_met} of {of:?}"
            );
        }
    }
}

#[test]
fn what_is_refused_of_a_kind_says_what_that_kind_accepts() {
    for (of, text, why) in [
        (
            Listable::Resources(ResourceKind::DpdPolicy),
            "router=x",
            "there is no field `router` to filter by; accepted are restrictions joined by AND: `display_name` with `=` \
             (equals) or `:` (contains, whatever the case), `managed` with `=` and true or false; values with",
        ),
        (
            Listable::Resources(ResourceKind::VpnService),
            "router:x",
            "`router` takes `=` only; accepted are restrictions joined by AND: `display_name` with `=` (equals) or `:` \
             (contains, whatever the case), `managed` or `admin_enabled` with `=` and true or false, `router` with `=` \
             and an id;",
        ),
        (
            Listable::Resources(ResourceKind::EndpointGroup),
            "type=CIDR",
            "`type` is one of TYPE_SUBNET, TYPE_CIDR, TYPE_NETWORK, TYPE_ROUTER, TYPE_VLAN; accepted",
        ),
        (
            Listable::Attachments,
            "kind=KIND_UNSPECIFIED",
            "`kind` with `=` and KIND_ROUTER or KIND_SUBNET or KIND_GATEWAY",
        ),
        (
            Listable::Connections,
            "colour=red",
            "`display_name` or `peer.address` with `=` (equals) or `:` (contains, whatever the case), \
             `admin_enabled` or `managed` with `=` and true or false, `vpn_service` or `local_endpoint` with `=` and a \
             resource name; values",
        ),
    ] {
        let error = Filter::read(text, of).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
        assert!(error.contains(&accepted(of)), "{text}: {error}");
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let text = "[ -~äß\\\\\"]{0,12}";
    prop_oneof![
        text.prop_map(Wanted::Equal),
        text.prop_map(Wanted::Containing)
    ]
}

/// A restriction of each field that a list has.
fn restriction_of(of: Listable) -> impl Strategy<Value = Restriction> {
    let each = fields(of).iter().map(|field| match field.takes {
        Takes::Text(asks) => wanted().prop_map(asks).boxed(),
        Takes::Truth(asks) => any::<bool>().prop_map(asks).boxed(),
        Takes::Id(asks) => "[ -~äß]{0,12}".prop_map(asks).boxed(),
        Takes::Name(collection, asks) => "[a-z0-9 \"\\\\-]{1,8}"
            .prop_map(move |id| {
                let text = format!("backends/a/{}/{id}", collection.segment());
                asks(ResourceName::parse(collection, &text).unwrap())
            })
            .boxed(),
        Takes::Word { names, read } => prop::sample::select(names())
            .prop_map(move |name| read(name).unwrap())
            .boxed(),
    });
    prop::strategy::Union::new(each)
}

/// A kind of list, with restrictions on it.
fn listed(size: std::ops::Range<usize>) -> impl Strategy<Value = (Listable, Vec<Restriction>)> {
    prop::sample::select(Listable::ALL.to_vec()).prop_flat_map(move |of| {
        (
            Just(of),
            prop::collection::vec(restriction_of(of), size.clone()),
        )
    })
}

proptest! {
    /// Whatever a caller sends is parsed or refused, without a panic.
    #[test]
    fn any_text_is_read_or_refused(
        text in "\\PC{0,60}",
        of in prop::sample::select(Listable::ALL.to_vec()),
    ) {
        let _ = Filter::read(&text, of);
    }

    /// The same for text that looks like a filter.
    #[test]
    fn anything_like_a_filter_is_read_or_refused(
        text in "(display_name|peer.address|managed|AND|OR|=|:|\"| |\\\\|true|2001:db8::1|x){0,12}"
    ) {
        let _ = text.parse::<Filter>();
    }

    /// A formatted filter parses back as the same filter.
    #[test]
    fn a_filter_reads_back((of, restrictions) in listed(0..5)) {
        let filter = Filter(restrictions);
        prop_assert_eq!(Filter::read(&filter.to_string(), of), Ok(filter));
    }

    /// One more restriction never accepts more.
    #[test]
    fn restrictions_only_take_away(
        restrictions in prop::collection::vec(restriction_of(Listable::Connections), 1..4),
    ) {
        let whole = Filter(restrictions.clone());
        let less = Filter(restrictions[1..].to_vec());
        if whole.accepts(&backend(), &connection()) {
            prop_assert!(less.accepts(&backend(), &connection()));
        }
    }

    #[test]
    fn what_is_equal_is_contained(text in "\\PC{0,12}") {
        prop_assert!(Wanted::Equal(text.clone()).is_met_by(&text));
        prop_assert!(Wanted::Containing(text.clone()).is_met_by(&text));
    }
}
