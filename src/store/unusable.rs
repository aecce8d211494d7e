//! Why a file cannot be used.

use crate::core::store::StoreError;
use std::{fmt, io};

#[derive(Debug)]
pub enum Unusable {
    /// The file is not a store, or a broken one.
    Corrupt(String),
    /// The file may hold a sound store and must not be touched.
    Refused(String),
}

impl From<redb::Error> for Unusable {
    fn from(error: redb::Error) -> Unusable {
        match error {
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_) => Unusable::Corrupt(error.to_string()),
            redb::Error::Io(ref inner)
                if matches!(
                    inner.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Unusable::Corrupt(error.to_string())
            }
            redb::Error::DatabaseAlreadyOpen => {
                Unusable::Refused("another process is using it".to_owned())
            }
            other => Unusable::Refused(other.to_string()),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Unusable::Corrupt(why) | Unusable::Refused(why)) = self;
        f.write_str(why)
    }
}

impl From<Unusable> for StoreError {
    fn from(unusable: Unusable) -> StoreError {
        StoreError(unusable.to_string())
    }
}
