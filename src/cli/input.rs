//! Resources given to a command, in a file or on standard input, as JSON or YAML.

use crate::{
    cli::{json, kinds::Kind, misfits, tree::Tree, yaml},
    text::clean,
};
use prost_reflect::{DynamicMessage, Value as Field};
use serde_json::Value;
use std::{
    io::{self, Read},
    path::Path,
};

/// The largest input that is read, in bytes: the limit of the gateway.
const MAX_INPUT: u64 = 4 * 1024 * 1024;

/// The fields of a create request that a file may set. If a file sets one of them, it contains the connection as a
/// field. A connection itself has no fields of these names.
const CREATION: [&str; 3] = ["connection", "parts", "reuse"];

/// A file that is parsed but not yet interpreted.
#[derive(Debug)]
pub struct Input {
    /// The name of the source, for messages.
    source: String,
    tree: Tree,
}

impl Input {
    /// Reads a file, or standard input if it is `-`. It is YAML if its name says so or its text does not begin with
    /// `{`.
    ///
    /// # Errors
    /// Why it cannot be read, in lines for people.
    pub fn read(file: &Path) -> Result<Input, String> {
        let (source, text) = text(file)?;
        let tree = if is_yaml(file, &text) {
            yaml::read(&text).map_err(|why| format!("{source} is not YAML: {}", clean(&why)))
        } else {
            serde_json::from_str(&text)
                .map_err(|why| format!("{source} is not JSON: {}", clean(&why.to_string())))
        };
        Ok(Input {
            tree: tree?,
            source,
        })
    }

    /// Returns its `name`, or an empty string if it has none.
    pub fn name(&self) -> &str {
        let Tree::Fields(fields) = &self.tree else {
            return "";
        };
        let names = fields.iter().filter(|(field, _)| field == "name");
        let texts = names.filter_map(|(_, value)| match value {
            Tree::Leaf(Value::String(name)) => Some(name.as_str()),
            _ => None,
        });
        texts.fold("", |_, last| last)
    }

    /// Checks that it is one resource and not a site file.
    ///
    /// # Errors
    /// If it is a site file; the message names the command that takes it.
    pub fn refuse_site(&self) -> Result<(), String> {
        if !self.has(&CREATION) && !self.has(&["backends"]) {
            return Ok(());
        }
        Err(format!(
            "{} is a site file: `isthmus apply -f FILE` has its connection be as it says. `update` takes one resource, \
             as `isthmus get NAME -o json` prints it",
            self.source
        ))
    }

    /// Returns the resource that it describes.
    ///
    /// # Errors
    /// Every field that does not fit, by its path, in lines for people.
    pub fn resource(self, kind: Kind) -> Result<DynamicMessage, String> {
        self.message(&kind.message(), &kind.article())
    }

    /// Returns the fields of a create request: a resource, and for a connection the parts made with it.
    ///
    /// # Errors
    /// Those of [`Input::resource`].
    pub fn creation(self, kind: Kind) -> Result<Vec<(String, Field)>, String> {
        if kind == Kind::Connection && self.has(&["backends"]) {
            return Err(format!(
                "{} is a site file, with `backends`: `isthmus apply -f FILE` makes its connection",
                self.source
            ));
        }
        // The file either contains a connection as a field, or is the connection.
        if kind != Kind::Connection || !self.has(&CREATION) {
            return Ok(vec![(kind.field(), Field::Message(self.resource(kind)?))]);
        }
        let what = "a connection with its parts";
        let source = self.source.clone();
        let request = self.message("CreateConnectionRequest", what)?;
        let given = request
            .fields()
            .map(|(field, value)| (field.name().to_owned(), value.clone()));
        let given: Vec<(String, Field)> = given.collect();
        let others = given
            .iter()
            .filter(|(name, _)| !CREATION.contains(&name.as_str()));
        let others: String = others
            .map(|(name, _)| format!("\n  {name}: belongs on the command line, not in the file"))
            .collect();
        match others.is_empty() {
            true => Ok(given),
            false => Err(format!("{source} does not describe {what}:{others}")),
        }
    }

    /// Reports whether one of these fields is set.
    fn has(&self, names: &[&str]) -> bool {
        match &self.tree {
            Tree::Fields(fields) => fields.iter().any(|(it, _)| names.contains(&it.as_str())),
            _ => false,
        }
    }

    fn message(self, message: &str, what: &str) -> Result<DynamicMessage, String> {
        let misfit = |lines: Vec<String>| {
            let said = lines.iter().map(|line| format!("\n  {}", clean(line)));
            let said: String = said.collect();
            format!("{} does not describe {what}:{said}", self.source)
        };
        let descriptor = json::descriptor(message);
        let found = misfits::find(&descriptor, &self.tree);
        if !found.is_empty() {
            return Err(misfit(found));
        }
        // The parser's own message may quote a value, which may be a key.
        DynamicMessage::deserialize(descriptor, Value::from(self.tree.clone()))
            .map_err(|_| misfit(vec!["protobuf does not accept it".to_owned()]))
    }
}

/// Reads a file, or standard input if it is `-`. Returns its name for messages, and its text.
///
/// # Errors
/// Why it cannot be read, in lines for people.
pub fn text(file: &Path) -> Result<(String, String), String> {
    let (source, text) = if file == Path::new("-") {
        ("standard input".to_owned(), limited(io::stdin()))
    } else {
        let opened = std::fs::File::open(file).and_then(limited);
        (clean(&file.display().to_string()), opened)
    };
    let text = text.map_err(|error| format!("{source} cannot be read: {error}"))?;
    Ok((source, text))
}

/// Reports whether a file is YAML: its name says so, or its text does not begin with `{`.
pub fn is_yaml(file: &Path, text: &str) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("yaml" | "yml")) || !text.trim_start().starts_with('{')
}

fn limited(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_INPUT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_INPUT {
        return Err(io::Error::other(format!(
            "it is longer than {MAX_INPUT} bytes, which is more than a gateway takes"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::tests::keys, grpc::pb};

    fn read(name: &str, text: &str) -> Result<Input, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        Input::read(&file)
    }

    #[test]
    fn json_and_yaml_say_the_same_in_either_spelling() {
        for (name, text) in [
            (
                "a.json",
                r#"{"displayName": "a", "local_endpoint": "b", "mtu": 1400}"#,
            ),
            (
                "a",
                " \n{\"display_name\": \"a\", \"localEndpoint\": \"b\", \"mtu\": \"1400\"}",
            ),
            ("a.yaml", "{displayName: a, local_endpoint: b, mtu: 1400}"),
            (
                "a",
                "# by hand\ndisplay_name: a\nlocal_endpoint: b\nmtu: 1400\n",
            ),
        ] {
            let message = read(name, text)
                .unwrap()
                .resource(Kind::Connection)
                .unwrap();
            let connection: pb::Connection = message.transcode_to().unwrap();
            assert_eq!(connection.display_name, "a");
            assert_eq!(connection.local_endpoint, "b");
            assert_eq!(connection.mtu, Some(1400));
        }
    }

    #[test]
    fn a_connection_may_come_with_its_parts() {
        let connection = json::descriptor("Connection");
        assert!(
            CREATION
                .iter()
                .all(|it| connection.get_field_by_name(it).is_none())
        );
        let text = "connection:\n  displayName: a\nparts: {ikePolicy: {displayName: b}}\nreuse: REUSE_ANY\n";
        let fields = read("a", text).unwrap().creation(Kind::Connection).unwrap();
        let mut request = DynamicMessage::new(json::descriptor("CreateConnectionRequest"));
        for (name, value) in fields {
            request.set_field_by_name(&name, value);
        }
        let request: pb::CreateConnectionRequest = request.transcode_to().unwrap();
        assert_eq!(request.connection.unwrap().display_name, "a");
        let policy = request.parts.unwrap().ike_policy.unwrap();
        assert_eq!((policy.display_name.as_str(), request.reuse), ("b", 3));

        let alone = read("a", "displayName: a")
            .unwrap()
            .creation(Kind::Connection);
        let names: Vec<String> = alone.unwrap().into_iter().map(|it| it.0).collect();
        assert_eq!(names, ["connection"]);
    }

    #[test]
    fn what_does_not_fit_beside_a_connection_is_told_by_its_path() {
        for (text, said) in [
            (
                "connection: {mtu: -1}\nparts: {ikePolicy: {dhGroup: [1]}}",
                "\n  connection.mtu: takes a whole number that is not negative\n  parts.ike_policy.dhGroup: is not known; \
                 did you mean `dh_groups`?",
            ),
            (
                "connection: {}\nparent: backends/a\nvalidateOnly: true",
                "\n  parent: belongs on the command line, not in the file\n  validate_only: belongs on",
            ),
            (
                "parts: {}\ndisplayName: a",
                "\n  displayName: is not known; ",
            ),
        ] {
            let input = read("a.yaml", text).unwrap();
            let why = input.creation(Kind::Connection).unwrap_err();
            assert!(
                why.contains("does not describe a connection with its parts:"),
                "{why}"
            );
            assert!(why.contains(said), "{why}");
        }
        let why = read("a.yaml", "connection: {}\nparts: {}").unwrap();
        let why = why.creation(Kind::IkePolicy).unwrap_err();
        assert!(why.contains("\n  parts: is not known"), "{why}");
    }

    #[test]
    fn what_cannot_be_read_is_told_by_name() {
        for (name, text, said) in [
            (
                "a.json",
                "{\n\"mtu\": 1",
                "a.json is not JSON: EOF while parsing an object at line 2",
            ),
            ("a.json", "{} {}", "a.json is not JSON: trailing characters"),
            ("a.yaml", "mtu: 1\n---\nmtu: 2\n", "a.yaml is not YAML: "),
        ] {
            let why = read(name, text).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        let why = Input::read(Path::new("no/such/file")).unwrap_err();
        assert!(why.starts_with("no/such/file cannot be read: "), "{why}");
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_it_should_have_been() {
        let input = read("a.yaml", "ike_versoin: 2\n").unwrap();
        let why = input.resource(Kind::IkePolicy).unwrap_err();
        assert!(
            why.ends_with(
                "a.yaml does not describe an IKE policy:\n  ike_versoin: is not known; did you mean `ike_version`?"
            ),
            "{why}"
        );
    }

    #[test]
    fn a_key_is_in_no_message() {
        let of_resources = [
            ("a.yaml", "connection: {peer: {psk: [Canary]}}"),
            (
                "a.yaml",
                "connection: {peer: {psk: Canary}}\nrequestId: Canary",
            ),
        ];
        for (name, text) in keys::BROKEN.into_iter().chain(of_resources) {
            let read = read(name, text);
            let why = read
                .and_then(|input| input.creation(Kind::Connection))
                .unwrap_err();
            assert!(!why.contains("Canary"), "{text}: {why}");
        }
    }

    #[test]
    fn a_site_file_is_told_from_a_resource() {
        for text in [
            "connection: {}",
            "parts: {}",
            "displayName: a\nbackends: {}",
        ] {
            let why = read("a.yaml", text).unwrap().refuse_site().unwrap_err();
            assert!(
                why.contains("a.yaml is a site file: `isthmus apply -f FILE`"),
                "{why}"
            );
        }
        read("a.yaml", "displayName: a")
            .unwrap()
            .refuse_site()
            .unwrap();
        let why = read("a.yaml", "connection: {}\nbackends: {}").unwrap();
        let why = why.creation(Kind::Connection).unwrap_err();
        assert!(why.contains("`isthmus apply -f FILE`"), "{why}");
    }

    #[test]
    fn a_file_may_say_which_resource_it_is() {
        let text = r#"{"name": "backends/a/connections/1"}"#;
        assert_eq!(read("a", text).unwrap().name(), "backends/a/connections/1");
        assert_eq!(read("a", "mtu: 1").unwrap().name(), "");
        assert_eq!(read("a", "- mtu").unwrap().name(), "");
    }
}
