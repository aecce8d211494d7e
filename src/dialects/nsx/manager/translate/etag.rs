//! The etag of a connection.

use crate::dialects::nsx::body::Body;

/// Combines both revisions, because a connection changes with either object.
pub fn etag(session: &Body, peer: Option<&Body>) -> String {
    let text = |revision: Option<i64>| revision.map_or("-".to_owned(), |it| it.to_string());
    let peer = peer.and_then(Body::revision);
    format!("{}.{}", text(session.revision()), text(peer))
}
