//! Plans of writes, and writes that did not end with their call.

use crate::{
    core::{
        dialect::{Action, Step},
        ledger::{Unfinished, UnfinishedState},
    },
    grpc::{
        convert::time::timestamp,
        pb::{self, planned_step, unfinished_write},
    },
    model::BackendName,
};

/// Converts the steps of a plan, in order.
pub fn plan(backend: &BackendName, steps: Vec<Step>) -> Vec<pb::PlannedStep> {
    steps.into_iter().map(|it| step(backend, it)).collect()
}

fn step(backend: &BackendName, step: Step) -> pb::PlannedStep {
    let name = step.id.filter(|id| !id.is_empty());
    pb::PlannedStep {
        action: action(step.action).into(),
        name: name.map_or_else(String::new, |id| name_of(backend, &step.collection, &id)),
        collection: step.collection,
        fields: step.fields,
    }
}

/// Returns the resource name of a backend's object, even if the contract has no message for it. `-` stands for an
/// unknown id.
pub fn name_of(backend: &BackendName, collection: &str, id: &str) -> String {
    let id = if id.is_empty() { "-" } else { id };
    format!("{backend}/{collection}/{id}")
}

/// Converts a write that did not end with its call.
pub fn unfinished(write: Unfinished) -> pb::UnfinishedWrite {
    pb::UnfinishedWrite {
        state: state(write.state).into(),
        action: action(write.action).into(),
        name: write.name,
        request_id: write.request_id,
        leftovers: write.leftovers,
        message: write.message,
        begin_time: Some(timestamp(write.begin_time)),
        update_time: Some(timestamp(write.update_time)),
    }
}

fn action(action: Action) -> planned_step::Action {
    match action {
        Action::Create => planned_step::Action::Create,
        Action::Reuse => planned_step::Action::Reuse,
        Action::Update => planned_step::Action::Update,
        Action::Delete => planned_step::Action::Delete,
    }
}

fn state(state: UnfinishedState) -> unfinished_write::State {
    match state {
        UnfinishedState::Settling => unfinished_write::State::Settling,
        UnfinishedState::Finished => unfinished_write::State::Finished,
        UnfinishedState::Undone => unfinished_write::State::Undone,
        UnfinishedState::Abandoned => unfinished_write::State::Abandoned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_plan_names_what_is_there_and_says_nothing_of_what_a_dialect_remembers() {
        let mut made = Step::new(Action::Create, "peerEndpoints", None);
        made.fields = vec!["peer.address".to_owned()];
        made.memo = json!({"its": "own"});
        let used = Step::new(Action::Reuse, "ikePolicies", Some("7".to_owned()));
        let gone = Step::new(Action::Delete, "connections", Some("8".to_owned()));
        let said = plan(&"a".parse().unwrap(), vec![used, made, gone]);
        let told: Vec<_> = said
            .iter()
            .map(|it| {
                (
                    it.action().as_str_name(),
                    it.collection.as_str(),
                    it.name.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("ACTION_REUSE", "ikePolicies", "backends/a/ikePolicies/7"),
                ("ACTION_CREATE", "peerEndpoints", ""),
                ("ACTION_DELETE", "connections", "backends/a/connections/8"),
            ]
        );
        assert_eq!(said[1].fields, ["peer.address"]);
        assert!(!format!("{said:?}").contains("own"));
    }

    #[test]
    fn every_end_of_a_write_has_its_word() {
        use unfinished_write::State;
        for (state, said) in [
            (UnfinishedState::Settling, State::Settling),
            (UnfinishedState::Finished, State::Finished),
            (UnfinishedState::Undone, State::Undone),
            (UnfinishedState::Abandoned, State::Abandoned),
        ] {
            let told = unfinished(Unfinished {
                state,
                action: Action::Update,
                name: "backends/a/connections/-".to_owned(),
                request_id: "r".to_owned(),
                leftovers: vec!["backends/a/peerEndpoints/p".to_owned()],
                message: "why".to_owned(),
                begin_time: UNIX_EPOCH + Duration::from_secs(1),
                update_time: UNIX_EPOCH + Duration::from_secs(2),
            });
            assert_eq!(told.state(), said);
            assert_eq!(told.action(), planned_step::Action::Update);
            let times = (
                told.begin_time.unwrap().seconds,
                told.update_time.unwrap().seconds,
            );
            assert_eq!(times, (1, 2));
            assert_eq!(told.leftovers, ["backends/a/peerEndpoints/p"]);
        }
    }
}
