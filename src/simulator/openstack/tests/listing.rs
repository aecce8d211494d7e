//! Filters, sorting and pages, without a server.

use serde_json::{Value, json};

use crate::simulator::openstack::Kind;
use crate::simulator::openstack::listing::{ListContext, Query, Shown, list};
use crate::simulator::openstack::reply::Refusal;

const HREF: &str = "http://neutron/v2.0/vpn/ipsec-site-connections";

/// The ids and names of recorded pairs 234 to 238, shortened.
fn rows() -> Vec<Shown> {
    let names = [
        ("02", "p1"),
        ("35", "p0"),
        ("36", "p1"),
        ("ab", "p2"),
        ("da", "p0"),
        ("dd", "p2"),
        ("e6", "p3"),
    ];
    let row = |(id, name): (&str, &str)| {
        let row = json!({
            "id": id, "name": name, "admin_state_up": true, "local_ep_group_id": null, "peer_cidrs": [],
            "mtu": 1500, "status": if id == "e6" { "DOWN" } else { "ACTIVE" },
        });
        row.as_object().expect("it was written as one").clone()
    };
    names.into_iter().map(row).collect()
}

fn asked(query: &str) -> Result<Value, Refusal> {
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
    let place = ListContext {
        plural: Kind::Connection.plural(),
        narrowed: true,
        sort_keys: Kind::Connection.sort_keys(),
        filters: None,
        page_cap: None,
        href: HREF,
    };
    list(place, &Query(pairs.collect()), rows())
}

fn ids(query: &str) -> String {
    let body = asked(query).unwrap();
    let rows = body["ipsec_site_connections"].as_array().unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    ids.join(" ")
}

fn links(query: &str) -> Vec<(String, String)> {
    let body = asked(query).unwrap();
    let links = body["ipsec_site_connections_links"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |link: &Value, name: &str| link[name].as_str().unwrap().to_owned();
    links
        .iter()
        .map(|link| (text(link, "rel"), text(link, "href").replace(HREF, "")))
        .collect()
}

#[test]
fn filters_compare_as_the_database_does() {
    for (query, expected) in [
        ("name=p1", "02 36"),
        ("name=P1 ", "02 36"),
        ("name=p", ""),
        ("name=p1&name=p3", "02 36 e6"),
        ("name=p1&name=p3&status=down", "e6"),
        ("id=e6&id=02", "02 e6"),
        ("admin_state_up=True&name=p3", "e6"),
        ("mtu=1500&name=p3", "e6"),
        ("nosuch=1&peer_cidrs=x&name=p3", "e6"),
        ("local_ep_group_id=x", ""),
    ] {
        assert_eq!(ids(query), expected, "{query}");
    }
}

#[test]
fn fields_are_named_one_by_one() {
    let body = asked("fields=id&fields=name&name=p3").unwrap();
    assert_eq!(
        body["ipsec_site_connections"],
        json!([{"id": "e6", "name": "p3"}])
    );
    for query in ["fields=id,name&name=p3", "fields=nosuch&name=p3"] {
        assert_eq!(
            asked(query).unwrap()["ipsec_site_connections"],
            json!([{}]),
            "{query}"
        );
    }
    let whole = asked("fields=&name=p3").unwrap()["ipsec_site_connections"][0].clone();
    assert_eq!(whole.as_object().unwrap().len(), 7);
}

#[test]
fn pages_go_forward_and_back() {
    let sorted = "limit=3&sort_key=name&sort_dir=asc";
    assert_eq!(ids(sorted), "35 da 02");
    assert_eq!(ids(&format!("{sorted}&marker=02")), "36 ab dd");
    assert_eq!(ids(&format!("{sorted}&marker=dd")), "e6");
    assert_eq!(
        ids(&format!("{sorted}&marker=e6&page_reverse=True")),
        "36 ab dd"
    );
    assert_eq!(ids("sort_key=name&sort_dir=desc&limit=1"), "e6");
    assert_eq!(
        ids("marker=36"),
        "02 35 36 ab da dd e6",
        "a marker without a limit is ignored"
    );
    assert_eq!(ids("limit=0"), ids(""));
}

#[test]
fn only_the_last_page_that_is_not_full_has_no_next() {
    let next = |marker: &str| ("next".to_owned(), format!("?limit=3&marker={marker}"));
    let previous = |marker: &str| {
        (
            "previous".to_owned(),
            format!("?limit=3&marker={marker}&page_reverse=True"),
        )
    };
    assert_eq!(links("limit=3"), [next("36"), previous("02")]);
    assert_eq!(links("limit=3&marker=dd"), [previous("e6")]);
    assert_eq!(
        links("limit=7")[0].0,
        "next",
        "a full last page leads to an empty one"
    );
    assert_eq!(
        links("limit=3&marker=x"),
        [(
            "previous".to_owned(),
            "?limit=3&page_reverse=True".to_owned()
        )]
    );
    assert_eq!(links(""), []);
}

#[test]
fn what_cannot_be_sorted_or_limited_is_refused() {
    for (query, message) in [
        (
            "sort_key=status&sort_dir=desc",
            "['status'] is invalid attribute for sort_keys",
        ),
        (
            "sort_key=name",
            "The number of sort_keys and sort_dirs must be same",
        ),
        (
            "sort_key=name&sort_dir=up",
            "['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
        ),
        (
            "limit=-1",
            "Bad limit request: Limit must be an integer 0 or greater and not '-1'.",
        ),
    ] {
        assert_eq!(asked(query).unwrap_err().message, message);
    }
}
