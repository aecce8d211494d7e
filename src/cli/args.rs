//! The command line.

use crate::{cli::exit::EXIT_CODES, grpc::pb::Goal};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// One gRPC API over two worlds of IPsec VPN: VMware NSX and OpenStack Neutron VPNaaS.
#[derive(Debug, Parser)]
#[command(name = "isthmus", version, max_term_width = 100, after_help = examples(), arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn examples() -> String {
    let demo = if cfg!(feature = "demo") {
        "\n  isthmus demo                                  two simulated clouds and the gateway over them"
    } else {
        ""
    };
    format!(
        "\
Examples:{demo}
  isthmus check-config isthmus.toml             what is wrong, and in which line
  isthmus serve --config isthmus.toml
  isthmus list nsx-demo
  isthmus watch nsx-demo/6fbd… --goal config    follow one connection until it is in place"
    )
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGINT or SIGTERM.
    #[command(
        after_help = "Which log lines are written: RUST_LOG=info (default), debug, isthmus=trace, …"
    )]
    Serve {
        /// The configuration; deploy/isthmus.example.toml documents every key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    #[cfg_attr(
        feature = "demo",
        doc = "Show it all without a cloud: two simulated ones, the gateway, and a connection on each becoming real."
    )]
    #[cfg_attr(
        not(feature = "demo"),
        doc = "Say how to have the demo: this build is without it."
    )]
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Say what is wrong with a configuration, with the line, without starting anything.
    #[command(after_help = "Exit codes: 0 nothing is wrong, 2 something is.")]
    CheckConfig {
        /// The configuration.
        #[arg(
            value_name = "FILE",
            required_unless_present = "config",
            conflicts_with = "config"
        )]
        file: Option<PathBuf>,
        /// The same, as `serve` takes it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Say what a reason means, and what to do about it, without asking anybody.
    #[command(after_help = "Exit codes: 0 explained, 2 there is no such reason.")]
    Explain {
        /// The reason of an error or of a state, as UPSTREAM_AUTH; all are listed if left out.
        #[arg(value_name = "REASON")]
        reason: Option<String>,
    },
    /// Ask a running gateway.
    #[command(flatten)]
    Ask(Question),
}

/// What a running gateway is asked.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Show the configured backends, or one with what it can express.
    #[command(after_help = EXIT_CODES)]
    Backends {
        /// The backend; all if left out.
        #[arg(value_name = "BACKEND")]
        name: Option<String>,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show one connection, as its cloud has it now.
    #[command(after_help = EXIT_CODES)]
    Get {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show the connections of one backend, or of all.
    ///
    /// Ends with 1 if a backend could not be asked; the connections of the others are shown all the same.
    #[command(after_help = EXIT_CODES)]
    List {
        /// The backend; all if left out.
        #[arg(value_name = "BACKEND")]
        parent: Option<String>,
        /// Only those that meet this, for example 'display_name:branch AND admin_enabled=true'.
        #[arg(long, default_value = "", hide_default_value = true)]
        filter: String,
        /// Their order: name or display_name, with desc behind it if wanted.
        #[arg(
            long,
            value_name = "FIELD",
            default_value = "",
            hide_default_value = true
        )]
        order_by: String,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make a connection from JSON, as `get -o json` prints it.
    #[command(after_help = WRITE_HELP)]
    Create {
        /// The backend.
        backend: String,
        /// A file with the connection; - is standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Check everything and send nothing to the cloud.
        #[arg(long)]
        validate_only: bool,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Change fields of a connection.
    #[command(after_help = WRITE_HELP)]
    Update {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        /// A file with the new values; - is standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
        /// The fields to change, for example display_name,peer.psk; all that are given if left out.
        #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
        fields: Vec<String>,
        /// Check everything and change nothing.
        #[arg(long)]
        validate_only: bool,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Remove a connection, and what the gateway made for it.
    #[command(after_help = EXIT_CODES)]
    Delete {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        /// Only if this is still current.
        #[arg(long)]
        etag: Option<String>,
        /// Take a connection that is not there for removed.
        #[arg(long)]
        allow_missing: bool,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Follow one connection becoming real, a line for each change.
    ///
    /// Ends by itself if a goal or a write token is given. A gateway that goes away meanwhile is waited for,
    /// and the watch goes on where it was.
    #[command(after_help = WATCH_HELP)]
    Watch {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        /// The last one received, to go on after it.
        #[arg(long, value_name = "TOKEN")]
        resume_token: Option<String>,
        /// What to wait for.
        #[command(flatten)]
        wanted: WantedArgs,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Wait until one connection is where it should be, and say how that ended.
    ///
    /// Without a goal and a write token, waits for goal config.
    #[command(after_help = WATCH_HELP)]
    Wait {
        /// The connection: BACKEND/ID, or its full name.
        name: String,
        /// What to wait for.
        #[command(flatten)]
        wanted: WantedArgs,
        /// Which gateway, and how to print.
        #[command(flatten)]
        client: ClientArgs,
    },
}

const WRITE_HELP: &str = "\
Examples:
  isthmus create nsx-demo connection.json
  isthmus update nsx-demo/6fbd… --fields display_name <<< '{\"displayName\": \"branch\"}'

A write returns when the cloud has accepted it. What is printed then ends with the command that tells how
the write itself ends.

Exit codes:
  0  the cloud has accepted it
  1  the gateway could not be asked, or refused
  2  the command line, the JSON or a field of the request is wrong";

const WATCH_HELP: &str = "\
Goals:
  config     the cloud's control plane has the configuration
  in-effect  it is in effect on the nodes
  tunnel-up  a tunnel is up
  gone       the connection is gone

Examples:
  isthmus watch nsx-demo/6fbd…                          until ctrl-c
  isthmus watch nsx-demo/6fbd… --write-token AbC…       how that very write ends
  isthmus wait openstack-demo/91c2… --goal tunnel-up --timeout 5min
  isthmus watch nsx-demo/6fbd… -o json | jq .change     one JSON object a line

Exit codes:
  0  the goal was reached
  1  the gateway could not be asked, or refused
  2  the command line or a field of the request is wrong
  3  the cloud says that it failed
  4  the time was up first
  5  the cloud cannot tell whether the write is in effect; --accept-assumed takes that for 0";

/// Which gateway, and how to print.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Where the gateway is.
    #[arg(
        long,
        env = "ISTHMUS_ENDPOINT",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    pub endpoint: String,
    /// How to print: for people, or one JSON object a line.
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object a line, in the JSON form of the protos.
    Json,
}

/// What a watch waits for.
#[derive(Debug, Clone, Default, Args)]
pub struct WantedArgs {
    /// What to wait for; see below.
    #[arg(long, value_enum, hide_possible_values = true)]
    pub goal: Option<GoalArg>,
    /// The token of the write whose end is awaited.
    #[arg(long, value_name = "TOKEN")]
    pub write_token: Option<String>,
    /// Take PARTIAL for config, and DEGRADED for tunnel-up.
    #[arg(long)]
    pub accept_partial: bool,
    /// Take what a quiet time lets assume of an update for proof; see `isthmus explain UNDETERMINED`.
    #[arg(long)]
    pub accept_assumed: bool,
    /// The cloud's own id of a write made elsewhere (NSX: x-nsx-requestid) whose end is awaited; up to 4 times.
    #[arg(long = "upstream-request-id", value_name = "ID")]
    pub upstream_request_ids: Vec<String>,
    /// Ask for the tunnel too, where the cloud offers it.
    #[arg(long)]
    pub include_tunnel: bool,
    /// The longest time to wait, with its unit: 30s, 5min.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GoalArg {
    /// The cloud's control plane has the configuration.
    Config,
    /// It is in effect on the nodes.
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

/// How the demo runs.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// End when both outcomes are in, instead of serving on.
    #[arg(long)]
    pub once: bool,
    /// Where the gateway listens: a loopback address and a port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
}

impl Question {
    /// Which gateway is asked, and how the answer is printed.
    pub fn client(&self) -> &ClientArgs {
        match self {
            Question::Backends { client, .. }
            | Question::Get { client, .. }
            | Question::List { client, .. }
            | Question::Create { client, .. }
            | Question::Update { client, .. }
            | Question::Delete { client, .. }
            | Question::Watch { client, .. }
            | Question::Wait { client, .. } => client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_watch_takes_its_options() {
        let line =
            "isthmus watch a/b --goal tunnel-up --timeout 5min -o json --endpoint http://h:1";
        let Command::Ask(Question::Watch {
            name,
            wanted,
            client,
            ..
        }) = parse(line).unwrap()
        else {
            panic!("a watch")
        };
        assert_eq!(name, "a/b");
        assert_eq!(wanted.goal, Some(GoalArg::TunnelUp));
        assert_eq!(wanted.timeout, Some(Duration::from_secs(300)));
        assert_eq!(client.output, Output::Json);
        assert_eq!(client.endpoint, "http://h:1");
    }

    #[test]
    fn check_config_takes_the_file_either_way_and_needs_one() {
        for line in ["isthmus check-config f", "isthmus check-config --config f"] {
            assert!(
                matches!(parse(line), Ok(Command::CheckConfig { .. })),
                "{line}"
            );
        }
        for line in ["isthmus check-config", "isthmus check-config f --config f"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
