//! `/state` answers that the simulated nodes would not give by themselves.

use serde_json::{Map, Value, json};

/// A `/state` answer in place of the true one. Values that are `None` or empty are left out.
#[derive(Clone, Debug, Default)]
pub struct ForcedState {
    /// `state`, any text.
    pub state: Option<String>,
    /// `failure_code`.
    pub failure_code: Option<i64>,
    /// `failure_message`.
    pub failure_message: Option<String>,
    /// Contents of `details`.
    pub details: ForcedDetails,
}

/// The `details` of a forced answer.
#[derive(Clone, Debug, Default)]
pub enum ForcedDetails {
    /// None, as when no node of the central control plane answers.
    #[default]
    Absent,
    /// The true state of each node.
    True,
    /// This value, verbatim.
    Raw(Value),
}

impl ForcedState {
    /// This overall state, without `details`.
    pub fn whole(state: impl Into<String>) -> Self {
        Self {
            state: Some(state.into()),
            ..Self::default()
        }
    }

    /// `unknown` without `details`, word for word as in the guide.
    pub fn unknown() -> Self {
        Self {
            failure_message: Some(NO_CCP_NODE.to_owned()),
            ..Self::whole("unknown")
        }
    }

    /// Adds the true state of each node.
    pub fn with_true_details(mut self) -> Self {
        self.details = ForcedDetails::True;
        self
    }

    /// Adds a failure code and message.
    pub fn failing(mut self, code: i64, message: impl Into<String>) -> Self {
        self.failure_code = Some(code);
        self.failure_message = Some(message.into());
        self
    }

    /// The `IPSecVPNSessionState` to send.
    pub(crate) fn answer(&self, true_details: Vec<Value>) -> Value {
        let mut answer = Map::new();
        match &self.details {
            ForcedDetails::Absent => {}
            ForcedDetails::True => {
                answer.insert("details".to_owned(), Value::Array(true_details));
            }
            ForcedDetails::Raw(value) => {
                answer.insert("details".to_owned(), value.clone());
            }
        }
        let mut say = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                answer.insert(key.to_owned(), value);
            }
        };
        say("state", self.state.as_ref().map(|state| json!(state)));
        say("failure_code", self.failure_code.map(|code| json!(code)));
        say(
            "failure_message",
            self.failure_message.as_ref().map(|message| json!(message)),
        );
        Value::Object(answer)
    }
}

const NO_CCP_NODE: &str =
    "Unable to get response from any CCP node. Please retry operation after some time.";
