//! The faults of the table, in the order of its columns.

use bytes::Bytes;
use http::StatusCode;
use isthmus::simulator::faults::{Answer, Fault, Foreign404, Gate};
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};

/// What the clouds of these tests say when they refuse: to be found in the error, without the key.
pub const WORDS: &str = "as the cloud itself says";
/// Stands behind those words and must not come out.
pub const CANARY: &str = "untold.77b2e1";

/// How long a cloud goes on behind a proxy that answered 503: longer than the pause that 503 asks for, so that the
/// first look for what was done comes before it, and shorter than the gateway looks.
const GOES_ON: Duration = Duration::from_millis(1300);

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The NSX Manager API.
    Nsx,
    /// Neutron, or a cloud that descends from it.
    Openstack,
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Handled, but its answer does not come before the deadline.
    Late,
    /// The connection is refused.
    Refused,
    /// Reset before the request is read.
    Reset,
    /// Handled; then the connection is closed without a word.
    Lost,
    /// Handled; the answer breaks off in the middle.
    Cut,
    /// 200 and a JSON array that never ends.
    Endless,
    /// Bytes that are no HTTP.
    Garbage,
    /// 502 with a page of HTML.
    Html,
    /// 200 with another content type: a page of HTML, as from a captive portal.
    Type,
    /// 200 with 10,000 levels of JSON.
    Deep,
    /// 200 with 50 MB of JSON.
    Big,
    /// 401.
    S401,
    /// 403, as this cloud says it.
    S403,
    /// 429 that does not say how long.
    S429,
    /// 429 with `Retry-After: 1`.
    S429After,
    /// 500, as this cloud says it.
    S500,
    /// 503 twice, as this cloud says it; under a watch, again and again.
    S503,
    /// 503 with a page of HTML, once, before anything is done: a proxy that has no cloud to ask.
    Page503,
    /// Handled; then 503 with the same page, once: a proxy that has lost the cloud it asked.
    Done503,
    /// 503 with the same page, once, and handled a while after it: the cloud goes on behind the proxy.
    Goes503,
    /// 307 to another host.
    Redirect,
    /// 404 from something that does not know.
    Foreign(Foreign404),
    /// Reset before the request is read, and then somebody else changes another field of the same object.
    ResetEdited,
    /// Handled; then the connection is closed without a word, and somebody else changes another field.
    LostEdited,
}

/// Answers that are lost while somebody else is at work on the same object, by their heads in the tables of
/// `faults/edited.rs`.
pub const EDITED: [(&str, Column); 2] =
    [("reset", Column::ResetEdited), ("lost", Column::LostEdited)];

/// The 404s that prove nothing, by their heads in the tables of `faults/foreign.rs`: of each kind one. The suite of
/// `tests/conformance.rs` tries every shape.
pub const FOREIGN: [(&str, Column); 4] = [
    ("gateway", Column::Foreign(Foreign404::Gateway)),
    ("html", Column::Foreign(Foreign404::Html)),
    ("neutron", Column::Foreign(Foreign404::NeutronOther)),
    ("nsx", Column::Foreign(Foreign404::NsxOther)),
];

/// All of them, by their heads in the table.
pub const COLUMNS: [(&str, Column); 21] = [
    ("late", Column::Late),
    ("refused", Column::Refused),
    ("reset", Column::Reset),
    ("lost", Column::Lost),
    ("cut", Column::Cut),
    ("endless", Column::Endless),
    ("garbage", Column::Garbage),
    ("502html", Column::Html),
    ("type", Column::Type),
    ("deep", Column::Deep),
    ("50MB", Column::Big),
    ("401", Column::S401),
    ("403", Column::S403),
    ("429", Column::S429),
    ("429after", Column::S429After),
    ("500", Column::S500),
    ("503", Column::S503),
    ("503page", Column::Page503),
    ("503done", Column::Done503),
    ("503goes", Column::Goes503),
    ("307", Column::Redirect),
];

/// Made once: every cell shares its bytes.
static BIG: LazyLock<Answer> = LazyLock::new(|| Answer::big_json(50));
static DEEP: LazyLock<Answer> = LazyLock::new(|| Answer::deep_json(10_000));

/// Makes what is slow to make before any cell waits for it.
pub fn prepare() {
    LazyLock::force(&BIG);
    LazyLock::force(&DEEP);
}

impl Column {
    /// What the simulator does; `None` for the one that is done to its listener.
    ///
    /// `elsewhere` is an address that must never be asked.
    pub fn fault(self, dialect: Dialect, elsewhere: &str) -> Option<Fault> {
        let says = |status: u16| says(dialect, status);
        Some(match self {
            Column::Refused => return None,
            Column::Late => Fault::HoldAnswer(Gate::default()),
            Column::Reset | Column::ResetEdited => Fault::CutBeforeHandling,
            Column::Lost | Column::LostEdited => Fault::CutAfterHandling,
            Column::Cut => Fault::TruncateBody,
            Column::Endless => Fault::EndlessBody,
            Column::Garbage => Fault::Garbage,
            Column::Html => Fault::Answer(Answer::html_bad_gateway()),
            Column::Type => {
                let page = Bytes::from_static(b"<html><body>Please accept our terms</body></html>");
                Fault::Answer(Answer::text(StatusCode::OK, "text/html", page))
            }
            Column::Deep => Fault::Answer(DEEP.clone()),
            Column::Big => Fault::Answer(BIG.clone()),
            Column::S401 => Fault::Answer(says(401)),
            Column::S403 => Fault::Answer(says(403)),
            Column::S429 => Fault::Answer(says(429)),
            Column::S429After => Fault::Answer(says(429).retry_after(1)),
            Column::S500 => Fault::Answer(says(500)),
            Column::S503 => Fault::Answer(says(503)),
            Column::Page503 => Fault::Answer(Answer::html_unavailable()),
            Column::Done503 => Fault::AnswerAfterHandling(Answer::html_unavailable()),
            Column::Goes503 => Fault::AnswerMeanwhile(Answer::html_unavailable(), GOES_ON),
            Column::Redirect => Fault::Answer(Answer::redirect(elsewhere)),
            Column::Foreign(shape) => Fault::Foreign404(shape),
        })
    }

    /// What the first such request meets before: somebody else's change comes when it has been handled and its answer is
    /// still to be lost, or, where it will not be handled at all, before it is reset.
    pub fn waits_for_an_edit(self, edited: &Gate) -> Option<Fault> {
        match self {
            Column::ResetEdited => Some(Fault::Hold(edited.clone())),
            Column::LostEdited => Some(Fault::HoldAnswer(edited.clone())),
            _ => None,
        }
    }

    /// The status that an error must carry, if the fault is an answer with one.
    pub fn status(self) -> Option<u16> {
        Some(match self {
            Column::Html => 502,
            Column::S401 => 401,
            Column::S403 => 403,
            Column::S429 | Column::S429After => 429,
            Column::S500 => 500,
            Column::S503 | Column::Page503 | Column::Done503 | Column::Goes503 => 503,
            Column::Redirect => 307,
            _ => return None,
        })
    }

    /// Whether the answer has [`WORDS`].
    pub fn has_words(self) -> bool {
        let is_page = matches!(
            self,
            Column::Html | Column::Redirect | Column::Page503 | Column::Done503 | Column::Goes503
        );
        self.status().is_some() && !is_page
    }
}

/// A refusal as the cloud words it. The message quotes a key, as Neutron's do.
fn says(dialect: Dialect, status: u16) -> Answer {
    let message = format!("{WORDS}; psk: {CANARY}");
    let body: Value = match dialect {
        Dialect::Nsx => json!({
            "httpStatus": "REFUSED",
            "module_name": "common-services",
            "error_message": message,
            "error_code": match status { 429 => 102, 500 => 607, 503 => 101, other => other },
        }),
        Dialect::Openstack => match status {
            // What stands before Neutron refuses in Keystone's form.
            401 | 429 => {
                json!({ "error": { "code": status, "title": "Refused", "message": message } })
            }
            403 => neutron("PolicyNotAuthorized", &message),
            _ => neutron("HTTPInternalServerError", &message),
        },
    };
    let status = StatusCode::from_u16(status).expect("a status");
    Answer::json(status, &body)
}

fn neutron(kind: &str, message: &str) -> Value {
    json!({ "NeutronError": { "type": kind, "message": message, "detail": "" } })
}
