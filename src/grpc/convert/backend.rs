//! Backends, with their health and their budget.

use crate::{
    account::BudgetShare,
    core::{
        backend::{BackendSummary, Health, Serving},
        clock,
        error::{Error, Result},
        ledger::Unfinished,
    },
    grpc::{
        convert::{
            Problems,
            capabilities::capabilities,
            list::page_size,
            plan::unfinished,
            time::{duration, timestamp},
        },
        pb,
    },
    model::BackendName,
};

#[derive(Debug)]
pub struct Get {
    pub name: BackendName,
}

impl TryFrom<pb::GetBackendRequest> for Get {
    type Error = Error;

    fn try_from(request: pb::GetBackendRequest) -> Result<Get> {
        let mut problems = Problems::default();
        let name = problems.backend_name("name", &request.name);
        problems.finish(name.map(|name| Get { name }))
    }
}

#[derive(Debug)]
pub struct List {
    /// Page size. 0 means no limit.
    pub size: u32,
    /// Start of the page. Empty for the first page.
    pub page_token: String,
}

impl TryFrom<pb::ListBackendsRequest> for List {
    type Error = Error;

    fn try_from(request: pb::ListBackendsRequest) -> Result<List> {
        let mut problems = Problems::default();
        let size = page_size(request.page_size, 0, &mut problems);
        problems.finish(Some(List {
            size,
            page_token: request.page_token,
        }))
    }
}

/// Converts a backend, with the writes that did not end with their calls. `durable_writes` says whether such writes
/// outlive the process.
pub fn backend(
    summary: BackendSummary,
    writes: Vec<Unfinished>,
    durable_writes: bool,
) -> pb::Backend {
    let usage = summary.usage;
    pb::Backend {
        unfinished: writes.into_iter().map(unfinished).collect(),
        durable_writes,
        name: summary.name.to_string(),
        dialect: summary.capabilities.dialect.to_owned(),
        variant: summary.capabilities.variant.to_owned(),
        capabilities: Some(capabilities(&summary.capabilities)),
        health: Some(health(summary.health)),
        read_only: summary.read_only,
        budget: Some(pb::Budget {
            rate_limit: usage.rate_limit,
            rate_used: usage.rate_used,
            concurrency_limit: usage.concurrency_limit,
            in_flight: usage.in_flight,
            paused_until: usage
                .paused_for
                .map(|pause| timestamp(clock::now() + pause)),
            watched_connections: u32::try_from(summary.watched).unwrap_or(u32::MAX),
            longest_interval: (summary.watched > 0).then(|| duration(summary.longest_interval)),
            outcomes: Some(share(usage.outcome)),
            callers: Some(share(usage.callers)),
            stable_polls: Some(share(usage.stable)),
        }),
    }
}

fn share(share: BudgetShare) -> pb::BudgetShare {
    pb::BudgetShare {
        guaranteed_rate: share.rate,
        rate_used: share.rate_used,
        guaranteed_concurrency: share.slots,
        in_flight: share.in_flight,
        waiting: share.waiting,
    }
}

fn health(health: Health) -> pb::Health {
    use pb::health::State;
    let state = match health.serving {
        Serving::NotAsked => State::Unspecified,
        Serving::Yes => State::Serving,
        Serving::No => State::Unhealthy,
    };
    pb::Health {
        state: state.into(),
        reason: health
            .reason
            .map(|reason| reason.as_str().to_owned())
            .unwrap_or_default(),
        message: health.message,
        last_success_time: health.last_success.map(timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::convert::fields_at_fault;

    #[test]
    fn one_backend_has_a_name_of_its_own() {
        let get = |name: &str| {
            Get::try_from(pb::GetBackendRequest {
                name: name.to_owned(),
            })
        };
        assert_eq!(get("backends/a").unwrap().name.to_string(), "backends/a");
        for name in [
            "",
            "a",
            "backends/",
            "backends/-",
            "backends/a/connections/c",
        ] {
            assert_eq!(fields_at_fault(get(name)), ["name"], "{name:?}");
        }
    }
}
