//! The network service's address in Keystone's service catalogue, and whether a token may be sent there.

use crate::{
    address::is_link_local,
    core::error::{Error, ErrorKind, ErrorReason},
    dialects::openstack::config,
    rest::redact::tidy,
};
use reqwest::Url;
use serde_json::Value;
use std::collections::BTreeSet;

fn none(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, ErrorReason::ApiAbsent, what)
}

/// Checks that a token may be sent to the address from the catalogue.
///
/// The address must not be plain http if Keystone is reached over https, and must not be link-local, where clouds
/// serve machine credentials. Only the setting `url` can name such an address. Host names are not resolved for this
/// check.
pub fn safe_from(keystone: &Url, network: &Url) -> Result<(), Error> {
    let host = network.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    if address.is_ok_and(is_link_local) {
        return Err(none(format!(
            "the service catalogue leads to the link-local address {host}, where nothing is sent unless `url` names it"
        )));
    }
    if keystone.scheme() == "https" && network.scheme() != "https" {
        return Err(none(format!(
            "the service catalogue leads from https:// to http:// at {}, where nothing is sent unless `url` names it",
            tidy(host, 64)
        )));
    }
    Ok(())
}

/// Returns the public address of the network service in a service catalogue, with `/v2.0`.
pub fn catalogued(catalogue: &Value, region: Option<&str>) -> Result<Url, Error> {
    let services = catalogue.as_array().map_or(&[][..], Vec::as_slice);
    let found: Vec<(&str, &str)> = services
        .iter()
        .filter(|service| service["type"] == "network")
        .filter_map(|service| service["endpoints"].as_array())
        .flatten()
        .filter(|endpoint| endpoint["interface"] == "public")
        .filter_map(|endpoint| {
            let region = endpoint["region_id"]
                .as_str()
                .or(endpoint["region"].as_str());
            Some((region.unwrap_or_default(), endpoint["url"].as_str()?))
        })
        .collect();
    let regions: BTreeSet<&str> = found.iter().map(|(region, _)| *region).collect();
    let listed = tidy(&regions.iter().copied().collect::<Vec<_>>().join(", "), 200);
    let url = match region {
        Some(region) => found.iter().find(|(of, _)| *of == region).ok_or_else(|| {
            none(format!(
                "the service catalogue has no public network service in the region `{region}`; it has: {listed}"
            ))
        })?,
        None if regions.len() > 1 => {
            return Err(none(format!(
                "the service catalogue has several regions, and `auth.region` names none of them: {listed}"
            )));
        }
        None => found.first().ok_or_else(|| {
            none("the service catalogue has no public network service; `url` may name one".to_owned())
        })?,
    };
    let url = config::address(url.1).ok_or_else(|| {
        none(
            "the service catalogue's address of the network service is none; `url` may name it"
                .to_owned(),
        )
    })?;
    Ok(config::with_version(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn endpoint(interface: &str, region: &str, url: &str) -> Value {
        json!({ "interface": interface, "region_id": region, "region": region, "url": url })
    }

    fn catalogue(endpoints: &[Value]) -> Value {
        json!([
            { "type": "identity", "endpoints": [endpoint("public", "one", "http://k")] },
            { "type": "network", "endpoints": endpoints },
        ])
    }

    #[test]
    fn the_catalogue_tells_where_the_network_service_is() {
        let two = catalogue(&[
            endpoint("internal", "one", "http://inner"),
            endpoint("public", "one", "http://n1:9696"),
            endpoint("public", "two", "http://n2/networking/"),
        ]);
        let address = |catalogue: &Value, region: Option<&str>| {
            catalogued(catalogue, region)
                .map(String::from)
                .map_err(|error| error.message)
        };
        assert_eq!(address(&two, Some("one")).unwrap(), "http://n1:9696/v2.0");
        assert_eq!(
            address(&two, Some("two")).unwrap(),
            "http://n2/networking/v2.0"
        );
        assert!(
            address(&two, Some("three"))
                .unwrap_err()
                .ends_with("it has: one, two")
        );
        assert!(address(&two, None).unwrap_err().contains("auth.region"));
        let one = catalogue(&[endpoint("public", "one", "http://n/v2.0")]);
        assert_eq!(address(&one, None).unwrap(), "http://n/v2.0");
        assert!(address(&catalogue(&[]), None).is_err());
        assert!(address(&Value::Null, None).is_err());
        let odd = catalogue(&[endpoint("public", "one", "ftp://n")]);
        assert!(address(&odd, None).is_err());
    }

    #[test]
    fn a_catalogue_leads_nowhere_unsafe() {
        let leads = |keystone: &str, network: &str| {
            let network = config::address(network).unwrap();
            safe_from(&Url::parse(keystone).unwrap(), &network).map_err(|error| error.message)
        };
        for (keystone, network) in [
            ("https://k", "https://n:9696"),
            ("http://k", "http://n:9696"),
            ("http://k", "https://[2001:db8::1]"),
            ("http://k", "http://127.0.0.1:9696"),
        ] {
            assert_eq!(leads(keystone, network), Ok(()), "{network}");
        }
        let plain = leads("https://k", "http://n:9696").unwrap_err();
        assert!(
            plain.contains("from https:// to http:// at n,") && plain.contains("`url`"),
            "{plain}"
        );
        for network in [
            "https://169.254.169.254",
            "http://[fe80::1]:9696",
            "http://[::ffff:169.254.169.254]",
            "http://2852039166/",
        ] {
            let refused = leads("http://k", network).unwrap_err();
            assert!(
                refused.contains("link-local") && refused.contains("`url`"),
                "{refused}"
            );
        }
    }
}
