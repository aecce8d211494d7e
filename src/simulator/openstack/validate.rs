//! Neutron's API layer: the checks on a request body before the VPN plugin sees it.
//!
//! The order of the checks is Neutron's, because only the first fault is reported: the envelope, the project, unknown
//! attributes, missing and forbidden ones, then the values in the order of the attribute map. The map itself is in
//! [`crate::simulator::openstack::attributes`].

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::simulator::openstack::attributes::{Attribute, Check, Given, attributes};
use crate::simulator::openstack::kinds::Kind;
use crate::simulator::openstack::reply::{Refusal, python_str};
use crate::simulator::openstack::variant::Variant;

/// Reads the object of a request body. Each fault of the envelope gets the same message as in Neutron.
pub(crate) fn envelope(kind: Kind, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad_request("Resource body required"));
    }
    let malformed = || {
        Refusal::new(
            400,
            "MalformedRequestBody",
            "Malformed request body: Cannot understand JSON.",
        )
    };
    let body: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
    let Value::Object(mut body) = body else {
        return Err(Refusal::bad_request("Resource body required"));
    };
    match body.remove(kind.singular()) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(Refusal::bad_request(format!(
            "Unable to find '{}' in request body",
            kind.singular()
        ))),
    }
}

/// Checks and completes the attributes of a POST.
///
/// `own` is the project of the token. `admin` says whether the caller can create for other projects. The result holds
/// every attribute of the kind that a POST can hold, plus `tenant_id`.
pub(crate) fn create(
    kind: Kind,
    variant: Variant,
    own: Option<&str>,
    admin: bool,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let project = project(own, admin, &mut given)?;
    let Some(project) = project.or_else(|| own.map(str::to_owned)) else {
        let message = "Running without keystone AuthN requires that tenant_id is specified";
        return Err(Refusal::bad_request(message));
    };
    recognized(kind, variant, &given)?;
    let mut object = Map::new();
    for attribute in attributes(kind, variant) {
        let value = given.remove(attribute.name);
        let value = match (attribute.post, value) {
            (Given::Refused, None) => continue,
            (Given::Refused, Some(_)) => {
                return Err(Refusal::bad_request(format!(
                    "Attribute '{}' not allowed in POST",
                    attribute.name
                )));
            }
            (_, Some(value)) => value,
            (Given::Required, None) => {
                let message = format!(
                    "Failed to parse request. Required attribute '{}' not specified",
                    attribute.name
                );
                return Err(Refusal::bad_request(message));
            }
            (Given::Optional(default), None) => default(),
        };
        object.insert(attribute.name.to_owned(), value);
    }
    convert(kind, variant, &mut object)?;
    object.insert("tenant_id".to_owned(), Value::String(project));
    Ok(object)
}

/// Checks the attributes of a PUT. The result holds only the given ones.
pub(crate) fn update(
    kind: Kind,
    variant: Variant,
    own: Option<&str>,
    admin: bool,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let project = project(own, admin, &mut given)?;
    recognized(kind, variant, &given)?;
    for attribute in attributes(kind, variant) {
        if !attribute.put && given.contains_key(attribute.name) {
            let message = format!("Cannot update read-only attribute {}", attribute.name);
            return Err(Refusal::bad_request(message));
        }
        if project.is_some() && attribute.name == "id" {
            // In the attribute map, the project comes right after the id.
            return Err(Refusal::bad_request(
                "Cannot update read-only attribute tenant_id",
            ));
        }
    }
    convert(kind, variant, &mut given)?;
    Ok(given)
}

/// Removes the project from the attributes. Only an admin can name a project other than its own.
fn project(
    own: Option<&str>,
    admin: bool,
    given: &mut Map<String, Value>,
) -> Result<Option<String>, Refusal> {
    let named = [given.remove("tenant_id"), given.remove("project_id")]
        .into_iter()
        .flatten()
        .next_back();
    let Some(named) = named else { return Ok(None) };
    let named = python_str(&named);
    if !admin && own.is_some_and(|own| own != named) {
        let message = "Specifying 'project_id' other than the authenticated project in request is not allowed for the \
                       current user.";
        return Err(Refusal::bad_request(message));
    }
    Ok(Some(named))
}

fn recognized(kind: Kind, variant: Variant, given: &Map<String, Value>) -> Result<(), Refusal> {
    let known: HashSet<_> = attributes(kind, variant)
        .map(|attribute| attribute.name)
        .collect();
    let unknown: Vec<_> = given
        .keys()
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "Unrecognized attribute(s) '{}'",
        unknown.join(", ")
    )))
}

/// Converts and checks the given values, in the order of the map.
fn convert(kind: Kind, variant: Variant, object: &mut Map<String, Value>) -> Result<(), Refusal> {
    for attribute in attributes(kind, variant) {
        if let Some(value) = object.get_mut(attribute.name) {
            check(attribute, variant, value)?;
        }
    }
    Ok(())
}

fn check(attribute: &Attribute, variant: Variant, value: &mut Value) -> Result<(), Refusal> {
    let invalid_input = |reason: String| {
        let message = format!("Invalid input for operation: {reason}.");
        Refusal::new(400, "InvalidInput", message)
    };
    // Conversions run before validators, and their messages differ.
    match attribute.check {
        Check::Boolean => {
            let converted = boolean(value);
            let refusal = || {
                invalid_input(format!(
                    "'{}' cannot be converted to boolean",
                    python_str(value)
                ))
            };
            *value = Value::Bool(converted.ok_or_else(refusal)?);
        }
        Check::Integer => {
            let refusal = || invalid_input(format!("'{}' is not an integer", python_str(value)));
            *value = Value::from(integer(value).ok_or_else(refusal)?);
        }
        Check::Cidrs | Check::List => match value {
            Value::Array(_) => {}
            Value::Null => *value = Value::Array(Vec::new()),
            _ => *value = Value::Array(vec![value.take()]),
        },
        Check::Members(_) if value.is_null() => *value = Value::Object(Map::new()),
        _ => {}
    }
    validate(attribute.check, variant, value).map_err(|reason| {
        let message = format!("Invalid input for {}. Reason: {reason}.", attribute.name);
        Refusal::bad_request(message)
    })
}

/// Returns why a value is refused, in neutron-lib's words.
fn validate(check: Check, variant: Variant, value: &Value) -> Result<(), String> {
    let said = || python_str(value);
    let number = || integer(value).ok_or_else(|| format!("'{}' is not an integer", said()));
    match check {
        Check::Anything | Check::Boolean | Check::List => Ok(()),
        Check::Integer | Check::NonNegative => {
            let number = number()?;
            demand(number >= 0, || format!("'{number}' should be non-negative"))
        }
        Check::AtLeast(least) => {
            let number = number()?;
            let wrong = || format!("'{number}' is too small - must be at least '{least}'");
            demand(number >= least, wrong)
        }
        Check::Text(most) => {
            let text = value.as_str();
            let text = text.ok_or_else(|| format!("'{}' is not a valid string", said()))?;
            let most = most.unwrap_or(usize::MAX);
            let wrong = || format!("'{text}' exceeds maximum length of {most}");
            demand(text.chars().count() <= most, wrong)
        }
        Check::UuidOrNull if value.is_null() => Ok(()),
        Check::Uuid | Check::UuidOrNull => {
            let wrong = || format!("'{}' is not a valid UUID", said());
            demand(value.as_str().is_some_and(is_uuid), wrong)
        }
        Check::Choice(words) => {
            let is_known = |word| variant.words(words).contains(&word);
            let wrong = || format!("{} is not in valid_values", said());
            demand(value.as_str().is_some_and(is_known), wrong)
        }
        Check::Cidrs => validate_cidrs(value),
        Check::Members(members) => validate_members(members, variant, value),
    }
}

fn demand(is_fine: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if is_fine { Ok(()) } else { Err(wrong()) }
}

fn validate_cidrs(value: &Value) -> Result<(), String> {
    let mut seen = HashSet::new();
    for cidr in value.as_array().into_iter().flatten() {
        let text = python_str(cidr);
        demand(is_cidr(&text), || {
            format!("'{text}' is not a valid IP subnet")
        })?;
        demand(seen.insert(text), || {
            format!("Duplicate items in the list: '{}'", python_str(cidr))
        })?;
    }
    Ok(())
}

fn validate_members(
    members: &[(&str, Check)],
    variant: Variant,
    value: &Value,
) -> Result<(), String> {
    let object = value.as_object();
    let object = object.ok_or_else(|| format!("'{}' is not a dictionary", python_str(value)))?;
    let known = |name: &str| members.iter().any(|(member, _)| *member == name);
    let names = object.keys().map(String::as_str);
    let unknown: Vec<_> = names.filter(|name| !known(name)).collect();
    demand(unknown.is_empty(), || {
        format!("Unexpected keys supplied: {}", unknown.join(", "))
    })?;
    for (name, check) in members {
        if let Some(value) = object.get(*name) {
            validate(*check, variant, value)?;
        }
    }
    Ok(())
}

/// An integer, or a string that contains one.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(truth) => Some(i64::from(*truth)),
        _ => None,
    }
}

/// A boolean, or a word or number for one.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the text is an address, a slash and a prefix length. Host bits can be set.
pub(crate) fn is_cidr(text: &str) -> bool {
    cidr_version(text).is_some()
}

/// The IP version, 4 or 6, of an address with a prefix length.
pub(crate) fn cidr_version(text: &str) -> Option<u8> {
    let (address, length) = text.split_once('/')?;
    let length: u8 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(_) if length <= 32 => Some(4),
        IpAddr::V6(_) if length <= 128 => Some(6),
        _ => None,
    }
}

/// Whether Neutron accepts the text as a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}
