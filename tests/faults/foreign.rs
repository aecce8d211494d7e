//! What a 404 does that somebody else says in the cloud's place, at each call: never a word that the connection is
//! gone, nor that a removal is done, though the caller allows that it is missing.

/// At the calls of NSX.
pub const NSX: &str = "
call                  gateway  html     neutron  nsx
probe:login           broken   broken   broken   broken
probe:sessions        absent   absent   absent   absent
any:login-again       broken   broken   broken   broken
get:session           broken   broken   broken   broken
get:peer              broken   broken   broken   broken
list:sessions         absent   absent   absent   absent
list:peer             broken   broken   broken   broken
list:peers            absent   absent   absent   absent
create:peer           broken   broken   broken   broken
create:peer-lost      unsure   unsure   unsure   unsure
create:session        broken   broken   broken   broken
create:session-lost   unsure   unsure   unsure   unsure
create:undo-peer      left     left     left     left
update:get-session    broken   broken   broken   broken
update:get-peer       broken   broken   broken   broken
update:put-session    broken   broken   broken   broken
update:session-lost   unsure   unsure   unsure   unsure
update:put-peer       broken   broken   broken   broken
update:put-key        broken   broken   broken   broken
update:peer-lost      unsure   unsure   unsure   unsure
update:undo-get       left     left     left     left
update:undo-session   left     left     left     left
delete:get-session    broken   broken   broken   broken
delete:get-peer       broken   broken   broken   broken
delete:get-part       broken   broken   broken   broken
delete:session        broken   broken   broken   broken
delete:session-lost   unsure   unsure   unsure   unsure
delete:peer           warned   warned   warned   warned
delete:peer-lost      warned   warned   warned   warned
look:state            broken   broken   broken   broken
look:session          broken   broken   broken   broken
look:tunnel           broken   broken   broken   broken
gone:state            broken   broken   broken   broken
gone:session          broken   broken   broken   broken
gone:sessions         absent   absent   absent   absent
watch-all:sessions    absent   absent   absent   absent
watch:state-of-write  on       on       on       on
watch-gone:state      on       on       on       on
";

/// At the calls of OpenStack.
pub const OPENSTACK: &str = "
call                  gateway  html     neutron  nsx
probe:login           rejected rejected rejected rejected
probe:list            absent   absent   absent   absent
probe:sees-services   absent   absent   absent   absent
any:login-again       rejected rejected rejected rejected
get:one               broken   broken   broken   broken
get:foreign-404       absent   absent   absent   absent
list:many             absent   absent   absent   absent
create:post           absent   absent   absent   absent
create:lost-list      unsure   unsure   unsure   unsure
create:lost-get       unsure   unsure   unsure   unsure
create-otc:before     absent   absent   absent   absent
create-otc:post       absent   absent   absent   absent
update:get            broken   broken   broken   broken
update:put            broken   broken   broken   broken
update:put-key        broken   broken   broken   broken
update:lost           unsure   unsure   unsure   unsure
delete:get            broken   broken   broken   broken
delete:get-part       broken   broken   broken   broken
delete:delete         broken   broken   broken   broken
delete:lost           unsure   unsure   unsure   unsure
delete:lost-list      unsure   unsure   unsure   unsure
look:one              broken   broken   broken   broken
gone:one              broken   broken   broken   broken
gone:list             absent   absent   absent   absent
gone:sees-services    absent   absent   absent   absent
gone:sees-list        absent   absent   absent   absent
watch-all:list        absent   absent   absent   absent
watch-many:list       on       on       on       on
watch:one             on       on       on       on
watch-gone:one        on       on       on       on
";
