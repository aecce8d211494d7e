//! Which lists a token is valid for, what it shows, and the tokens of earlier releases.

use super::*;
use crate::model::ResourceKind;
use proptest::prelude::*;

fn list_of(of: Listable, parent: &str, filter: &str, order: &str) -> ListId {
    let filter = Filter::read(filter, of).unwrap();
    ListId::new(of, parent.to_owned(), &filter, &order.parse().unwrap())
}

fn list(filter: &str, order: &str) -> ListId {
    list_of(Listable::Connections, "backends/-", filter, order)
}

fn branch() -> PageToken {
    PageToken {
        backend: "nsx-a".into(),
        inner: Some("8dd1c386-9b2c-4448-85b8-51ff649fae4f".into()),
        display_name: "Branch".into(),
    }
}

#[track_caller]
fn refused(text: &str, list: &ListId) {
    let error = PageToken::decode(text, list).unwrap_err();
    assert_eq!(error.context.violations[0].field, "page_token");
    assert_eq!(error.reason, ErrorReason::WrongToken);
}

#[test]
fn a_token_reads_back_in_its_list_and_in_no_other() {
    let its = list("managed=true", "");
    let text = branch().encode(&its);
    assert_eq!(PageToken::decode(&text, &its).unwrap(), branch());
    for other in [
        list("", ""),
        list("managed=false", ""),
        list("managed=true", "name desc"),
        list_of(Listable::Connections, "backends/a", "managed=true", ""),
        list_of(
            Listable::Resources(ResourceKind::IkePolicy),
            "backends/-",
            "managed=true",
            "",
        ),
        ListId::of_backends(),
    ] {
        refused(&text, &other);
    }
    for text in ["", "%", "AQ", "e30", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        refused(text, &its);
    }
}

#[test]
fn spelling_does_not_change_which_list_it_is() {
    assert_eq!(list("", ""), list("  ", " "));
    assert_eq!(
        list("managed=true AND display_name:x", "display_name asc"),
        list(
            "  managed = true   AND display_name : \"x\"",
            "display_name"
        )
    );
    assert_ne!(list("display_name:x", ""), list("display_name=x", ""));
    assert_ne!(list("", "name desc"), list("", "display_name"));
}

/// Made by the last release without seals, over `backends/-`.
#[test]
fn a_token_from_before_the_seals_goes_on() {
    let every = list("", "");
    let plain = r#"{"p":"backends/-","b":"nsx-a","t":"8dd1c386-9b2c-4448-85b8-51ff649fae4f"}"#;
    let plain = URL_SAFE_NO_PAD.encode(plain);
    let read = PageToken::decode(&plain, &every).unwrap();
    assert_eq!(
        (read.backend, read.inner),
        (branch().backend, branch().inner)
    );
    let first = URL_SAFE_NO_PAD.encode(r#"{"p":"backends/-","b":"os","t":null}"#);
    assert_eq!(PageToken::decode(&first, &every).unwrap().inner, None);

    let sorted = list("managed=true", "display_name");
    let old = format!(
        r#"{{"p":"backends/-","q":"{OLD_QUERY}","b":"nsx-a","t":"8dd1c386-9b2c-4448-85b8-51ff649fae4f","n":"Branch"}}"#
    );
    let old = URL_SAFE_NO_PAD.encode(old);
    assert_eq!(PageToken::decode(&old, &sorted).unwrap(), branch());
    refused(&old, &every);
    refused(&plain, &sorted);
    // Those releases had no tokens for other lists.
    let policies = Listable::Resources(ResourceKind::IkePolicy);
    refused(&plain, &list_of(policies, "backends/-", "", ""));
}

/// What that release had for `managed=true` by `display_name`.
const OLD_QUERY: &str = "0c3gtBFpbxW0Zbz_";

/// With Base64 removed, nothing of a token can be read. Its format must not change, since clients hold tokens.
#[test]
fn nothing_can_be_read_in_a_token_and_it_never_changes() {
    let text = branch().encode(&list("", ""));
    let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    for known in [
        "nsx-a",
        "8dd1",
        "Branch",
        "\"b\"",
        "connections",
        "backends",
    ] {
        let shown = |bytes: &[u8]| bytes.windows(known.len()).any(|it| it == known.as_bytes());
        assert!(!shown(&bytes) && !shown(text.as_bytes()), "{known}");
    }
    let given = "AfNaAbOWTRGRaUKeHsLrDEAWjNP88OSHFbVrNJ6xzkbZu-v8cL4uC7OVdL9_D6JNq3ICDO3271sUxlh8_zYhrHW7mVMEhCKVihZZxX1o3_75iCZMIJ4";
    assert_eq!(text, given);
}

proptest! {
    /// Any token is read back; with one bit changed it is refused.
    #[test]
    fn any_token_reads_back_unless_it_was_changed(
        backend in "[a-z][a-z0-9-]{0,20}",
        inner in prop::option::of("\\PC{1,40}"),
        display_name in "\\PC{0,40}",
        bit in any::<prop::sample::Index>(),
    ) {
        let its = list("display_name:x", "");
        let token = PageToken { backend, inner, display_name };
        let text = token.encode(&its);
        prop_assert_eq!(PageToken::decode(&text, &its).unwrap(), token);
        let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(PageToken::decode(&URL_SAFE_NO_PAD.encode(bytes), &its).is_err());
    }
}
