//! What a command is given to write: a file, or standard input, in JSON or YAML.

use crate::{
    cli::{json, kinds::Kind, misfits, tree::Tree, yaml},
    text::clean,
};
use prost_reflect::DynamicMessage;
use serde_json::Value;
use std::{
    io::{self, Read},
    path::Path,
};

/// The longest description of a resource that is read, in bytes: what the gateway takes.
const MAX_INPUT: u64 = 4 * 1024 * 1024;

/// A file that was read, and not yet understood.
#[derive(Debug)]
pub struct Input {
    /// For messages.
    source: String,
    tree: Tree,
}

impl Input {
    /// Reads a file, or standard input if it is `-`: YAML if its name says so or if it does not begin as JSON does.
    ///
    /// # Errors
    /// Why it cannot be read, in lines for people.
    pub fn read(file: &Path) -> Result<Input, String> {
        let (source, text) = if file == Path::new("-") {
            ("standard input".to_owned(), limited(io::stdin()))
        } else {
            let opened = std::fs::File::open(file).and_then(limited);
            (clean(&file.display().to_string()), opened)
        };
        let text = text.map_err(|error| format!("{source} cannot be read: {error}"))?;
        let ending = file.extension().and_then(|ending| ending.to_str());
        let is_yaml = matches!(ending, Some("yaml" | "yml")) || !text.trim_start().starts_with('{');
        let tree = if is_yaml {
            yaml::read(&text).map_err(|why| format!("{source} is no YAML: {}", clean(&why)))
        } else {
            serde_json::from_str(&text)
                .map_err(|why| format!("{source} is no JSON: {}", clean(&why.to_string())))
        };
        Ok(Input {
            tree: tree?,
            source,
        })
    }

    /// The name that it gives; empty if it gives none.
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

    /// The resource that it describes.
    ///
    /// # Errors
    /// Every field that does not fit, by its path, in lines for people.
    pub fn resource(self, kind: Kind) -> Result<DynamicMessage, String> {
        let misfit = |lines: Vec<String>| {
            let said = lines.iter().map(|line| format!("\n  {}", clean(line)));
            let said: String = said.collect();
            format!(
                "{} does not describe {}:{said}",
                self.source,
                kind.article()
            )
        };
        let descriptor = json::descriptor(&kind.message());
        let found = misfits::find(&descriptor, &self.tree);
        if !found.is_empty() {
            return Err(misfit(found));
        }
        // Its own words may repeat a value, which may be a key.
        DynamicMessage::deserialize(descriptor, Value::from(self.tree.clone()))
            .map_err(|_| misfit(vec!["protobuf does not take it".to_owned()]))
    }
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
    use crate::grpc::pb;

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
    fn what_cannot_be_read_is_told_by_name() {
        for (name, text, said) in [
            (
                "a.json",
                "{\n\"mtu\": 1",
                "a.json is no JSON: EOF while parsing an object at line 2",
            ),
            ("a.json", "{} {}", "a.json is no JSON: trailing characters"),
            ("a.yaml", "mtu: 1\n---\nmtu: 2\n", "a.yaml is no YAML: "),
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
        for (name, text) in [
            ("a.yaml", "peer: {psk: *Canary}"),
            ("a.yaml", "peer:\n  psk: !Canary x\n  psk: Canary"),
            ("a.yaml", "peer:\n  psk: \"Canary"),
            ("a.yaml", "peer:\n  psk: Canary: 1"),
            ("a.yaml", "peer:\n  psk: !!int Canary"),
            ("a.yaml", "peer:\n  psk: [Canary]"),
            ("a.yaml", "peer: Canary"),
            ("a.yaml", "psk: Canary"),
            ("a.json", "{\"peer\": {\"psk\": Canary}}"),
            ("a.json", "{\"peer\": {\"psk\": {\"Canary\": 1}}}"),
            ("a.json", "{\"peer\": {\"psk\": \"Canary"),
        ] {
            let read = read(name, text);
            let why = read
                .and_then(|input| input.resource(Kind::Connection))
                .unwrap_err();
            assert!(!why.contains("Canary"), "{text}: {why}");
        }
    }

    #[test]
    fn a_file_may_say_which_resource_it_is() {
        let text = r#"{"name": "backends/a/connections/1"}"#;
        assert_eq!(read("a", text).unwrap().name(), "backends/a/connections/1");
        assert_eq!(read("a", "mtu: 1").unwrap().name(), "");
        assert_eq!(read("a", "- mtu").unwrap().name(), "");
    }
}
