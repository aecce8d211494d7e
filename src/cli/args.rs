//! The command line.

use crate::cli::{
    exit::{EXIT_CODES, Exit},
    question::Question,
};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
};

/// One gRPC API over two worlds of IPsec VPN: VMware NSX and OpenStack Neutron VPNaaS.
#[derive(Debug, Parser)]
#[command(name = "isthmus", version, max_term_width = 100, after_help = examples(), arg_required_else_help = true)]
pub struct Cli {
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
  isthmus check-config isthmus.toml             every problem, with its line
  isthmus serve --config isthmus.toml
  isthmus list nsx-demo                         its connections; isthmus list --help has the other kinds
  isthmus watch nsx-demo/6fbd… --goal config    follow one connection until it is in place
  isthmus check -f site.yaml                    which clouds would accept the description, and how
  isthmus apply -f site.yaml --wait             make it so on every cloud that the file names"
    )
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGINT or SIGTERM.
    #[command(after_help = SERVE_HELP)]
    Serve {
        /// The configuration file; deploy/isthmus.example.toml documents every key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    #[cfg_attr(
        feature = "demo",
        doc = "Show everything without a cloud: the gateway over two simulated clouds, and a connection realized on each."
    )]
    #[cfg_attr(
        not(feature = "demo"),
        doc = "Say how to get the demo, which this build does not include."
    )]
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Check a configuration and report every problem with its line, without starting anything.
    #[command(after_help = "Exit codes: 0 no problem, 2 at least one.")]
    CheckConfig {
        /// The configuration file.
        #[arg(
            value_name = "FILE",
            required_unless_present = "config",
            conflicts_with = "config"
        )]
        file: Option<PathBuf>,
        /// The same, spelled as for `serve`.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Explain a reason and what to do about it, without calling a gateway.
    #[command(after_help = "Exit codes: 0 explained, 2 no such reason.")]
    Explain {
        /// The reason of an error or of a state, such as UPSTREAM_AUTH; lists all if left out.
        #[arg(value_name = "REASON")]
        reason: Option<String>,
    },
    /// Print the completions for a shell: commands, options, and in bash and zsh the kinds of resource.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Call a running gateway.
    #[command(flatten)]
    Ask(Question),
}

const SERVE_HELP: &str = "\
[telemetry] log_filter selects the log lines, or RUST_LOG=info (default), debug, isthmus=trace, …

SIGHUP, or a change of the configuration or of a file that it names, reloads the backends, their
intervals and log_filter. Watches on backends that remain continue; those on a removed backend end
with a reason. A broken file changes nothing; the log names each problem with its line. All other
keys of [server], [watch], [store] and [telemetry] are read only at the start; the log names each
one that has changed. Secrets in files of their own are read again when they change.";

const COMPLETIONS_HELP: &str = "\
Examples:
  isthmus completions bash > ~/.local/share/bash-completion/completions/isthmus
  isthmus completions zsh > \"${fpath[1]}/_isthmus\"
  isthmus completions fish > ~/.config/fish/completions/isthmus.fish";

/// Prints the completions for a shell.
pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "isthmus", &mut script);
    match io::stdout().write_all(&script) {
        Ok(()) => Exit::Done,
        // The reader of the output closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not print: {error}");
            Exit::CouldNotAsk
        }
    }
}

/// The options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Exit when both watches have ended, instead of serving on.
    #[arg(long)]
    pub once: bool,
    /// Address of the gateway: a loopback address and a port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Address of the metrics page for Prometheus, at /metrics: a loopback address and a port; no page if left out.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Then put the simulated NSX through trouble, in a loop of phases of this many seconds: it is cut off, comes back,
    /// throttles, refuses the gateway's login and accepts it again. RUST_LOG=info shows what the log says about it.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "20",
        value_parser = clap::value_parser!(u64).range(8..=600),
        conflicts_with = "once"
    )]
    pub trouble: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::question::{GoalArg, Output};
    use std::time::Duration;

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
    fn serve_says_how_it_reloads() {
        let mut command = Cli::command();
        let serve = command.find_subcommand_mut("serve").unwrap();
        let help = serve.render_long_help().to_string();
        assert!(
            help.contains("SIGHUP") && help.contains("log_filter"),
            "{help}"
        );
    }

    #[test]
    fn completions_know_the_kinds() {
        let kinds = [
            "ike-policies",
            "vpn-service",
            "endpoint-group",
            "statistics",
        ];
        for (shell, words) in [
            (Shell::Bash, kinds.as_slice()),
            (Shell::Zsh, &kinds),
            // The fish script does not complete positional arguments.
            (Shell::Fish, &["statistics"]),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "isthmus", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in words {
                assert!(script.contains(*word), "{shell}: {word}");
            }
        }
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
