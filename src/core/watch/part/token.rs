//! The name of a write to a part. Unlike a write token of a connection, it carries the ids of the write: a forged token
//! asks about a write that does not exist, and affects no other client (`elsewhere`).

use crate::{
    core::{
        error::Result,
        watch::{
            elsewhere::{ForeignWrite, MAX_REQUEST_IDS},
            token::{decode, encode, wrong},
        },
    },
    model::ResourceName,
};
use serde::{Deserialize, Serialize};

/// The longest id of a write, in bytes. NSX gives UUIDs.
const LONGEST_ID: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartToken {
    v: u8,
    #[serde(rename = "p")]
    name: String,
    /// The cloud's ids of the write.
    #[serde(rename = "i")]
    request_ids: Vec<String>,
    /// Tells the write from others without an id.
    #[serde(rename = "k")]
    key: String,
}

/// Names a write to a part that a cloud has accepted, by the ids that the cloud gave it, if any.
pub fn token(name: &ResourceName, request_ids: &[String]) -> String {
    // If any id cannot be asked about, the write counts as one without ids.
    let usable = request_ids.len() <= MAX_REQUEST_IDS && request_ids.iter().all(|id| fits(id));
    let request_ids = match usable {
        true => request_ids.to_vec(),
        false => Vec::new(),
    };
    encode(&PartToken {
        v: 1,
        name: name.to_string(),
        request_ids,
        key: uuid::Uuid::new_v4().to_string(),
    })
}

impl PartToken {
    /// Parses a token.
    ///
    /// # Errors
    /// `InvalidArgument` / `WrongToken` if the text is not a token, or names a write to something else.
    pub fn decode(text: &str, name: &ResourceName) -> Result<PartToken> {
        let token: PartToken = decode(text, "write_token")?;
        if token.v != 1 || token.name != name.to_string() {
            return Err(wrong(
                "write_token",
                "it names a write to something else than this",
            ));
        }
        let ids = &token.request_ids;
        if ids.len() > MAX_REQUEST_IDS || !ids.iter().chain([&token.key]).all(|id| fits(id)) {
            return Err(wrong("write_token", "it is malformed"));
        }
        Ok(token)
    }

    /// Returns the foreign writes to await on each connection. `tracks_writes` says whether the cloud can be asked about
    /// a write by its id.
    pub fn writes(&self, tracks_writes: bool) -> Vec<ForeignWrite> {
        if tracks_writes && !self.request_ids.is_empty() {
            let ids = self.request_ids.iter().cloned();
            return ids.map(ForeignWrite::Traceable).collect();
        }
        vec![ForeignWrite::Untraceable {
            key: self.key.clone(),
            id_is_missing: tracks_writes,
        }]
    }
}

fn fits(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{error::ErrorReason, watch::token::WriteToken},
        model::Collection,
    };

    fn part(id: &str) -> ResourceName {
        let name = format!("backends/a/ikePolicies/{id}");
        ResourceName::parse(Collection::IkePolicies, &name).unwrap()
    }

    fn ids(of: &[&str]) -> Vec<String> {
        of.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_token_names_a_write_to_its_part_and_to_nothing_else() {
        let text = token(&part("1"), &ids(&["r"]));
        let read = PartToken::decode(&text, &part("1")).unwrap();
        let traced = [ForeignWrite::Traceable("r".to_owned())];
        assert_eq!(read.writes(true), traced);
        let of_connection = WriteToken::new(part("1").to_string(), 1, 2).encode();
        for (text, name) in [
            (text.as_str(), part("2")),
            (of_connection.as_str(), part("1")),
            ("%%%", part("1")),
        ] {
            let error = PartToken::decode(text, &name).unwrap_err();
            assert_eq!(error.reason, ErrorReason::WrongToken);
            assert_eq!(error.context.violations[0].field, "write_token");
        }
        assert!(WriteToken::decode(&text, &part("1").to_string()).is_err());
    }

    #[test]
    fn writes_without_ids_are_told_apart() {
        let of = |tracks_writes| {
            let text = token(&part("1"), &[]);
            let read = PartToken::decode(&text, &part("1")).unwrap();
            (read.writes(tracks_writes), read.writes(tracks_writes))
        };
        let (one, again) = of(false);
        assert_eq!(one, again);
        assert_ne!(one, of(false).0);
        let missing = |writes: &[ForeignWrite]| match writes {
            [ForeignWrite::Untraceable { id_is_missing, .. }] => *id_is_missing,
            other => panic!("{other:?}"),
        };
        assert!(!missing(&one));
        assert!(missing(&of(true).0), "the cloud gives ids, and gave none");
    }

    #[test]
    fn ids_that_cannot_be_asked_about_are_none() {
        let long = "x".repeat(LONGEST_ID + 1);
        let many: Vec<String> = (0..=MAX_REQUEST_IDS).map(|id| id.to_string()).collect();
        for wrong in [ids(&["a b"]), ids(&[&long]), ids(&[""]), many.clone()] {
            let text = token(&part("1"), &wrong);
            let read = PartToken::decode(&text, &part("1")).unwrap();
            assert_eq!(read.request_ids, Vec::<String>::new());
        }
        let forged = encode(&PartToken {
            v: 1,
            name: part("1").to_string(),
            request_ids: many,
            key: "k".to_owned(),
        });
        assert!(PartToken::decode(&forged, &part("1")).is_err());
        let longest = "\"".repeat(crate::model::name::MAX_ID_BYTES);
        let text = token(&part(&longest), &ids(&[&long[1..]; MAX_REQUEST_IDS]));
        assert!(PartToken::decode(&text, &part(&longest)).is_ok());
    }
}
