//! The commands that call a running gateway, and the options that they share.

use crate::{
    cli::{exit::EXIT_CODES, kinds::KindOr},
    grpc::pb::Goal,
};
use clap::{Args, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// The commands that call a running gateway.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Show the configured backends, or one with its capabilities.
    #[command(after_help = EXIT_CODES)]
    Backends {
        /// The backend; all if left out.
        #[arg(value_name = "BACKEND")]
        name: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show one resource, as its cloud has it now.
    #[command(override_usage = "isthmus get [KIND] NAME [OPTIONS]", after_help = GET_HELP)]
    Get {
        /// The kind, if the name does not say it.
        #[arg(value_name = "KIND", hide_possible_values = true)]
        first: KindOr<false>,
        /// BACKEND/ID of that kind (of a connection if no kind is given), or the full name.
        #[arg(value_name = "NAME")]
        second: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show the resources of one kind, of one backend or of all.
    ///
    /// Exits with 1 if a backend could not be asked; the resources of the others are shown all the same.
    #[command(override_usage = "isthmus list [KIND] [BACKEND] [OPTIONS]", after_help = LIST_HELP)]
    List(ListArgs),
    /// Create a resource from JSON or YAML, as `get` prints it, without its `name`.
    #[command(override_usage = "isthmus create [KIND] [BACKEND] [FILE] [OPTIONS]", after_help = WRITE_HELP)]
    Create {
        /// The kind; a connection if left out.
        #[arg(value_name = "KIND", hide_possible_values = true)]
        first: Option<KindOr<false>>,
        /// The backend, which may be left out if there is only one; then a file, or standard input if left out.
        #[arg(value_name = "BACKEND", num_args = 0..=2)]
        rest: Vec<String>,
        /// The file with the description; - is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        sending: SendArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Change fields of a resource.
    #[command(override_usage = "isthmus update [KIND] [NAME] [FILE] [OPTIONS]", after_help = WRITE_HELP)]
    Update {
        /// The kind, if the name does not say it.
        #[arg(value_name = "KIND", hide_possible_values = true)]
        first: Option<KindOr<false>>,
        /// BACKEND/ID or the full name; `name` of the file if left out. Then a file, or standard input if left out.
        #[arg(value_name = "NAME", num_args = 0..=2)]
        rest: Vec<String>,
        /// The file with the new values; - is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The fields to change, for example display_name,peer.psk; all fields that are set if left out.
        #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
        fields: Vec<String>,
        #[command(flatten)]
        sending: SendArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Remove a resource, and what the gateway created for it; with -f, the connections that `apply` created from a file.
    #[command(
        override_usage = "isthmus delete [KIND] NAME [OPTIONS]\n       isthmus delete -f FILE [BACKEND] [OPTIONS]",
        after_help = DELETE_HELP
    )]
    Delete {
        /// The kind, if the name does not say it. With -f: the backend; every backend that the file names if left out.
        #[arg(
            value_name = "KIND",
            hide_possible_values = true,
            required_unless_present = "file"
        )]
        first: Option<KindOr<false>>,
        /// BACKEND/ID of that kind (of a connection if no kind is given), or the full name.
        #[arg(value_name = "NAME", conflicts_with = "file")]
        second: Option<String>,
        /// The site file whose connections are removed; - is standard input.
        #[arg(short, long, value_name = "FILE", conflicts_with = "etag")]
        file: Option<PathBuf>,
        /// Remove it only if this etag is still current.
        #[arg(long)]
        etag: Option<String>,
        /// Succeed if the resource does not exist.
        #[arg(long)]
        allow_missing: bool,
        /// With -f: follow all connections until they are gone, for at most TIME: 30s, 5min (the default).
        #[arg(
            long,
            value_name = "TIME",
            value_parser = humantime::parse_duration,
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "5min",
            requires = "file",
            conflicts_with = "dry_run"
        )]
        wait: Option<Duration>,
        #[command(flatten)]
        sending: SendArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Create or change connections, and what they need, to match a file, on every cloud that it names.
    ///
    /// What is missing is created, what differs is changed, and what is equal, or not in the file, is left alone. A
    /// connection is found by its display name among those that the gateway made.
    #[command(override_usage = "isthmus apply -f FILE [BACKEND] [OPTIONS]", after_help = APPLY_HELP)]
    Apply(ApplyArgs),
    /// Ask every backend whether and how it would accept what a file describes, and change nothing.
    #[command(override_usage = "isthmus check -f FILE [BACKEND] [OPTIONS]", after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Show how much traffic a connection has carried, if its cloud reports it.
    #[command(after_help = EXIT_CODES)]
    Statistics {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Follow the realization of one connection, a line for each change.
    ///
    /// Ends by itself if a goal or a write token is given. If the gateway goes away, the command waits for it and
    /// resumes the watch.
    #[command(after_help = WATCH_HELP)]
    Watch {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        /// The last token received; the watch resumes after it.
        #[arg(long, value_name = "TOKEN")]
        resume_token: Option<String>,
        #[command(flatten)]
        wanted: WantedArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Wait until one connection has reached a goal, and print the outcome.
    ///
    /// Without a goal and a write token, waits for goal config.
    #[command(after_help = WATCH_HELP)]
    Wait {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        #[command(flatten)]
        wanted: WantedArgs,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// Puts the kinds before a text and the exit codes after it.
macro_rules! with_kinds {
    ($($text:expr),+) => {
        concat!(
            "\
Kinds:
  connection, ike-policy, ipsec-policy, dpd-policy, vpn-service, local-endpoint, endpoint-group,
  attachment (routers, subnets and gateways that a VPN can be attached to; `list` only),
  backend (`list` and `get` only). `isthmus backends NAME` shows which of them a backend has.

",
            $($text,)+
            "

Exit codes:
  0  done; for a write: the cloud has accepted it
  1  the gateway could not be called, or refused
  2  the command line, the file or a field of the request is wrong"
        )
    };
}

const GET_HELP: &str = with_kinds!(
    "\
Examples:
  isthmus get nsx-demo/6fbd…                           a connection
  isthmus get nsx-demo/6fbd… -o json                   as this cloud has it; `update` accepts that
  isthmus get nsx-demo/6fbd… -o yaml                   as a site file for any cloud; `apply` accepts that. The
                                                       key is missing: no cloud shows it
  isthmus get ike-policy nsx-demo/91c2… -o yaml
  isthmus get backends/nsx-demo/ikePolicies/91c2…      the full name includes the kind"
);

const LIST_HELP: &str = with_kinds!(
    "\
Examples:
  isthmus list                                         all connections
  isthmus list ike-policies nsx-demo
  isthmus list attachments --filter usable=true        what a VPN service can be attached to

STATE of a connection is the last one that the gateway has seen, with its age if that is more than
a minute, or UNKNOWN if it has seen none. Where one request returns the states of many connections
(OpenStack), the gateway asks for the unknown ones; elsewhere a state is known once somebody watches."
);

/// The same for commands that write.
macro_rules! with_writes {
    ($examples:literal) => {
        with_kinds!($examples, "\
Every write has a request id. If the connection to the gateway breaks, or the gateway says that the
cloud does not answer and when to retry, the command sends the same request once more within its
--timeout, under the same id, so that it takes effect only once. If the retry fails too, the command
prints the id; the same command with --request-id, and the same file, continues for 24 hours.")
    };
}

const WRITE_HELP: &str = with_writes!(
    "\
Examples:
  isthmus create ike-policy -f policy.yaml nsx-demo
  isthmus create nsx-demo connection.json
  isthmus update nsx-demo/6fbd… --fields display_name <<< '{\"displayName\": \"branch\"}'
  isthmus get vpn-service openstack-demo/91c2… -o yaml > service.yaml
  isthmus update -f service.yaml
  isthmus create nsx-demo branch.yaml --dry-run        what would be created, reused and changed

Fields that only the cloud sets are ignored in a file. A file has at most 4 MiB.

The file of a new connection may hold the connection as `connection` and, beside it, `parts`: whatever
it needs and does not refer to, such as ike_policy, ipsec_policy, dpd_policy, vpn_service and
local_endpoint. They are created with it, or not at all. With `reuse`, REUSE_MANAGED or REUSE_ANY, the
connection may use an equal object that exists already instead.

A write returns when the cloud has accepted it. For a connection, and for an update, the output then
ends with the command that shows how the write itself ends.

"
);

const DELETE_HELP: &str = with_writes!(
    "\
Examples:
  isthmus delete nsx-demo/6fbd…                        a connection, and the parts created with it
  isthmus delete nsx-demo/6fbd… --dry-run              what would be removed
  isthmus delete ike-policy nsx-demo/91c2… --allow-missing
  isthmus delete -f site.yaml                          what `isthmus apply -f site.yaml` created
  isthmus delete -f site.yaml openstack-demo --wait    the same on one backend, until it is gone

With -f, connections are found by their display names among those that the gateway created (by the name alone where
a cloud has no room for the gateway's mark). One that does not exist is reported, and is not an error.

"
);

const APPLY_HELP: &str = "\
A site file holds a connection as `connection`, what it needs as `parts`, and its place on each cloud as `backends`:

  connection:
    displayName: branch
    peer: {address: 203.0.113.9, pskEnv: BRANCH_PSK}
    policyBased:
      rules: [{sources: [10.1.0.0/24], destinations: [192.168.9.0/24]}]
  parts:
    ikePolicy: {encryptionAlgorithms: [ENCRYPTION_ALGORITHM_AES_CBC_256], dhGroups: [DH_GROUP_MODP_2048]}
    ipsecPolicy: {encryptionAlgorithms: [ENCRYPTION_ALGORITHM_AES_CBC_256]}
  backends:
    nsx-a: {router: 42c1…, localAddress: 198.51.100.7}
    openstack-a: {router: 9f3e…}

Each entry of `backends` may set router, subnet, localAddress and availabilityZone, or name an existing vpnService and
localEndpoint instead. `---` separates documents; JSON works too, one object after the other. The output of
`isthmus get -o json` is a site file for the connection's own backend, that of `isthmus get -o yaml` for every backend.
A file has at most 4 MiB. All of it is read and checked before anything is sent.

The key is never an option. In the file, pskEnv names an environment variable, or pskFile a file: a relative path starts
at the site file's folder, and the file's last line break is not part of the key. Without either, the command asks for
the key on a terminal where one is needed. No cloud shows its key, so the key of an existing connection stays as it is
unless --write-key is given.

Examples:
  isthmus apply -f site.yaml                           on every backend that it names
  isthmus apply -f site.yaml openstack-a --dry-run     what would be done there, and what differs
  isthmus apply -f site.yaml --wait                    and follow all of it until it is in place
  isthmus apply -f site.yaml --wait=tunnel-up --timeout 10min
  isthmus apply -f site.yaml nsx-b --router 42c1… --local-address 198.51.100.8
  isthmus get nsx-a/6fbd… -o yaml | isthmus apply -f - openstack-a --router 9f3e…

Exit codes, the worst of all connections, in this order:
  3  the cloud reports a failure (with --wait)
  2  the command line, the file or a field of a request is wrong
  1  the gateway could not be called, or refused
  4  the timeout passed first
  5  the cloud cannot tell whether the write is in effect (with --wait); --accept-assumed counts that as 0
  0  everything matches the file; with --wait: every connection reached the goal";

const CHECK_HELP: &str = "\
Asks every backend of the gateway, including those that the file does not name. The file may leave out the key, and
where the connection is attached. `isthmus apply --help` says what a site file is.

Examples:
  isthmus check -f site.yaml                           every backend of the gateway
  isthmus check -f site.yaml openstack-a               that one
  isthmus get nsx-a/6fbd… -o yaml | isthmus check -f - which clouds would accept this connection

Exit codes:
  0  every backend accepts it
  1  a backend could not be asked, or the file does not say where the connection is attached on it
  2  the command line or the file is wrong, or a backend refuses it";

const WATCH_HELP: &str = "\
Goals:
  config     the cloud's control plane has the configuration
  in-effect  it is in effect on the nodes
  tunnel-up  a tunnel is up
  gone       the connection is gone

Examples:
  isthmus watch nsx-demo/6fbd…                          until ctrl-c
  isthmus watch nsx-demo/6fbd… --write-token AbC…       how that write ends
  isthmus wait openstack-demo/91c2… --goal tunnel-up --timeout 5min
  isthmus watch nsx-demo/6fbd… -o json | jq .change     one JSON object per line

Exit codes:
  0  the goal was reached
  1  the gateway could not be called, or refused
  2  the command line or a field of the request is wrong
  3  the cloud reports a failure
  4  the timeout passed first
  5  the cloud cannot tell whether the write is in effect; --accept-assumed counts that as 0";

/// The gateway to call, and the form of the output.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// The URL of the gateway.
    #[arg(
        long,
        env = "ISTHMUS_ENDPOINT",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    pub endpoint: String,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people.
    #[value(alias = "text")]
    Table,
    /// One JSON object per line, in the JSON mapping of the protos.
    Json,
    /// The same as YAML, one document each.
    Yaml,
}

/// What is applied, where, and how.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// The site file; - is standard input.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub file: PathBuf,
    /// The backend; every backend that the file names if left out.
    #[arg(value_name = "BACKEND")]
    pub backend: Option<String>,
    #[command(flatten)]
    pub attached: AttachedArgs,
    /// Change nothing; print the steps planned on the cloud, and what would differ.
    #[arg(long, visible_alias = "validate-only")]
    pub dry_run: bool,
    /// Follow all connections until GOAL is reached: config (the default), in-effect or tunnel-up.
    #[arg(
        long,
        value_name = "GOAL",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "config",
        hide_possible_values = true,
        conflicts_with = "dry_run"
    )]
    pub wait: Option<GoalArg>,
    /// With --wait: accept PARTIAL for config, and DEGRADED for tunnel-up.
    #[arg(long, requires = "wait")]
    pub accept_partial: bool,
    /// With --wait: accept an update that is only assumed after a quiet time; see `isthmus explain UNDETERMINED`.
    #[arg(long, requires = "wait")]
    pub accept_assumed: bool,
    /// If a connection cannot be changed to match: remove it, wait until it is gone, and create it again. Its tunnel is
    /// down in between.
    #[arg(long, conflicts_with = "dry_run")]
    pub replace: bool,
    /// Write the key to existing connections, too.
    #[arg(long)]
    pub write_key: bool,
    /// A UUID that makes a repeat the same write, for 24 hours; only for one connection on one backend.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
    /// The longest time to wait, with its unit: for the answer of each write (60s if left out), and with --wait for all
    /// outcomes (5min if left out). Writes go on in the gateway.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What is checked, and where.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The site file; - is standard input.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub file: PathBuf,
    /// The backend; every backend of the gateway if left out.
    #[arg(value_name = "BACKEND")]
    pub backend: Option<String>,
    #[command(flatten)]
    pub attached: AttachedArgs,
    /// The longest time to wait for the answer of each backend, with its unit: 30s, 5min.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60s")]
    pub timeout: Duration,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Where a connection is attached on one backend. Each option overrides the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct AttachedArgs {
    /// The router or gateway that the VPN service is attached to; `isthmus list attachments BACKEND` lists them.
    #[arg(long, value_name = "ID")]
    pub router: Option<String>,
    /// The local subnet of the VPN service, if the cloud requires one.
    #[arg(long, value_name = "ID")]
    pub subnet: Option<String>,
    /// The local address of the connection, if the cloud does not choose it.
    #[arg(long, value_name = "IP")]
    pub local_address: Option<String>,
    /// The availability zone, for variant `k5` of OpenStack.
    #[arg(long, value_name = "ZONE")]
    pub availability_zone: Option<String>,
}

/// The options of a write.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Check everything, print the steps planned on the cloud, and change nothing.
    #[arg(long, visible_alias = "validate-only")]
    pub dry_run: bool,
    /// A UUID that makes a repeat the same write, for 24 hours; a new one if left out. See below.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
    /// The longest time to wait for the answer, with its unit: 30s, 5min. The write goes on in the gateway.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60s")]
    pub timeout: Duration,
}

/// The options of a watch.
#[derive(Debug, Clone, Default, Args)]
pub struct WantedArgs {
    /// The goal to wait for; see below.
    #[arg(long, value_enum, hide_possible_values = true)]
    pub goal: Option<GoalArg>,
    /// The token of the write whose end is awaited.
    #[arg(long, value_name = "TOKEN")]
    pub write_token: Option<String>,
    /// Accept PARTIAL for config, and DEGRADED for tunnel-up.
    #[arg(long)]
    pub accept_partial: bool,
    /// Accept an update that is only assumed after a quiet time; see `isthmus explain UNDETERMINED`.
    #[arg(long)]
    pub accept_assumed: bool,
    /// The cloud's own id of a write made elsewhere (NSX: x-nsx-requestid) whose end is awaited; up to 4 times.
    #[arg(long = "upstream-request-id", value_name = "ID")]
    pub upstream_request_ids: Vec<String>,
    /// Also report the tunnel, if the cloud offers it.
    #[arg(long)]
    pub include_tunnel: bool,
    /// The longest time to wait, with its unit: 30s, 5min.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// The goal of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GoalArg {
    /// The cloud's control plane has the configuration.
    Config,
    /// The configuration is in effect on the nodes.
    InEffect,
    /// A tunnel is up.
    TunnelUp,
    /// The connection is gone.
    Gone,
}

impl From<GoalArg> for Goal {
    fn from(goal: GoalArg) -> Goal {
        match goal {
            GoalArg::Config => Goal::Config,
            GoalArg::InEffect => Goal::InEffect,
            GoalArg::TunnelUp => Goal::TunnelUp,
            GoalArg::Gone => Goal::Gone,
        }
    }
}

/// What is listed, and how.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// The kind; connections if left out.
    #[arg(value_name = "KIND", hide_possible_values = true)]
    pub first: Option<KindOr<true>>,
    /// The backend; all if left out.
    #[arg(value_name = "BACKEND")]
    pub second: Option<String>,
    /// Only resources that match, for example 'display_name:branch AND admin_enabled=true'.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub filter: String,
    /// The order: name or display_name, optionally followed by desc.
    #[arg(
        long,
        value_name = "FIELD",
        default_value = "",
        hide_default_value = true
    )]
    pub order_by: String,
    /// Leave out STATE of connections, for which the gateway has to list them a second time.
    #[arg(long)]
    pub no_state: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

impl ListArgs {
    /// Lists all backends.
    pub fn of_backends(client: &ClientArgs) -> ListArgs {
        ListArgs {
            first: Some(KindOr("backends".to_owned())),
            second: None,
            filter: String::new(),
            order_by: String::new(),
            no_state: true,
            client: client.clone(),
        }
    }
}

impl Question {
    pub fn client(&self) -> &ClientArgs {
        match self {
            Question::List(ListArgs { client, .. })
            | Question::Backends { client, .. }
            | Question::Get { client, .. }
            | Question::Create { client, .. }
            | Question::Update { client, .. }
            | Question::Delete { client, .. }
            | Question::Apply(ApplyArgs { client, .. })
            | Question::Check(CheckArgs { client, .. })
            | Question::Statistics { client, .. }
            | Question::Watch { client, .. }
            | Question::Wait { client, .. } => client,
        }
    }
}
