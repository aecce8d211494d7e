//! The meaning of each reason and what to do about it. No other place defines them.

use crate::{core::error::ErrorReason, model::codes};

/// The meaning of a reason, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What has happened.
    pub meaning: &'static str,
    /// What the caller can do.
    pub caller: &'static str,
    /// What the operator of the gateway or of the cloud can do.
    pub operator: &'static str,
}

/// Builds a row of a table: the reason, its meaning, and what its caller and its operator can do.
const fn told<T: Copy>(
    of: T,
    meaning: &'static str,
    caller: &'static str,
    operator: &'static str,
) -> (T, Explanation) {
    let means = Explanation {
        meaning,
        caller,
        operator,
    };
    (of, means)
}

/// Every reason of an error, in the order of [`ErrorReason`]. A missing one does not compile.
const ERRORS: [(ErrorReason, Explanation); ErrorReason::ALL.len()] = [
    told(
        ErrorReason::InvalidField,
        "A field of the request is malformed. Every such field is named; nothing was sent to the cloud.",
        "Correct the fields named and send the request again.",
        NOTHING,
    ),
    told(
        ErrorReason::NotExpressible,
        "The request is well-formed, but the cloud behind this backend has no way to say it. Every such field is \
         named; nothing was sent to the cloud.",
        "Leave the fields out or change their values; `isthmus backends NAME` shows what the backend can.",
        NOTHING,
    ),
    told(
        ErrorReason::BackendNotFound,
        "No backend of that name is configured.",
        "Check the name; `isthmus backends` shows what is configured.",
        "If it should be there: add it to the configuration and have that reloaded (SIGHUP).",
    ),
    told(
        ErrorReason::BackendRemoved,
        "The backend was taken out of the gateway's configuration while the gateway ran. Nothing is said about what is in \
         its cloud: it is not asked any more.",
        "Ask whoever runs the gateway. If the backend is configured again, a watch can be resumed with its last token as \
         long as the gateway remembers that position.",
        "If it should be there: add it to the configuration again and have that reloaded (SIGHUP).",
    ),
    told(
        ErrorReason::ConnectionNotFound,
        "The cloud has no connection of that id, or does not show it to the gateway's account.",
        "Check the id; `isthmus list` shows what is there. If you were removing it, it is done: --allow-missing \
         takes that for success.",
        "If the connection exists: the account may be of another project, or may not read it.",
    ),
    told(
        ErrorReason::ResourceNotFound,
        "The cloud has no policy, service, endpoint or group of that name, or shows it to nobody the gateway logs in as.",
        "Check the id; `isthmus list ike-policies`, and so on for each kind, shows what is there. If you were removing \
         it, it is done: --allow-missing takes that for success.",
        "If it exists: the account may be of another project, or may not read it.",
    ),
    told(
        ErrorReason::KindAbsent,
        "The backend has no such kind of resource, or no such call: not every cloud has all of them.",
        "See with `isthmus backends NAME` which kinds it has, and what each of them takes; `capabilities.resources` of the \
         backend tells programs.",
        NOTHING,
    ),
    told(
        ErrorReason::ReferenceNotFound,
        "Something that the request refers to, such as a service, a policy or an endpoint, is not there.",
        "Check the names in the request; the cloud's own words say which it is.",
        NOTHING,
    ),
    told(
        ErrorReason::InUse,
        "Something else in the cloud still uses the object, so that it cannot be removed.",
        "Remove or change what uses it first.",
        "Look in the cloud itself for objects that the gateway does not show.",
    ),
    told(
        ErrorReason::WrongState,
        "The connection is in a state in which the cloud does not take this, such as one that is still pending.",
        "Wait until it has settled (`isthmus wait`), then try again.",
        "If it never settles, the cloud's agent or node that should realize it may be down.",
    ),
    told(
        ErrorReason::VpnServiceDisabled,
        "The VPN service that the connection belongs to is switched off.",
        "Ask whoever runs the service to switch it on, then try again.",
        "Enable the VPN service in the cloud.",
    ),
    told(
        ErrorReason::GoalUnreachable,
        "The goal can never be reached as the connection stands, such as a tunnel of one that is switched off.",
        "Enable the connection, or choose another --goal.",
        NOTHING,
    ),
    told(
        ErrorReason::StaleEtag,
        "Somebody else changed the connection since it was read. Nothing was written.",
        "Read it again and repeat the change.",
        NOTHING,
    ),
    told(
        ErrorReason::ReadOnly,
        "The gateway's configuration forbids writes to this backend. Nothing was sent to the cloud.",
        "Use another backend, or ask the gateway's operator.",
        "Remove `read_only` from the backend's configuration if it may be written to.",
    ),
    told(
        ErrorReason::NotOwner,
        "The object belongs to another principal of the cloud, which protects it from everybody else.",
        "Change it where it was made.",
        "Use that principal's account for this backend, or make the object anew through the gateway.",
    ),
    told(
        ErrorReason::UpstreamDenied,
        "The cloud takes the gateway's login, but does not let its account do this.",
        ASK_THE_OPERATOR,
        "Grant the account the role that the operation needs; the cloud's own words say which rule refused.",
    ),
    told(
        ErrorReason::QuotaExceeded,
        "A quota of the cloud is used up.",
        "Remove what is no longer needed, or ask for a higher quota.",
        "Raise the quota of the backend's project.",
    ),
    told(
        ErrorReason::UpstreamAuth,
        "The cloud refuses the gateway's own login. Your call is not at fault.",
        ASK_THE_OPERATOR,
        "Check user, password or token of this backend, and that the account is neither locked nor expired. \
         The gateway tries a refused login again only every few minutes, so that it locks no account.",
    ),
    told(
        ErrorReason::UpstreamUnreachable,
        "The cloud cannot be reached: no connection, or one that broke. The gateway itself is well.",
        "Try again later; `isthmus backends` shows since when. A watch goes on by itself.",
        "Check the backend's `url` and `ca_file`, and the network between gateway and cloud.",
    ),
    told(
        ErrorReason::UpstreamError,
        "The cloud answered with a fault of its own, such as a status of 500 or above.",
        "Try again later; `isthmus backends` shows since when. A watch goes on by itself.",
        "Look for the cloud's request id, which the error carries, in the cloud's logs.",
    ),
    told(
        ErrorReason::UpstreamThrottled,
        "The cloud asks for patience: it gets more requests than it takes from this account.",
        "Try again after the time that the error names.",
        "Find out who else uses the account, or give the gateway one of its own.",
    ),
    told(
        ErrorReason::UpstreamBrokenAnswer,
        "The cloud answered something that cannot be read: not its own format, cut off, or far too long.",
        "Try again later; `isthmus backends` shows since when. A watch goes on by itself.",
        "Something between gateway and cloud may answer in its place, such as a proxy or a login page: check `url`.",
    ),
    told(
        ErrorReason::UpstreamRejected,
        "The cloud refuses the request as wrong, though the gateway took it for right.",
        "Correct what the cloud's own words name.",
        "If the request is right by the cloud's documents, the gateway is at fault: report it with these words.",
    ),
    told(
        ErrorReason::ApiAbsent,
        "The cloud has no VPN API where the configuration says it is.",
        ASK_THE_OPERATOR,
        "Check `url`, `region` and `variant`, and that the cloud's VPN extension or feature is installed.",
    ),
    told(
        ErrorReason::Deadline,
        "The deadline of the call, or the backend's timeout, passed first. A write may have happened all the same.",
        "Give the call more time. After a write: `isthmus list` before you repeat it.",
        "If it happens often: the cloud is slow, or the backend's `timeout` too short.",
    ),
    told(
        ErrorReason::WriteAmbiguous,
        "The answer to a write was lost, and looking did not tell whether it happened. It is not sent again.",
        "Look before you try again: `isthmus list` shows what is there.",
        "Objects that carry the gateway's mark and that no connection uses may be left over in the cloud.",
    ),
    told(
        ErrorReason::Compacted,
        "The gateway no longer remembers the position to resume from: much has happened since, or it was restarted without its log.",
        "Watch again without --resume-token; the first message says where the connection stands now.",
        NOTHING,
    ),
    told(
        ErrorReason::WrongToken,
        "The token is damaged, or belongs to another connection, another list or another gateway.",
        "Use the token as it was given, for what it was given; or do without one.",
        NOTHING,
    ),
    told(
        ErrorReason::Draining,
        "The gateway is shutting down.",
        "Try again: another one may have taken its place. Resume a watch with its last token.",
        NOTHING,
    ),
    told(
        ErrorReason::LimitExceeded,
        "A limit of the gateway itself is reached: calls at a time, the size of a message, messages that are on \
         their way on this connection, or the requests that it allows itself to send to this cloud.",
        "Try again after the time that the error names; make the message smaller if it is too large; read the \
         answers that are there.",
        "See the limits in the configuration's [server], and the budget in `isthmus backends NAME`.",
    ),
    told(
        ErrorReason::Stalled,
        "The stream was not read, or the request did not arrive, for so long that the gateway gave it up.",
        "Read faster, or watch less; resume with the last token. Send a request in full, and its end.",
        "See `stall` and `request_timeout` in the configuration.",
    ),
    told(
        ErrorReason::RequestIdReused,
        "Another request was sent with the same `request_id` within the last day. Nothing was done.",
        "Give every write an id of its own, and repeat an id only with the request it was given to.",
        NOTHING,
    ),
    told(
        ErrorReason::WriteUnderWay,
        "An earlier write of the same object, or with the same `request_id`, has not ended: its answer was lost, or a \
         part of it could not be done or undone yet. The gateway is finding out, and nothing was done meanwhile.",
        "Try again in a while; `isthmus backends NAME` shows the writes that have not ended.",
        "If it does not end: the cloud may be out of reach, or something in it still uses what is to be removed.",
    ),
    told(
        ErrorReason::StoreUnavailable,
        "The gateway notes what a write is about to do before it does it, and its store does not keep. Nothing was done.",
        "Try again in a while.",
        "See why the store does not keep: its disk may be full, or its file may be gone or replaced. The log says so.",
    ),
    told(
        ErrorReason::ReplacementNeeded,
        "What is described differs from the connection that is there in a field that its cloud fixes when a connection is \
         made, or in a policy that cannot be changed while it is used. Nothing was done.",
        "Take the named fields out of the description, or have the connection removed and made anew: its tunnel is down \
         meanwhile. `isthmus apply --replace` does that.",
        NOTHING,
    ),
    told(
        ErrorReason::NameNotUnique,
        "Several connections have the display name of the description, so it cannot be told which is meant. Nothing was done.",
        "Give the description the `name` of the one that is meant, or rename the others; the error names them.",
        NOTHING,
    ),
    told(
        ErrorReason::NotManaged,
        "There are connections of that display name, and this gateway made none of them. Nothing was done.",
        "Give the description the `name` of the one that is to be changed, or another `display_name`; the error names them.",
        NOTHING,
    ),
    told(
        ErrorReason::Internal,
        "A fault of the gateway itself.",
        "Report it, with the message. Trying again may help.",
        "The gateway's log has more, at the same time.",
    ),
];

const _: () = {
    let mut at = 0;
    while at < ERRORS.len() {
        assert!(ERRORS[at].0 as usize == at);
        at += 1;
    }
};

/// Returns the explanation of an error's reason.
pub fn of_error(reason: ErrorReason) -> Explanation {
    ERRORS[reason as usize].1
}

/// The results of a watch.
pub const RESULTS: [&str; 3] = ["SUCCEEDED", "FAILED", "UNDETERMINED"];

const ENDS: [(&str, Explanation); RESULTS.len()] = [
    told(
        "SUCCEEDED",
        "The goal is reached; the event beside it is the evidence. If it rests on less than full proof, its reason \
         says on what.",
        "Go on.",
        NOTHING,
    ),
    told(
        "FAILED",
        "The cloud says, on two looks some time apart, that it failed; or the goal can no longer be reached.",
        "Read the reason and the event beside it; an update may repair the connection.",
        "The cloud's own logs, on the nodes named, say more.",
    ),
    told(
        "UNDETERMINED",
        "The cloud cannot tell whether this update is in effect, and nothing that can still come would tell. The \
         event beside it is what the cloud says of the connection as it is.",
        "Do not take it for success: the tunnel may still be the one from before the update. See that traffic passes, \
         or watch without the write's token, which asks about the connection as it is; --accept-assumed takes it for \
         success.",
        "Nothing in the gateway: OpenStack does not touch a connection's status on an update. The quiet time before \
         this is said is `poll.quiet_after_update` of the backend.",
    ),
];

/// Returns the explanation of one of [`RESULTS`].
pub fn of_result(code: &str) -> Option<Explanation> {
    find(&ENDS, code)
}

/// The reasons of a connection's state, or of a watch's outcome.
const STATES: &[(&str, Explanation)] = &[
    told(
        codes::UPSTREAM_UNKNOWN,
        "The cloud itself says that it does not know how far the connection has come.",
        "Wait; the cloud usually finds out. Nothing is decided by this.",
        "If it stays: the nodes may have lost their manager.",
    ),
    told(
        codes::UPSTREAM_IN_PROGRESS,
        "The cloud is at it. The message is what it says meanwhile, and no sign of failure.",
        "Wait.",
        "If it stays: the nodes that lag behind may have lost their manager.",
    ),
    told(
        codes::UNRECOGNIZED_VALUE,
        "The cloud gave a status that no document names, or none. It is shown as it came, and nothing is decided by \
         it.",
        "Wait, or look in the cloud itself what the word means.",
        "Report the word: the gateway should learn it.",
    ),
    told(
        codes::UPSTREAM_ERROR,
        "The cloud reports that realizing the connection failed.",
        "Read the message and the nodes, correct the connection and watch the update.",
        "The cloud's own logs, on the nodes named, say more.",
    ),
    told(
        codes::UPSTREAM_AUTH,
        "The cloud refuses the gateway's login, so that the connection cannot be looked at. It may be well.",
        ASK_THE_OPERATOR,
        "Check user, password or token of this backend, and that the account is neither locked nor expired.",
    ),
    told(
        codes::UPSTREAM_UNREACHABLE,
        "The cloud could not be asked yet. The connection may be well.",
        "Wait; the gateway goes on trying.",
        "Check the backend's `url` and the network between gateway and cloud.",
    ),
    told(
        codes::PARTS_REMAIN,
        "The connection itself is gone, but not yet all that was made together with it.",
        "Wait; the gateway goes on removing the rest. If the watch failed with this, the message names what stays.",
        "GetBackend tells under `unfinished` why it does not go: often something else uses it by now.",
    ),
    told(
        codes::NOT_IN_USE,
        "No connection uses what was written, so that there is nothing to wait for.",
        NOTHING,
        NOTHING,
    ),
    told(
        codes::ORPHANED,
        "What the connection belongs to is gone, so that nothing realizes it any more.",
        "Remove the connection, and make it again on what is there now.",
        "Find out who removed the router or the service below it.",
    ),
    told(
        codes::INCONSISTENT,
        "The cloud's word for the whole does not go with what its nodes say. The worse of the two is shown.",
        "Wait; such words usually meet again. The nodes say who lags behind.",
        "If it stays: a node may have lost its manager.",
    ),
    told(
        codes::STATE_NOT_FOUND,
        "The connection is there, but the cloud has no state of it, as it happens just after a write.",
        "Wait.",
        "If it stays: the cloud's control plane has not taken the connection up.",
    ),
    told(
        codes::VPN_SERVICE_DISABLED,
        "The VPN service that the connection belongs to is switched off, and the connection with it.",
        "Ask whoever runs the service to switch it on.",
        "Enable the VPN service in the cloud.",
    ),
    told(
        codes::ADMIN_DISABLED,
        "The connection is switched off, on purpose.",
        "Set admin_enabled to true if it shall carry traffic.",
        NOTHING,
    ),
    told(
        codes::FROZEN,
        "The cloud's provider has frozen the connection, as for an unpaid bill or a breach of rules.",
        "Ask the owner of the account.",
        "Clear it with the provider; nothing that is sent to the API unfreezes it.",
    ),
    told(
        codes::VANISHED,
        "The connection is gone, and not by a delete through this gateway.",
        "Make it again if it is still wanted.",
        "The cloud's audit log says who removed it.",
    ),
    told(
        codes::AWAITING_PROOF,
        "What the cloud says may still describe the connection before the last write.",
        "Wait; the gateway looks until it is sure.",
        NOTHING,
    ),
    told(
        codes::ASSUMED_AFTER_QUIET_TIME,
        "The cloud cannot tell which write its status speaks for. It has been quiet for so long that nothing more is \
         to be expected. After an update of OpenStack, ACTIVE has been seen for minutes over a tunnel that still had \
         the networks or the key from before.",
        "Take the configuration for stored. Whether the tunnel is the new one only traffic tells.",
        "The quiet time is `poll.quiet_after_update` of the backend; it should exceed the agents' report interval.",
    ),
    told(
        codes::NO_REQUEST_ID,
        "The cloud's id of the write was lost or never given, so that it cannot be asked about this very write.",
        "Wait; the gateway judges by the quiet time instead, and says UNDETERMINED where that does not tell.",
        "If it happens often: something between gateway and cloud removes headers from answers.",
    ),
    told(
        codes::API_ABSENT,
        "The cloud has no VPN API where the configuration says it is, so that the connection cannot be looked at.",
        ASK_THE_OPERATOR,
        "Check `url`, `region` and `variant`, and that the cloud's VPN extension or feature is installed.",
    ),
    told(
        codes::NOT_OBSERVED,
        "Nobody has looked yet.",
        "Watch the connection, or get its realization, which looks at once.",
        NOTHING,
    ),
    told(
        codes::SUPERSEDED,
        "Another write, or somebody's removal, has overtaken the one that was watched.",
        "Read the connection and decide anew.",
        "The cloud's audit log says who wrote.",
    ),
    told(
        codes::IKE_NEGOTIATING,
        "The configuration is in place and the tunnel is being negotiated.",
        "Wait. If it stays: key, ids and policies may differ from the peer's.",
        "Read the log of the peer's IKE daemon: it says what it refuses.",
    ),
    told(
        codes::IKE_DOWN,
        "The configuration is in place and the tunnel is down, for the reason in the message.",
        "Compare address, ids, key and policies with the peer's.",
        "Check that UDP 500 and 4500 and ESP pass between the two, and read the log of the peer's IKE daemon.",
    ),
    told(
        codes::TUNNEL_DOWN,
        "The configuration is in place and no tunnel is up. The cloud does not say why; a peer that is not set up \
         yet looks the same.",
        "Finish the peer's side. If it stays: compare address, ids, key, networks and both policies with the \
         peer's, and send traffic through, since some peers begin only then.",
        "Check that UDP 500 and 4500 and ESP pass between the two, and read the log of the peer's IKE daemon. On \
         K5: the notes in \"List IPsec site connections\" of its API reference say what else to check.",
    ),
    told(
        codes::PARTIAL_SUCCESS,
        "Some nodes have the configuration and some failed; the list of nodes says which.",
        "Decide whether that will do; --accept-partial takes it for success.",
        "Mend the nodes that failed; the cloud then brings them up to date by itself.",
    ),
];

/// Returns the explanation of the reason of a connection's state or of a watch's outcome. Returns `None` for a code
/// that is not one of [`codes`], such as a cloud's own word for a state.
pub fn of_state(code: &str) -> Option<Explanation> {
    find(STATES, code)
}

fn find(table: &[(&str, Explanation)], code: &str) -> Option<Explanation> {
    let mut rows = table.iter();
    rows.find(|(of, _)| *of == code).map(|(_, means)| *means)
}

const NOTHING: &str = "Nothing.";
const ASK_THE_OPERATOR: &str =
    "Nothing but to tell the gateway's operator; trying again does not help until then.";
