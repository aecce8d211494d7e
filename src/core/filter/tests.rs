//! What is read, what it accepts, and what is refused.

use super::*;
use crate::model::Peer;
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
        assert!(error.contains(ACCEPTED), "{text}: {error}");
        assert!(error.len() < 1_000, "{text}: {error}");
    }
    let long = format!("display_name=\"{}\"", "x".repeat(MAX_BYTES));
    assert!(long.parse::<Filter>().unwrap_err().contains("longer than"));
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let text = "[ -~äß\\\\\"]{0,12}";
    prop_oneof![
        text.prop_map(Wanted::Equal),
        text.prop_map(Wanted::Containing)
    ]
}

fn restriction_of_any_kind() -> impl Strategy<Value = Restriction> {
    let name = |collection: &'static str, kind| {
        "[a-z0-9 \"\\\\-]{1,8}".prop_map(move |id| {
            let text = format!("backends/a/{collection}/{id}");
            ResourceName::parse(kind, &text).unwrap()
        })
    };
    prop_oneof![
        wanted().prop_map(Restriction::DisplayName),
        wanted().prop_map(Restriction::PeerAddress),
        any::<bool>().prop_map(Restriction::AdminEnabled),
        any::<bool>().prop_map(Restriction::Managed),
        name("vpnServices", Collection::VpnServices).prop_map(Restriction::VpnService),
        name("localEndpoints", Collection::LocalEndpoints).prop_map(Restriction::LocalEndpoint),
    ]
}

proptest! {
    /// Whatever a caller sends is read or refused, and never a panic.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = text.parse::<Filter>();
    }

    /// The same of what looks like a filter.
    #[test]
    fn anything_like_a_filter_is_read_or_refused(
        text in "(display_name|peer.address|managed|AND|OR|=|:|\"| |\\\\|true|2001:db8::1|x){0,12}"
    ) {
        let _ = text.parse::<Filter>();
    }

    /// What a filter prints reads back as the same filter.
    #[test]
    fn a_filter_reads_back(restrictions in prop::collection::vec(restriction_of_any_kind(), 0..5)) {
        let filter = Filter(restrictions);
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }

    /// One more restriction never lets more through.
    #[test]
    fn restrictions_only_take_away(
        restrictions in prop::collection::vec(restriction_of_any_kind(), 1..4),
    ) {
        let whole = Filter(restrictions.clone());
        let less = Filter(restrictions[1..].to_vec());
        if whole.accepts(&backend(), &connection()) {
            prop_assert!(less.accepts(&backend(), &connection()));
        }
    }

    /// Equality implies containment.
    #[test]
    fn what_is_equal_is_contained(text in "\\PC{0,12}") {
        prop_assert!(Wanted::Equal(text.clone()).is_met_by(&text));
        prop_assert!(Wanted::Containing(text.clone()).is_met_by(&text));
    }
}
