//! The attributes of metrics, and their values.

/// The definition of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// The OpenTelemetry name, with dots.
    pub name: &'static str,
    /// The metrics that this definition is for, or empty for every metric that has the attribute.
    pub of: &'static [&'static str],
    /// All its values. Empty if they are not known in advance; `meaning` then says what bounds them.
    pub values: &'static [&'static str],
    pub meaning: &'static str,
}

/// Returns the definition of the attribute `name` of a metric.
pub fn attribute(metric: &str, name: &str) -> Option<&'static Attribute> {
    let mut named = ATTRIBUTES.iter().filter(|it| it.name == name);
    named.find(|it| it.of.is_empty() || it.of.contains(&metric))
}

const CODES: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Every attribute, in the order in which the metrics of the table use them.
pub static ATTRIBUTES: &[Attribute] = &[
    Attribute {
        name: "rpc.system.name",
        of: &[],
        values: &["grpc"],
        meaning: "The protocol.",
    },
    Attribute {
        name: "rpc.method",
        of: &[],
        values: &[],
        meaning: "A method of the contract, of the health service or of reflection, as `package.Service/Method`; `_OTHER` if \
                  what was called is none.",
    },
    Attribute {
        name: "rpc.response.status_code",
        of: &[],
        values: CODES,
        meaning: "The status of gRPC. A call that its client gave up is `CANCELLED`.",
    },
    Attribute {
        name: "error.type",
        of: &["rpc.server.call.duration"],
        values: &[
            "UNKNOWN",
            "DEADLINE_EXCEEDED",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
        ],
        meaning: "The status, if it is the server's fault; else absent.",
    },
    Attribute {
        name: "isthmus.backend",
        of: &[],
        values: &[],
        meaning: "A backend, by its name in the configuration.",
    },
    Attribute {
        name: "http.request.method",
        of: &[],
        values: &["DELETE", "GET", "PATCH", "POST", "PUT"],
        meaning: "The method of HTTP.",
    },
    Attribute {
        name: "http.response.status_code",
        of: &[],
        values: &[],
        meaning: "The status of HTTP; absent without an answer.",
    },
    Attribute {
        name: "error.type",
        of: &["http.client.request.duration"],
        values: &[],
        meaning: "The status of HTTP from 400 on, or in a word why there is no answer; else absent.",
    },
    Attribute {
        name: "server.address",
        of: &[],
        values: &[],
        meaning: "The host of the cloud, as the configuration or its service catalogue has it.",
    },
    Attribute {
        name: "server.port",
        of: &[],
        values: &[],
        meaning: "Its port.",
    },
    Attribute {
        name: "isthmus.limit",
        of: &[],
        values: &[
            "max_connections",
            "max_connections_per_address",
            "max_opening",
            "preface_timeout",
            "max_calls",
            "health_checks",
            "max_buffered_mib",
            "message_bytes",
            "max_unfinished",
            "request_timeout",
            "answer_timeout",
        ],
        meaning: "The limit, by its key in `[server]`; `health_checks` (1,000 at one time) and `message_bytes` (4 MiB) have \
                  none. What a stream gets that is ended for not being read is no limit of the server but `STALLED`.",
    },
    Attribute {
        name: "isthmus.drain.cause",
        of: &[],
        values: &["shutdown"],
        meaning: "Why.",
    },
    Attribute {
        name: "isthmus.watch.kind",
        of: &[],
        values: &["connection", "many", "part"],
        meaning: "What is watched: one connection, all of a filter, or a write to a part.",
    },
    Attribute {
        name: "isthmus.state",
        of: &["isthmus.watch.outcomes"],
        values: &["succeeded", "failed", "undetermined"],
        meaning: "What the outcome is.",
    },
    Attribute {
        name: "isthmus.reason",
        of: &[],
        values: &[],
        meaning: "A reason of the contract (`isthmus explain` lists them), `NONE`, or `OTHER` for a word of the cloud's.",
    },
    Attribute {
        name: "isthmus.field",
        of: &[],
        values: &[],
        meaning: "The field of the cloud's API in which the word stands.",
    },
    Attribute {
        name: "isthmus.result",
        of: &["isthmus.polls"],
        values: &[],
        meaning: "`ok`, or the reason of the error (`isthmus explain` lists them).",
    },
    Attribute {
        name: "isthmus.share",
        of: &[],
        values: &["login", "outcome", "callers", "stable"],
        meaning: "For what: logins, polls that an outcome waits for, calls of clients, polls of what is at rest.",
    },
    Attribute {
        name: "isthmus.result",
        of: &["isthmus.upstream.retries"],
        values: &["repeated", "no_budget", "no_time", "circuit_open"],
        meaning: "Whether it was sent again, or what kept it from that.",
    },
    Attribute {
        name: "isthmus.result",
        of: &["isthmus.logins"],
        values: &["accepted", "refused", "failed"],
        meaning: "How it went; `failed` is without an answer to the question.",
    },
    Attribute {
        name: "error.type",
        of: &["isthmus.store.commit.duration"],
        values: &[],
        meaning: "In a word why it failed; else absent.",
    },
    Attribute {
        name: "isthmus.state",
        of: &["isthmus.ledger.entries"],
        values: &["running", "settling", "finished", "undone", "abandoned"],
        meaning: "How far the write is.",
    },
    Attribute {
        name: "isthmus.action",
        of: &[],
        values: &[],
        meaning: "What the write does.",
    },
    Attribute {
        name: "isthmus.result",
        of: &["isthmus.writes"],
        values: &["succeeded", "failed", "finished", "undone", "abandoned"],
        meaning: "How it ended.",
    },
    Attribute {
        name: "isthmus.result",
        of: &["isthmus.reloads"],
        values: &["done", "refused"],
        meaning: "Whether the new configuration counts.",
    },
    Attribute {
        name: "isthmus.signal",
        of: &[],
        values: &["traces", "metrics"],
        meaning: "What was to be exported.",
    },
];
