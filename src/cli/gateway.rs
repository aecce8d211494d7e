//! The client of the gateway, and the printer of its answers.

use crate::{
    cli::{
        json,
        question::{ClientArgs, Output},
        screen::{Row, Screen},
        text::Style,
        tree::Tree,
        yaml,
    },
    grpc::pb::{
        backend_service_client::BackendServiceClient,
        connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient,
    },
    text::{clean_json, clean_lines},
};
use prost::Message;
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// The default timeout of a unary call.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A client of a gateway, which connects at its first call.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// The URL of the gateway, for messages.
    pub endpoint: String,
    channel: Channel,
}

impl Gateway {
    /// Makes a client of the gateway at `endpoint`: `http://HOST:PORT`, or just `HOST:PORT`.
    ///
    /// # Errors
    /// If `endpoint` is not the address of a gateway; the message says what would be.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn at(endpoint: &str) -> Result<Gateway, String> {
        let wanted =
            "it must be http:// with a host and a port, for example http://127.0.0.1:50051";
        let url = if endpoint.contains("://") {
            endpoint.to_owned()
        } else {
            format!("http://{endpoint}")
        };
        if url.starts_with("https://") {
            return Err(format!(
                "the endpoint is {endpoint:?}, and the gateway does not speak TLS itself; {wanted}"
            ));
        }
        let unusable = || format!("the endpoint is {endpoint:?}; {wanted}");
        let parsed = Endpoint::from_shared(url.clone()).map_err(|_| unusable())?;
        if parsed.uri().host().is_none() || parsed.uri().scheme_str() != Some("http") {
            return Err(unusable());
        }
        let channel = parsed
            .connect_timeout(Duration::from_secs(5))
            // A watch is silent for up to a heartbeat. Keep-alive detects a vanished peer sooner.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect_lazy();
        Ok(Gateway {
            endpoint: url,
            channel,
        })
    }

    /// Returns a client of the connection service.
    pub fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    /// Returns a client of the backend service.
    pub fn backends(&self) -> BackendServiceClient<Channel> {
        BackendServiceClient::new(self.channel.clone())
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Returns a client of the realization service.
    pub fn realizations(&self) -> RealizationServiceClient<Channel> {
        RealizationServiceClient::new(self.channel.clone())
    }
}

/// Awaits the answer of a unary call, for at most 60 s.
///
/// # Errors
/// What the gateway says, or DEADLINE_EXCEEDED.
pub async fn answer<T>(
    question: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    answer_within(PATIENCE, question).await
}

/// Awaits the answer of a unary call, for at most `patience`.
///
/// # Errors
/// Those of [`answer`].
pub async fn answer_within<T>(
    patience: Duration,
    question: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(patience, question).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(time_up(patience)),
    }
}

/// Returns the status of a call that timed out.
pub(crate) fn time_up(patience: Duration) -> Status {
    let patience = humantime::format_duration(patience);
    Status::deadline_exceeded(format!("no answer within {patience}"))
}

/// Prints answers in the chosen form.
pub struct Printer {
    out: Box<dyn Write + Send>,
    output: Output,
    style: Style,
    /// Whether the output is a terminal, which can be redrawn.
    terminal: bool,
}

impl Printer {
    /// Prints to standard output, as the options say.
    pub fn stdout(args: &ClientArgs) -> Printer {
        let out = Box::new(io::stdout());
        Printer {
            terminal: io::stdout().is_terminal(),
            ..Printer::new(out, args.output, Style::of_stdout())
        }
    }

    /// Prints to `out`, which is not a terminal.
    pub fn new(out: Box<dyn Write + Send>, output: Output, style: Style) -> Printer {
        Printer {
            out,
            output,
            style,
            terminal: false,
        }
    }

    /// Reports whether the output is for people and not for programs.
    pub fn is_for_people(&self) -> bool {
        self.output == Output::Table
    }

    /// Returns a screen for the progress of several connections. With JSON and YAML output it uses standard error.
    pub fn screen(&mut self, rows: Vec<Row>) -> Screen<'_> {
        match self.output {
            Output::Table => Screen::new(Box::new(&mut self.out), self.style, self.terminal, rows),
            Output::Json | Output::Yaml => {
                let terminal = io::stderr().is_terminal();
                Screen::new(Box::new(io::stderr()), Style::Plain, terminal, rows)
            }
        }
    }

    /// Prints text for people. JSON and YAML output leave it out.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn aside(&mut self, text: &str) -> io::Result<()> {
        match self.output {
            Output::Table => self.line(text),
            Output::Json | Output::Yaml => Ok(()),
        }
    }

    /// Prints one proto message, by its name within `isthmus.v1`: as JSON or YAML, or formatted by `text`.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn message<M: Message>(
        &mut self,
        kind: &str,
        message: &M,
        text: impl FnOnce(&M, Style) -> String,
    ) -> io::Result<()> {
        let text = |messages: &[M], style| text(&messages[0], style);
        self.messages(kind, std::slice::from_ref(message), text)
    }

    /// Prints several messages of one kind: each as a line of JSON or a document of YAML, or all of them formatted by
    /// `text`.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn messages<M: Message>(
        &mut self,
        kind: &str,
        messages: &[M],
        text: impl FnOnce(&[M], Style) -> String,
    ) -> io::Result<()> {
        match self.output {
            Output::Json => messages
                .iter()
                .try_for_each(|message| self.line(&json::line(kind, message))),
            Output::Yaml => messages
                .iter()
                .try_for_each(|message| self.line(&document(kind, message))),
            Output::Table => {
                let text = text(messages, self.style);
                self.line(&text)
            }
        }
    }

    /// Prints several values that are not proto messages: each as a line of JSON or a document of YAML, or all of them
    /// formatted by `text`.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn values(
        &mut self,
        values: &[serde_json::Value],
        text: impl FnOnce(Style) -> String,
    ) -> io::Result<()> {
        let clean = |value: &serde_json::Value| clean_json(&value.to_string()).into_owned();
        match self.output {
            Output::Json => values.iter().try_for_each(|value| self.line(&clean(value))),
            Output::Yaml => values
                .iter()
                .try_for_each(|value| self.line(&as_yaml(&clean(value)))),
            Output::Table => {
                let text = text(self.style);
                self.line(&text)
            }
        }
    }

    /// Prints text in every output form, cleaned of characters that would mislead on a terminal.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.line(text)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        // Whatever the line contains, a name from a cloud must not rearrange the rest of it.
        let line = clean_lines(line, self.style == Style::Ansi);
        writeln!(self.out, "{line}")?;
        // The reader of a pipe wants each event when it happens.
        self.out.flush()
    }
}

/// Read as a tree, which keeps the order of a message's fields; a JSON map does not.
fn document(kind: &str, message: &impl Message) -> String {
    as_yaml(&json::line(kind, message))
}

fn as_yaml(json: &str) -> String {
    let tree: Tree = serde_json::from_str(json).expect("the JSON was written a moment ago");
    yaml::document(&tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::describe::{connection_facts, connection_table},
        grpc::pb,
    };
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn an_endpoint_is_a_plain_http_url_or_an_address() {
        for good in ["http://127.0.0.1:1", "localhost:50051", "http://[::1]:1/"] {
            Gateway::at(good).unwrap();
        }
        for bad in ["https://h:1", "ftp://h", "", "http://", "a b"] {
            let why = Gateway::at(bad).unwrap_err();
            assert!(why.contains("must be http://"), "{bad}: {why}");
        }
    }

    #[test]
    fn what_is_printed_is_what_is_there() {
        #[derive(Clone, Default)]
        struct Paper(Arc<Mutex<Vec<u8>>>);
        impl Write for Paper {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let odd = "a\u{202e}b\u{200b}c\u{9b}2Jd";
        let connection = pb::Connection {
            name: format!("backends/x/connections/{odd}"),
            display_name: odd.to_owned(),
            native: Some(prost_types::Struct {
                fields: [(odd.to_owned(), prost_types::Value { kind: None })].into(),
            }),
            ..pb::Connection::default()
        };
        for output in [Output::Table, Output::Json, Output::Yaml] {
            let paper = Paper::default();
            let mut printer = Printer::new(Box::new(paper.clone()), output, Style::Plain);
            printer
                .message("Connection", &connection, |it, style| {
                    connection_table(std::slice::from_ref(it), None, style)
                        + &connection_facts(it, style)
                })
                .unwrap();
            let printed = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
            assert!(
                printed.contains("connections/a") || printed.contains("x/a"),
                "{printed}"
            );
            assert!(
                !printed.contains(['\u{202e}', '\u{200b}', '\u{9b}']),
                "{printed:?}"
            );
        }
    }
}
