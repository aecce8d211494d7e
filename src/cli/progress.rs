//! The progress of a connection, as lines for people.

use crate::{
    cli::{
        names::short,
        reasons,
        text::{Style, clean},
    },
    grpc::pb::{
        Assurance, Heartbeat, Node, Outcome, PartUse, Realization, RealizationState, Reason,
        Tunnel, WatchRealizationResponse, outcome, tunnel, watch_realization_response::Event,
    },
};
use prost_types::Timestamp;
use std::time::{Duration, SystemTime};

/// The share of the budget from which heartbeats mention it, because intervals grow with it.
const BUSY: f64 = 0.8;

/// The indentation of details below a line.
const INDENT: &str = "           ";

/// Formats one message of a watch: a line with time, state, assurance and the cloud's own word, the nodes below it, and
/// the outcome if there is one.
pub fn event(message: &WatchRealizationResponse, style: Style) -> String {
    let mut lines = Vec::new();
    if message.coalesced > 0 {
        lines.push(style.dim(&format!("{INDENT}{} changes left out", message.coalesced)));
    }
    match &message.event {
        Some(Event::Snapshot(seen) | Event::Change(seen)) => lines.push(realization(seen, style)),
        Some(Event::Heartbeat(beat)) => lines.push(heartbeat(beat, style)),
        None => {}
    }
    if let Some(ended) = &message.outcome {
        lines.push(outcome(ended, style));
    }
    lines.join("\n")
}

/// Formats the state of a connection: a line, with its nodes and its tunnel below.
pub fn realization(seen: &Realization, style: Style) -> String {
    let mut lines = vec![headline(seen, style)];
    let width = seen
        .nodes
        .iter()
        .map(|node| label(node).chars().count())
        .max();
    for node in &seen.nodes {
        lines.push(format!(
            "{INDENT}{}",
            node_line(node, width.unwrap_or(0), style)
        ));
    }
    lines.extend(left_out(seen).map(|line| format!("{INDENT}{line}")));
    lines.extend(
        seen.part_use
            .iter()
            .map(|it| format!("{INDENT}{}", part_use(it))),
    );
    if let Some(tunnel) = &seen.tunnel {
        lines.push(format!("{INDENT}{}", tunnel_line(tunnel)));
    }
    lines.join("\n")
}

/// Formats the state of a connection on one line, without nodes.
pub fn headline(seen: &Realization, style: Style) -> String {
    let mut line = format!(
        "{}  {}  {:<14}  {}",
        time_of_day(seen.observe_time.as_ref()),
        style.bold(&format!("{:<11}", state(seen.state))),
        assurance(seen.assurance),
        style.dim(&clean(&seen.native_state)),
    );
    if let Some(reason) = &seen.reason {
        line.push_str(&format!("  {}", reason_text(reason)));
    }
    if seen.stale {
        line.push_str("  (stale: the cloud has not answered for longer than promised)");
    }
    line.trim_end().to_owned()
}

/// Formats the progress of a write to a part on the connections that use it.
pub fn part_use(part: &PartUse) -> String {
    let mut line = format!(
        "{} of {} connections have it",
        part.proven, part.connections
    );
    if part.failed > 0 {
        line.push_str(&format!(", {} failed", part.failed));
    }
    if !part.waiting.is_empty() {
        let names: Vec<String> = part
            .waiting
            .iter()
            .map(|name| clean(&short(name)))
            .collect();
        line.push_str(&format!("; waiting for {}", names.join(", ")));
    }
    line
}

/// Formats the number of nodes per state if not all nodes are listed.
pub fn left_out(seen: &Realization) -> Option<String> {
    let counts = || seen.node_counts.iter();
    let all: u64 = counts().map(|it| u64::from(it.count)).sum();
    let told = seen.nodes.len();
    (all > told as u64).then(|| {
        let states = counts().map(|it| format!("{} {}", it.count, state(it.state)));
        let states: Vec<String> = states.collect();
        format!("the {told} worst of {all} nodes: {}", states.join(", "))
    })
}

/// Formats the state of one node.
pub fn node_line(node: &Node, width: usize, style: Style) -> String {
    let label = label(node);
    let line = format!(
        "{label:<width$}  {:<11}  {}  {}",
        state(node.state),
        style.dim(&clean(&node.native_state)),
        style.dim(&clean(&node.message)),
    );
    line.trim_end().to_owned()
}

/// Returns a node's display name, or its id if it has none.
pub fn label(node: &Node) -> String {
    let name = if node.display_name.is_empty() {
        &node.id
    } else {
        &node.display_name
    };
    clean(name)
}

/// Formats the outcome of a watch, with a pointer to `explain` if it is no success and its reason is known.
pub fn outcome(outcome: &Outcome, style: Style) -> String {
    let line = outcome_line(outcome, style);
    match &outcome.reason {
        Some(Reason { code, .. })
            if outcome.result() != outcome::Result::Succeeded
                && reasons::of_state(code).is_some() =>
        {
            let more = style.dim(&format!("`isthmus explain {code}` says what to do"));
            format!("{line}\n{INDENT}{more}")
        }
        _ => line,
    }
}

/// Formats the outcome of a watch on one line.
pub fn outcome_line(outcome: &Outcome, style: Style) -> String {
    let word = match outcome.result() {
        outcome::Result::Succeeded => "the goal is reached",
        outcome::Result::Failed => "failed",
        outcome::Result::Undetermined => "undetermined",
        // Unset, or unknown to this build.
        outcome::Result::Unspecified => "ended, without saying how",
    };
    match &outcome.reason {
        Some(reason) if !reason.code.is_empty() => {
            format!("{INDENT}{}: {}", style.bold(word), reason_text(reason))
        }
        _ => format!("{INDENT}{}", style.bold(word)),
    }
}

/// Returns a state without its prefix, such as `IN_PROGRESS`, or by its number if this build does not know it.
pub fn state(value: i32) -> String {
    match RealizationState::try_from(value) {
        Ok(state) => without(state.as_str_name(), "REALIZATION_STATE_").to_owned(),
        Err(_) => format!("STATE_{value}"),
    }
}

/// Returns an assurance in the spelling of the command line, such as `control-plane`.
pub fn assurance(value: i32) -> String {
    match Assurance::try_from(value) {
        Ok(assurance) => without(assurance.as_str_name(), "ASSURANCE_")
            .to_lowercase()
            .replace('_', "-"),
        Err(_) => format!("assurance-{value}"),
    }
}

/// Formats a reason: its code and its message.
pub fn reason_text(reason: &Reason) -> String {
    if reason.message.is_empty() {
        clean(&reason.code)
    } else {
        format!("{}: {}", clean(&reason.code), clean(&reason.message))
    }
}

/// Returns `14:03:07Z`, or nine blanks.
pub fn time_of_day(time: Option<&Timestamp>) -> String {
    time.map_or_else(
        || " ".repeat(9),
        |time| {
            let second = time.seconds.rem_euclid(86_400);
            format!(
                "{:02}:{:02}:{:02}Z",
                second / 3600,
                second / 60 % 60,
                second % 60
            )
        },
    )
}

/// Returns a time with its date, such as `2026-11-21T14:03:07Z`.
pub fn date_and_time(time: &Timestamp) -> String {
    SystemTime::try_from(*time).map_or_else(
        |_| "at an impossible time".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}

fn heartbeat(beat: &Heartbeat, style: Style) -> String {
    let mut line = format!(
        "{INDENT}nothing new; the cloud last answered {}",
        match &beat.last_success_time {
            Some(time) => format!("at {}", time_of_day(Some(time))),
            None => "never".to_owned(),
        }
    );
    if let Some(time) = &beat.next_look_time {
        line.push_str(&format!(", is asked again at {}", time_of_day(Some(time))));
    }
    if let Some(interval) = beat.interval
        && let Ok(interval) = Duration::try_from(interval)
    {
        let rounded =
            Duration::from_millis(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        line.push_str(&format!(", every {}", humantime::format_duration(rounded)));
    }
    if beat.budget_used >= BUSY {
        line.push_str(&format!(
            " ({:.0} % of the requests to this cloud are used)",
            beat.budget_used * 100.0
        ));
    }
    if !beat.last_error.is_empty() {
        line.push_str(&format!(
            "; the last look failed: {}",
            clean(&beat.last_error)
        ));
    }
    if beat.stale {
        line.push_str("; what is known is stale");
    }
    style.dim(&line)
}

fn tunnel_line(tunnel: &Tunnel) -> String {
    let mut line = format!(
        "tunnel {}",
        match tunnel.status() {
            tunnel::Status::Unspecified => "UNKNOWN",
            known => without(known.as_str_name(), "STATUS_"),
        }
    );
    if !tunnel.native_status.is_empty() {
        line.push_str(&format!(" ({})", clean(&tunnel.native_status)));
    }
    if tunnel.total_tunnels > 0 {
        line.push_str(&format!(
            ", {} of {} up",
            tunnel.negotiated_tunnels, tunnel.total_tunnels
        ));
    }
    if !tunnel.fail_reason.is_empty() {
        line.push_str(&format!(": {}", clean(&tunnel.fail_reason)));
    }
    if !tunnel.realtime {
        line.push_str(", as the cloud remembers it");
    }
    line
}

fn without<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::pb::NodeCount;

    fn seen() -> Realization {
        let node = |id: &str, state: RealizationState, native: &str| Node {
            id: id.to_owned(),
            kind: "TransportNode".to_owned(),
            state: state.into(),
            native_state: native.to_owned(),
            ..Default::default()
        };
        Realization {
            state: RealizationState::InProgress.into(),
            assurance: Assurance::IntentStored.into(),
            native_state: "in_progress".to_owned(),
            observe_time: Some(Timestamp {
                seconds: 1_700_000_000,
                nanos: 5,
            }),
            nodes: vec![
                node("fe651e63", RealizationState::Realized, "in_sync"),
                node("e", RealizationState::Pending, "pending"),
            ],
            ..Default::default()
        }
    }

    #[test]
    fn how_many_connections_have_a_write_is_told_beneath_it() {
        let mut seen = seen();
        seen.nodes.clear();
        seen.part_use = Some(PartUse {
            connections: 5,
            proven: 2,
            failed: 1,
            waiting: vec![
                "backends/a/connections/1".to_owned(),
                "backends/a/connections/2".to_owned(),
            ],
        });
        let text = realization(&seen, Style::Plain);
        assert!(
            text.ends_with(
                "\n           2 of 5 connections have it, 1 failed; waiting for a/1, a/2"
            ),
            "{text}"
        );
        let done = PartUse {
            connections: 1,
            proven: 1,
            ..Default::default()
        };
        assert_eq!(part_use(&done), "1 of 1 connections have it");
    }

    fn message(event: Event) -> WatchRealizationResponse {
        WatchRealizationResponse {
            event: Some(event),
            ..Default::default()
        }
    }

    #[test]
    fn nodes_that_are_left_out_are_counted_beneath() {
        let count = |state: RealizationState, count| NodeCount {
            state: state.into(),
            count,
        };
        let mut all = seen();
        all.node_counts = vec![
            count(RealizationState::Pending, 1),
            count(RealizationState::Realized, 1),
        ];
        assert_eq!(left_out(&all), None);
        all.node_counts[1].count = 19_999;
        let line = "the 2 worst of 20000 nodes: 1 PENDING, 19999 REALIZED";
        assert_eq!(left_out(&all).as_deref(), Some(line));
        let shown = realization(&all, Style::Plain);
        assert!(shown.ends_with(&format!("\n{INDENT}{line}")), "{shown}");
    }

    #[test]
    fn a_change_is_a_line_with_its_nodes_beneath() {
        assert_eq!(
            event(&message(Event::Change(seen())), Style::Plain),
            "22:13:20Z  IN_PROGRESS  intent-stored   in_progress\n           \
             fe651e63  REALIZED     in_sync\n           \
             e         PENDING      pending"
        );
    }

    #[test]
    fn an_outcome_stands_below_its_evidence() {
        let mut message = message(Event::Change(Realization {
            state: RealizationState::Failed.into(),
            assurance: Assurance::ControlPlane.into(),
            native_state: "ERROR".to_owned(),
            reason: Some(Reason {
                code: "UPSTREAM_ERROR".to_owned(),
                message: "no\x1b way".to_owned(),
            }),
            stale: true,
            ..Default::default()
        }));
        message.coalesced = 2;
        message.outcome = Some(Outcome {
            result: outcome::Result::Failed.into(),
            reason: Some(Reason {
                code: "UPSTREAM_ERROR".to_owned(),
                message: String::new(),
            }),
        });
        assert_eq!(
            event(&message, Style::Plain),
            "           2 changes left out\n           \
             FAILED       control-plane   ERROR  UPSTREAM_ERROR: no  way  (stale: the cloud has not answered for \
             longer than promised)\n           \
             failed: UPSTREAM_ERROR\n           \
             `isthmus explain UPSTREAM_ERROR` says what to do"
        );
    }

    #[test]
    fn a_heartbeat_says_when_the_cloud_was_heard_and_when_it_is_asked() {
        let beat = Heartbeat {
            last_success_time: Some(Timestamp {
                seconds: 60,
                nanos: 0,
            }),
            next_look_time: Some(Timestamp {
                seconds: 90,
                nanos: 0,
            }),
            interval: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
            stale: true,
            last_error: "UPSTREAM_UNREACHABLE".to_owned(),
            budget_used: 0.914,
        };
        assert_eq!(
            event(&message(Event::Heartbeat(beat)), Style::Plain),
            "           nothing new; the cloud last answered at 00:01:00Z, is asked again at 00:01:30Z, every 30s \
             (91 % of the requests to this cloud are used); the last look failed: UPSTREAM_UNREACHABLE; what is known is stale"
        );
    }

    #[test]
    fn a_tunnel_is_told_with_its_reason() {
        let tunnel = Tunnel {
            status: tunnel::Status::Down.into(),
            native_status: "DOWN/NEGOTIATING".to_owned(),
            fail_reason: "Peer not reachable".to_owned(),
            total_tunnels: 2,
            ..Default::default()
        };
        assert_eq!(
            tunnel_line(&tunnel),
            "tunnel DOWN (DOWN/NEGOTIATING), 0 of 2 up: Peer not reachable, as the cloud remembers it"
        );
    }

    #[test]
    fn values_of_a_newer_gateway_are_shown_by_number() {
        assert_eq!(state(99), "STATE_99");
        assert_eq!(assurance(99), "assurance-99");
    }

    #[test]
    fn emphasis_is_ansi_and_only_where_wanted() {
        let line = headline(&seen(), Style::Ansi);
        assert!(line.contains("\x1b[1mIN_PROGRESS\x1b[0m"), "{line:?}");
        assert!(line.contains("\x1b[2min_progress\x1b[0m"), "{line:?}");
    }
}
