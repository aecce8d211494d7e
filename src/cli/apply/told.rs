//! What became of a connection, or would, for people.

use crate::{
    cli::{
        apply::diff,
        names::short,
        text::{Style, clean},
        write::plan_table,
    },
    grpc::pb::{ApplyConnectionResponse, apply_connection_response},
};

/// What is told of one answer.
pub struct Told<'a> {
    /// Where.
    pub backend: &'a str,
    /// What the connection is called for people.
    pub display_name: &'a str,
    /// Whether it is followed afterwards.
    pub waits: bool,
    /// What the cloud does only approximately.
    pub warnings: Vec<String>,
    /// What the gateway says.
    pub answer: &'a ApplyConnectionResponse,
}

impl Told<'_> {
    /// `created nsx-demo/6fbd…  branch`, and beneath it how that goes on.
    pub fn result(&self, style: Style) -> String {
        use apply_connection_response::Result;
        let word = match self.answer.result() {
            Result::Created => "created",
            Result::Changed => "changed",
            Result::Unchanged => "unchanged",
            Result::Unspecified => "applied",
        };
        let name = self.name();
        let mut lines = vec![format!(
            "{}  {name}  {}",
            style.bold(&format!("{word:<9}")),
            self.display_name
        )];
        lines.extend(self.warnings.iter().map(|line| format!("  {line}")));
        let token = clean(&self.answer.write_token);
        if !token.is_empty() && !self.waits {
            lines.push(format!(
                "  how it ends: isthmus watch {name} --write-token {token}"
            ));
        }
        lines.join("\n")
    }

    /// What would be done, and what would differ.
    pub fn plan(&self, style: Style) -> String {
        use apply_connection_response::Result;
        let (name, display_name) = (style.bold(&self.name()), self.display_name);
        let head = match self.answer.result() {
            Result::Created => format!("{name}: {display_name} would be created"),
            Result::Unchanged => format!("{name}: {display_name} is so already"),
            _ => format!("{name}: {display_name} would be changed"),
        };
        let mut lines = vec![format!("{head}; nothing was done")];
        if self.answer.result() != Result::Unchanged {
            let taken = self.answer.taken.clone().unwrap_or_default();
            let before = self.answer.before.as_ref();
            lines.extend(diff::lines(before, &taken, &self.answer.plan, style));
            if !self.answer.plan.is_empty() {
                lines.push(plan_table(&self.answer.plan, style));
            }
        }
        lines.extend(self.warnings.iter().cloned());
        lines.join("\n")
    }

    /// The connection; where it is not there yet its backend.
    fn name(&self) -> String {
        let name = self.answer.connection.as_ref().map(|it| it.name.as_str());
        match name.unwrap_or_default() {
            "" => self.backend.to_owned(),
            name => clean(&short(name)),
        }
    }
}
