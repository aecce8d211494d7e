//! What a lost answer to a PUT does while somebody else changes another field of the same objects: revisions move, and
//! what was wanted may be there or not. A key cannot be read back; only NSX can tell whose PUT an object is of.

/// At the calls of NSX. After the peer endpoint comes the session, whose revision has moved too.
pub const NSX: &str = "
call                  reset    lost
update:put-peer       unsure   stale
update:put-key        unsure   found
update:put-session    unsure   found
";

/// At the calls of OpenStack.
pub const OPENSTACK: &str = "
call                  reset    lost
update:put            unsure   found
update:put-key        unsure   unsure
";
