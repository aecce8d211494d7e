//! What a lost answer to a PUT does while somebody else changes another field of the same objects: revisions move, and
//! what was wanted may be there or not. A key cannot be read back; only NSX can tell whose PUT an object is of.

/// At the calls of NSX. The session is found to be changed by its nonce; then the peer endpoint is refused, whose revision
/// has moved too, so that the session is put back and all is planned and done anew, each of these answers lost as well.
pub const NSX: &str = "
call                  reset    lost
update:put-session    unsure   found×3
update:put-peer       unsure   found
update:put-key        unsure   found
";

/// At the calls of OpenStack.
pub const OPENSTACK: &str = "
call                  reset    lost
update:put            unsure   found
update:put-key        unsure   unsure
";
