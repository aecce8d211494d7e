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
        "If it should be there: add it to the configuration and reload it (SIGHUP).",
    ),
    told(
        ErrorReason::BackendRemoved,
        "The backend was removed from the gateway's configuration while the gateway ran. This says nothing about its cloud, \
         which is no longer asked.",
        "Ask whoever runs the gateway. If the backend is configured again, a watch can be resumed with its last token as \
         long as the gateway remembers that position.",
        "If it should be there: add it to the configuration again and reload it (SIGHUP).",
    ),
    told(
        ErrorReason::ConnectionNotFound,
        "The cloud has no connection of that id, or does not show it to the gateway's account.",
        "Check the id; `isthmus list` shows what is there. If you meant to remove it, it is gone already: \
         --allow-missing counts that as success.",
        "If the connection exists: the account may be of another project, or may not read it.",
    ),
    told(
        ErrorReason::ResourceNotFound,
        "The cloud has no policy, service, endpoint or group of that name, or does not show it to the gateway's account.",
        "Check the id; `isthmus list ike-policies`, and so on for each kind, shows what is there. If you meant to \
         remove it, it is gone already: --allow-missing counts that as success.",
        "If it exists: the account may be of another project, or may not read it.",
    ),
    told(
        ErrorReason::KindAbsent,
        "The backend has no such kind of resource, or no such call: not every cloud has all of them.",
        "See with `isthmus backends NAME` which kinds it has and what each of them accepts; programs find the same in \
         the backend's `capabilities.resources`.",
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
        "Something else in the cloud still uses the object, so it cannot be removed.",
        "Remove or change what uses it first.",
        "Look in the cloud itself for objects that the gateway does not show.",
    ),
    told(
        ErrorReason::WrongState,
        "The cloud does not accept this in the connection's current state, for example while it is pending.",
        "Wait until it has settled (`isthmus wait`), then try again.",
        "If it never settles, the agent or node that should realize it may be down.",
    ),
    told(
        ErrorReason::VpnServiceDisabled,
        "The VPN service that the connection belongs to is switched off.",
        "Ask whoever runs the service to switch it on, then try again.",
        "Enable the VPN service in the cloud.",
    ),
    told(
        ErrorReason::GoalUnreachable,
        "The goal cannot be reached as the connection stands: for example, the tunnel of a disabled connection never comes up.",
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
        "Change it where it was created.",
        "Use that principal's account for this backend, or create the object again through the gateway.",
    ),
    told(
        ErrorReason::UpstreamDenied,
        "The cloud accepts the gateway's login but does not let its account do this.",
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
        "The cloud refuses the gateway's own login. Nothing is wrong with your call.",
        ASK_THE_OPERATOR,
        "Check user, password or token of this backend, and that the account is neither locked nor expired. \
         To avoid locking the account, the gateway retries a refused login only every few minutes.",
    ),
    told(
        ErrorReason::UpstreamUnreachable,
        "The cloud cannot be reached: the connection failed or broke. The gateway itself is healthy.",
        "Try again later; `isthmus backends` shows since when. A watch continues by itself.",
        "Check the backend's `url` and `ca_file`, and the network between gateway and cloud.",
    ),
    told(
        ErrorReason::UpstreamError,
        "The cloud reported an error of its own, such as a status of 500 or above.",
        "Try again later; `isthmus backends` shows since when. A watch continues by itself.",
        "Look for the cloud's request id, which the error carries, in the cloud's logs.",
    ),
    told(
        ErrorReason::UpstreamThrottled,
        "The cloud throttles this account: it receives more requests than it accepts.",
        "Try again after the time that the error names.",
        "Find out who else uses the account, or give the gateway one of its own.",
    ),
    told(
        ErrorReason::UpstreamBrokenAnswer,
        "The cloud's answer cannot be read: it is in another format, truncated, or far too long.",
        "Try again later; `isthmus backends` shows since when. A watch continues by itself.",
        "Something between gateway and cloud may answer in its place, such as a proxy or a login page: check `url`.",
    ),
    told(
        ErrorReason::UpstreamRejected,
        "The cloud rejects the request as invalid, although the gateway considered it valid.",
        "Correct what the cloud's message names.",
        "If the cloud's documentation allows the request, this is a bug in the gateway: report it with the message.",
    ),
    told(
        ErrorReason::ApiAbsent,
        "The cloud has no VPN API where the configuration says it is.",
        ASK_THE_OPERATOR,
        "Check `url`, `region` and `variant`, and that the cloud's VPN extension or feature is installed.",
    ),
    told(
        ErrorReason::Deadline,
        "The deadline of the call or the backend's timeout passed before the answer came. A write may have happened all the same.",
        "Give the call more time. After a write, look with `isthmus list` before you repeat it.",
        "If it happens often, the cloud is slow or the backend's `timeout` is too short.",
    ),
    told(
        ErrorReason::WriteAmbiguous,
        "The answer to a write was lost, and reading back did not show whether the write happened. It is not sent again.",
        "Look before you try again: `isthmus list` shows what is there.",
        "The cloud may hold leftover objects that carry the gateway's mark and that no connection uses.",
    ),
    told(
        ErrorReason::Compacted,
        "The position to resume from was compacted: too much has happened since, or the gateway restarted without its log.",
        "Watch again without --resume-token; the first message says where the connection stands now.",
        NOTHING,
    ),
    told(
        ErrorReason::WrongToken,
        "The token is damaged, or belongs to another connection, another list or another gateway.",
        "Use the token unchanged and for what it was issued, or leave it out.",
        NOTHING,
    ),
    told(
        ErrorReason::Draining,
        "The gateway is shutting down.",
        "Try again: another instance may have taken its place. Resume a watch with its last token.",
        NOTHING,
    ),
    told(
        ErrorReason::LimitExceeded,
        "A limit of the gateway itself is reached: concurrent calls, the size of a message, the messages in flight on \
         this connection, or its request budget for this cloud.",
        "Try again after the time that the error names; make the message smaller if it is too large; read \
         the answers that are waiting.",
        "The limits are in the configuration's [server]; `isthmus backends NAME` shows the budget.",
    ),
    told(
        ErrorReason::Stalled,
        "The stream was not read, or the request did not arrive, for so long that the gateway ended it.",
        "Read faster or watch less, and resume with the last token. Send each request in full and half-close the stream.",
        "See `stall` and `request_timeout` in the configuration.",
    ),
    told(
        ErrorReason::RequestIdReused,
        "A different request was sent with the same `request_id` within the last day. Nothing was done.",
        "Give every write an id of its own, and repeat an id only with the same request.",
        NOTHING,
    ),
    told(
        ErrorReason::WriteUnderWay,
        "An earlier write of the same object, or with the same `request_id`, has not ended: its answer was lost, or a \
         part of it could not be done or undone yet. The gateway is resolving that, and did nothing for this request.",
        "Try again in a while; `isthmus backends NAME` shows the writes that have not ended.",
        "If it does not end, the cloud may be unreachable, or something in it still uses what is to be removed.",
    ),
    told(
        ErrorReason::StoreUnavailable,
        "The gateway records each write before it begins, and its store cannot save the record. Nothing was done.",
        "Try again in a while.",
        "Find out in the log why the store cannot write: its disk may be full, or its file deleted or replaced.",
    ),
    told(
        ErrorReason::ReplacementNeeded,
        "The description differs from the existing connection in a field that its cloud fixes at creation, or in a policy \
         that cannot be changed while it is in use. Nothing was done.",
        "Remove the named fields from the description, or replace the connection with `isthmus apply --replace`: its tunnel \
         is down meanwhile.",
        NOTHING,
    ),
    told(
        ErrorReason::NameNotUnique,
        "Several connections have the display name in the description, so it is ambiguous. Nothing was done.",
        "Put the `name` of the one you mean into the description, or rename the others; the error names them.",
        NOTHING,
    ),
    told(
        ErrorReason::NotManaged,
        "Connections with that display name exist, but this gateway created none of them. Nothing was done.",
        "Put the `name` of the one you want to change into the description, or use another `display_name`; the error names them.",
        NOTHING,
    ),
    told(
        ErrorReason::Internal,
        "A bug in the gateway.",
        "Report it, with the message. Trying again may help.",
        "The gateway's log says more at the same time.",
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
        "The goal is reached; the event in the same message is the evidence. If that is less than full proof, its reason \
         says what it rests on.",
        "Go on.",
        NOTHING,
    ),
    told(
        "FAILED",
        "Two polls some time apart found a failure, or the goal can no longer be reached.",
        "Read the reason and the event in the same message; an update may repair the connection.",
        "The cloud's own logs, on the nodes named, say more.",
    ),
    told(
        "UNDETERMINED",
        "The cloud cannot tell whether this update is in effect, and nothing it may still report would. The event in the \
         same message is what the cloud reports of the connection as it is.",
        "Do not treat it as success: the tunnel may still be the one from before the update. Check that traffic passes, \
         or watch without the write's token, which asks about the connection as it is; --accept-assumed counts it as \
         success.",
        "Nothing in the gateway: OpenStack does not touch a connection's status on an update. How long the gateway waits \
         before it says so is the backend's `poll.quiet_after_update`.",
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
        "The cloud itself does not know how far the connection has come.",
        "Wait; the cloud usually finds out. Nothing is decided by this.",
        "If it persists, the transport nodes may have lost contact with their manager.",
    ),
    told(
        codes::UPSTREAM_IN_PROGRESS,
        "The cloud is working on it. The message is what it reports meanwhile, not a sign of failure.",
        "Wait.",
        "If it persists, the nodes that lag behind may have lost contact with their manager.",
    ),
    told(
        codes::UNRECOGNIZED_VALUE,
        "The cloud gave an undocumented status, or none. It is shown as it came and decides nothing.",
        "Wait, or look up in the cloud itself what the word means.",
        "Report the word, so that the gateway can learn it.",
    ),
    told(
        codes::UPSTREAM_ERROR,
        "The cloud reports that realizing the connection failed.",
        "Read the message and the states of the nodes, correct the connection, and watch the update.",
        "The cloud's own logs, on the nodes named, say more.",
    ),
    told(
        codes::UPSTREAM_AUTH,
        "The cloud refuses the gateway's login, so the connection cannot be polled. It may be healthy.",
        ASK_THE_OPERATOR,
        "Check user, password or token of this backend, and that the account is neither locked nor expired.",
    ),
    told(
        codes::UPSTREAM_UNREACHABLE,
        "The cloud could not be polled yet. The connection may be healthy.",
        "Wait; the gateway keeps trying.",
        "Check the backend's `url` and the network between gateway and cloud.",
    ),
    told(
        codes::PARTS_REMAIN,
        "The connection is gone, but some objects that were created with it remain.",
        "Wait; the gateway keeps removing the rest. If the watch failed with this, the message names what remains.",
        "GetBackend says under `unfinished` what prevents it: often something else uses the object by now.",
    ),
    told(
        codes::NOT_IN_USE,
        "No connection uses what was written, so there is nothing to wait for.",
        NOTHING,
        NOTHING,
    ),
    told(
        codes::ORPHANED,
        "The router or service that the connection belongs to is gone, so nothing realizes it any more.",
        "Delete the connection and create it again on what exists now.",
        "Find out who removed the router or the service below it.",
    ),
    told(
        codes::INCONSISTENT,
        "The overall status contradicts the states of the nodes. The worse of the two is shown.",
        "Wait; they usually agree again soon. The states of the nodes show which one lags behind.",
        "If it persists, a node may have lost contact with its manager.",
    ),
    told(
        codes::STATE_NOT_FOUND,
        "The connection exists, but the cloud has no state for it, as happens just after a write.",
        "Wait.",
        "If it persists, the cloud's control plane has not picked the connection up.",
    ),
    told(
        codes::VPN_SERVICE_DISABLED,
        "The connection's VPN service is switched off, and the connection with it.",
        "Ask whoever runs the service to switch it on.",
        "Enable the VPN service in the cloud.",
    ),
    told(
        codes::ADMIN_DISABLED,
        "The connection was switched off on purpose.",
        "Set admin_enabled to true if it is to carry traffic.",
        NOTHING,
    ),
    told(
        codes::FROZEN,
        "The cloud's provider has frozen the connection, for example for an unpaid bill or a breach of its rules.",
        "Ask the owner of the account.",
        "Clear it with the provider; nothing that is sent to the API unfreezes it.",
    ),
    told(
        codes::VANISHED,
        "The connection is gone, and this gateway did not delete it.",
        "Create it again if you still want it.",
        "The cloud's audit log says who removed it.",
    ),
    told(
        codes::AWAITING_PROOF,
        "The status may still describe the connection before the last write.",
        "Wait; the gateway polls until it is sure.",
        NOTHING,
    ),
    told(
        codes::ASSUMED_AFTER_QUIET_TIME,
        "The cloud cannot tell which write its status reflects, and it has been quiet for so long that no further change \
         is expected. After an update on OpenStack, ACTIVE has been seen for minutes over a tunnel that still had the \
         old networks or the old key.",
        "Assume that the configuration is stored. Only traffic shows whether the tunnel is the new one.",
        "The quiet time is `poll.quiet_after_update` of the backend; it should exceed the agents' report interval.",
    ),
    told(
        codes::NO_REQUEST_ID,
        "The cloud's id of the write was lost or never given, so the cloud cannot be asked about this very write.",
        "Wait; the gateway judges by the quiet time instead, and says UNDETERMINED where that proves nothing.",
        "If it happens often, something between gateway and cloud strips headers from answers.",
    ),
    told(
        codes::API_ABSENT,
        "The cloud has no VPN API where the configuration says it is, so the connection cannot be polled.",
        ASK_THE_OPERATOR,
        "Check `url`, `region` and `variant`, and that the cloud's VPN extension or feature is installed.",
    ),
    told(
        codes::NOT_OBSERVED,
        "The connection has not been polled yet.",
        "Watch the connection, or get its realization, which polls at once.",
        NOTHING,
    ),
    told(
        codes::SUPERSEDED,
        "Another write or a removal has superseded the write that was watched.",
        "Read the connection and decide again.",
        "The cloud's audit log says who wrote.",
    ),
    told(
        codes::IKE_NEGOTIATING,
        "The configuration is in place and the tunnel is being negotiated.",
        "Wait. If it persists, the key, the ids or the policies may differ from the peer's.",
        "Read the log of the peer's IKE daemon: it says what it rejects.",
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
        "Finish the peer's side. If it persists, compare address, ids, key, networks and both policies with the peer's, \
         and send traffic through: some peers initiate only then.",
        "Check that UDP 500 and 4500 and ESP pass between the two, and read the log of the peer's IKE daemon. On \
         K5: the notes in \"List IPsec site connections\" of its API reference say what else to check.",
    ),
    told(
        codes::PARTIAL_SUCCESS,
        "Some nodes have the configuration and some failed; the list of nodes says which.",
        "Decide whether that is enough; --accept-partial counts it as success.",
        "Repair the nodes that failed; the cloud then brings them up to date by itself.",
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
    "Tell the gateway's operator; trying again does not help until it is fixed.";
