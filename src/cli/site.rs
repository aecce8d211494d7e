//! Site files: connections with what they need, described once for every cloud.

pub mod attachment;
pub mod form;
pub mod key;
mod overlay;
#[cfg(test)]
mod tests;

use crate::{
    cli::{
        input,
        kinds::Kind,
        names,
        site::{attachment::Attachment, form::Form, key::Key},
        tree::Tree,
        yaml,
    },
    config::{Process, Surroundings},
    text::clean,
};
use prost_reflect::{DynamicMessage, Value};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// One document of a site file: a connection with what it needs, and where it is attached on each backend.
#[derive(Debug, Clone)]
pub struct Site {
    /// The file and, if it has several documents, the document. For messages.
    place: String,
    form: Form,
    /// The full name of the connection, if the document names one.
    name: Option<String>,
}

impl Site {
    /// Reads a site file, or standard input if it is `-`. Checks every document completely, and fetches the keys that
    /// are kept elsewhere.
    ///
    /// # Errors
    /// Every problem, in lines for people, without any part of a key.
    pub fn read_all(file: &Path) -> Result<Vec<Site>, String> {
        Site::read_around(file, &Process)
    }

    /// Like [`Site::read_all`], but treats a key that cannot be fetched as missing from the file.
    ///
    /// # Errors
    /// Those of [`Site::read_all`].
    pub fn read_without_keys(file: &Path) -> Result<Vec<Site>, String> {
        Site::read_with(file, &Process, false)
    }

    fn read_around(file: &Path, around: &impl Surroundings) -> Result<Vec<Site>, String> {
        Site::read_with(file, around, true)
    }

    fn read_with(
        file: &Path,
        around: &impl Surroundings,
        needs_key: bool,
    ) -> Result<Vec<Site>, String> {
        let (source, text) = input::text(file)?;
        let documents = match input::is_yaml(file, &text) {
            true => yaml::documents(&text)
                .map_err(|why| format!("{source} is not YAML: {}", clean(&why)))?,
            false => {
                objects(&text).map_err(|why| format!("{source} is not JSON: {}", clean(&why)))?
            }
        };
        if documents.is_empty() {
            return Err(format!("{source} describes nothing"));
        }
        let several = documents.len() > 1;
        let folder = file.parent().unwrap_or(Path::new(""));
        let read = documents.into_iter().enumerate().map(|(at, (line, tree))| {
            let place = match several {
                true => format!("{source}, document {} (line {line})", at + 1),
                false => source.clone(),
            };
            Site::read(place, tree, |key| match key.fetched(folder, around) {
                Err(_) if !needs_key => Ok(Key::Absent),
                fetched => fetched,
            })
        });
        let (sites, wrong): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
        match wrong.is_empty() {
            true => Ok(sites.into_iter().flatten().collect()),
            false => Err(wrong.join("\n")),
        }
    }

    fn read(
        place: String,
        tree: Tree,
        fetched: impl FnOnce(Key) -> Result<Key, String>,
    ) -> Result<Site, String> {
        let told = |lines: Vec<String>| {
            let lines = lines.iter().map(|line| format!("\n  {}", clean(line)));
            let lines: String = lines.collect();
            format!("{place} does not describe a connection:{lines}")
        };
        let mut form = form::read(tree).map_err(told)?;
        let key = fetched(form.key);
        form.key = key.map_err(|why| told(vec![format!("the key: {why}")]))?;
        let name = form::text_of(&form.connection, "name");
        let name = match name.is_empty() {
            true => None,
            false => Some(names::of_kind(Kind::Connection, &name).map_err(|why| told(vec![why]))?),
        };
        Ok(Site { place, form, name })
    }

    /// Returns the place of the document for messages: `site.yaml`, or `site.yaml, document 2 (line 14)`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the display name of the connection, or an empty string if only its name identifies it.
    pub fn display_name(&self) -> String {
        form::text_of(&self.form.connection, "display_name")
    }

    /// Returns the address of the peer, or an empty string if the document does not set it.
    pub fn peer_address(&self) -> String {
        let peer = self.form.connection.get_field_by_name("peer");
        let peer = peer.as_deref().and_then(Value::as_message);
        peer.map_or(String::new(), |peer| form::text_of(peer, "address"))
    }

    /// Returns the full name of the connection if the document names one on this backend.
    pub fn name_on(&self, backend: &str) -> Option<&str> {
        let name = self.name.as_deref()?;
        (backend_of(name) == Some(backend)).then_some(name)
    }

    /// Returns the backends of the document, in the order of the file: those under `backends`, else the one in the
    /// connection's name. Empty if the document has neither.
    pub fn backends(&self) -> Vec<&str> {
        match &self.form.backends[..] {
            [] => {
                let own = self.name.as_deref().and_then(backend_of);
                own.into_iter().collect()
            }
            backends => backends.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    /// Reports whether no key has to be asked for: it is known, or a certificate replaces it.
    pub fn has_key(&self) -> bool {
        !matches!(self.form.key, Key::Absent)
    }

    /// Supplies the missing key.
    pub fn give_key(&mut self, key: SecretString) {
        self.form.key = Key::Given(key);
    }

    /// Returns the fields of a request that creates or applies on this backend: `parent`, `connection` (with the key,
    /// if it is known), `parts` and `reuse`. The attachment in `over` overrides that of the file.
    ///
    /// # Errors
    /// If the document references resources of another backend, in lines for people.
    pub fn request(
        &self,
        backend: &str,
        over: &Attachment,
    ) -> Result<Vec<(String, Value)>, String> {
        let mut connection = self.form.connection.clone();
        match self.name_on(backend) {
            Some(name) => connection.set_field_by_name("name", Value::String(name.to_owned())),
            None => connection.clear_field_by_name("name"),
        }
        // The etag dates from when the file was written, and would make the second of two applies fail.
        connection.clear_field_by_name("etag");
        if let Key::Given(key) = &self.form.key {
            set_key(&mut connection, key);
        }
        let found = self.form.backends.iter().find(|(name, _)| name == backend);
        let attachment = found.map_or_else(Attachment::default, |(_, it)| it.clone());
        let attachment = attachment.under(over);
        let told = |lines: Vec<String>| {
            let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
            format!("{} cannot be applied on {backend}:{lines}", self.place)
        };
        let mut parts = self.form.parts.clone();
        overlay::lay(&mut connection, &mut parts, &attachment, backend)
            .map_err(|why| told(vec![why]))?;
        let foreign = overlay::foreign(&connection, parts.as_ref(), backend);
        if !foreign.is_empty() {
            let mut lines = foreign;
            lines.push(self.how_to_have_no_references());
            return Err(told(lines));
        }
        let mut fields = vec![
            (
                "parent".to_owned(),
                Value::String(format!("backends/{backend}")),
            ),
            ("connection".to_owned(), Value::Message(connection)),
        ];
        fields.extend(parts.map(|parts| ("parts".to_owned(), Value::Message(parts))));
        fields.extend(self.form.reuse.clone().map(|it| ("reuse".to_owned(), it)));
        Ok(fields)
    }

    fn how_to_have_no_references(&self) -> String {
        let name = self
            .name
            .as_deref()
            .map_or("CONNECTION".to_owned(), names::short);
        format!("`isthmus get {name} -o yaml` prints it in a form that every backend takes")
    }
}

fn backend_of(name: &str) -> Option<&str> {
    name.strip_prefix("backends/")?.split('/').next()
}

fn set_key(connection: &mut DynamicMessage, key: &SecretString) {
    let peer = overlay::within(connection, "peer");
    let key = Value::String(key.expose_secret().to_owned());
    peer.set_field_by_name("psk", key);
}

/// Parses consecutive JSON objects, each with the line in which it begins.
fn objects(text: &str) -> Result<Vec<(u64, Tree)>, String> {
    let mut read = serde_json::Deserializer::from_str(text).into_iter::<Tree>();
    let mut objects = Vec::new();
    loop {
        let before = &text[read.byte_offset()..];
        let start = text.len() - before.trim_start().len();
        match read.next() {
            None => return Ok(objects),
            Some(Err(why)) => return Err(why.to_string()),
            Some(Ok(tree)) => {
                let line = text[..start].matches('\n').count() as u64 + 1;
                objects.push((line, tree));
            }
        }
    }
}
