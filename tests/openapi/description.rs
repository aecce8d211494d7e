//! The description of the Manager API, and what an exchange does that it does not know.

use crate::support::recorder::Exchange;
use http::Method;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Which of a body's fields are allowed, by where the body goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Making something: what is read-only cannot be said.
    Made,
    /// Writing back what was read: read-only fields may come along, and the vendor's own examples send them.
    WrittenBack,
    /// An answer: what is write-only must not be in it.
    Answered,
}

/// What the API consists of.
pub struct Description {
    paths: Map<String, Value>,
    schemas: BTreeMap<Way, Value>,
}

impl Description {
    /// The one in the fixtures.
    pub fn read() -> Description {
        let text = include_str!("../fixtures/nsx/nsx-mp-vpn-openapi.json");
        let document: Value = serde_json::from_str(text).unwrap();
        let schemas = &document["components"]["schemas"];
        let for_way = |way, unwanted| (way, strict(schemas, unwanted));
        Description {
            paths: document["paths"].as_object().unwrap().clone(),
            schemas: BTreeMap::from([
                for_way(Way::Made, Some("readOnly")),
                for_way(Way::WrittenBack, None),
                for_way(Way::Answered, Some("writeOnly")),
            ]),
        }
    }

    /// Everything that is wrong with an exchange; the operation it was, as `GET sessions`, if nothing is.
    pub fn examine(&self, exchange: &Exchange) -> Result<String, Vec<String>> {
        let what = format!("{} {}", exchange.method, exchange.uri);
        let Some((path, operation)) = self.operation(&exchange.method, exchange.uri.path()) else {
            return Err(vec![format!("{what}: unknown")]);
        };
        let mut faults = wrong_parameters(operation, exchange.uri.query().unwrap_or_default());
        let way = match exchange.method {
            Method::POST => Way::Made,
            _ => Way::WrittenBack,
        };
        let sent = self.wrong_body(way, &operation["requestBody"], &exchange.sent);
        faults.extend(sent.into_iter().map(|fault| format!("sent: {fault}")));
        let status = exchange.status.as_u16();
        match &operation["responses"][status.to_string()] {
            Value::Null => faults.push(format!("{status} is no answer to it")),
            answer => {
                let answered = self.wrong_body(Way::Answered, answer, &exchange.answered);
                faults.extend(
                    answered
                        .into_iter()
                        .map(|fault| format!("{status}: {fault}")),
                );
            }
        }
        if faults.is_empty() {
            return Ok(format!("{} {}", exchange.method, short(path)));
        }
        Err(faults
            .into_iter()
            .map(|fault| format!("{what}: {fault}"))
            .collect())
    }

    /// Every operation, as [`Description::examine`] calls it.
    pub fn operations(&self) -> BTreeSet<String> {
        let operations = self.paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {}", method.to_uppercase(), short(path)))
        });
        operations.collect()
    }

    /// What may be said of an object of this type when it is made.
    pub fn writable(&self, schema: &str) -> BTreeSet<String> {
        let properties = &self.schemas[&Way::Made][schema]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    }

    fn operation(&self, method: &Method, path: &str) -> Option<(&str, &Value)> {
        let is_variable = |segment: &str| segment.starts_with('{');
        let fits = |template: &str| {
            let (wanted, given) = (template.split('/'), path.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted
                    .zip(given)
                    .all(|(wanted, given)| wanted == given || is_variable(wanted))
        };
        // `sessions/summary` is nearer to itself than to `sessions/{id}`.
        let (template, path) = self
            .paths
            .iter()
            .filter(|(template, _)| fits(template))
            .min_by_key(|(template, _)| template.matches('{').count())?;
        let operation = path.get(method.as_str().to_lowercase())?;
        Some((template, operation))
    }

    /// What is wrong with a body, where `place` is what the description has in its place.
    fn wrong_body(&self, way: Way, place: &Value, body: &[u8]) -> Vec<String> {
        let schema = &place["content"]["application/json"]["schema"];
        match (schema, body) {
            (Value::Null, []) => Vec::new(),
            (Value::Null, _) => vec!["a body where there is none".to_owned()],
            (_, []) => vec!["no body".to_owned()],
            (schema, body) => match serde_json::from_slice(body) {
                Ok(instance) => wrong(schema, Some(&self.schemas[&way]), &instance),
                Err(error) => vec![format!("no JSON: {error}")],
            },
        }
    }
}

fn short(path: &str) -> &str {
    path.trim_start_matches("/api/v1/vpn/ipsec/")
}

fn wrong_parameters(operation: &Value, query: &str) -> Vec<String> {
    let parameters = operation["parameters"].as_array().unwrap();
    let mut faults = Vec::new();
    // Part of what the operation is, and no parameter of it.
    let fixed = operation["x-fixed-query"].as_str();
    if fixed.is_some_and(|fixed| !query.split('&').any(|pair| pair == fixed)) {
        faults.push(format!("`{}` is missing", fixed.unwrap()));
    }
    let pairs = query.split('&').filter(|pair| fixed != Some(*pair));
    for (key, said) in pairs.filter_map(|pair| pair.split_once('=')) {
        let known = |parameter: &&Value| parameter["in"] == "query" && parameter["name"] == key;
        let Some(parameter) = parameters.iter().find(known) else {
            faults.push(format!("`{key}` is no parameter of it"));
            continue;
        };
        let schema = &parameter["schema"];
        let value = match schema["type"].as_str() {
            // Numbers and booleans are written as in JSON.
            Some("integer" | "boolean") => serde_json::from_str(said).unwrap_or(json!(said)),
            _ => json!(said),
        };
        let wrong = wrong(schema, None, &value);
        faults.extend(wrong.into_iter().map(|fault| format!("`{key}`: {fault}")));
    }
    faults
}

/// What is wrong with a value, without the value: bodies hold keys.
fn wrong(schema: &Value, schemas: Option<&Value>, instance: &Value) -> Vec<String> {
    // Beside a `$ref` nothing counts, so that the reference goes one level down.
    let whole = json!({ "allOf": [schema], "components": { "schemas": schemas } });
    let validator: Validator = jsonschema::options()
        // OpenAPI 3.0 took its schemas from here.
        .with_draft(Draft::Draft4)
        .build(&whole)
        .unwrap();
    validator
        .iter_errors(instance)
        .map(|error| format!("{}: {}", error.instance_path(), error.masked()))
        .collect()
}

/// Schemas that allow nothing they do not name, without the properties that are marked as unwanted.
///
/// OpenAPI lets unknown properties pass; here they are what the test is for. The discriminator, which JSON Schema
/// does not know, becomes the only allowed value.
fn strict(schemas: &Value, unwanted: Option<&str>) -> Value {
    let mut schemas = schemas.clone();
    for (_, schema) in schemas.as_object_mut().unwrap() {
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
            continue;
        };
        let is_unwanted = |property: &Value| unwanted.is_some_and(|mark| property[mark] == true);
        properties.retain(|_, property| !is_unwanted(property));
        let left: BTreeSet<String> = properties.keys().cloned().collect();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| left.contains(name.as_str().unwrap()));
        }
        schema["additionalProperties"] = json!(false);
    }
    let discriminators: Vec<Value> = schemas
        .as_object()
        .unwrap()
        .values()
        .filter_map(|schema| schema.get("discriminator").cloned())
        .collect();
    for discriminator in discriminators {
        let property = discriminator["propertyName"].as_str().unwrap();
        for (value, reference) in discriminator["mapping"].as_object().unwrap() {
            let name = reference.as_str().unwrap().rsplit('/').next().unwrap();
            schemas[name]["properties"][property]["enum"] = json!([value]);
        }
    }
    schemas
}
