//! The result of an apply, or of its dry run, as text for people.

use crate::{
    cli::{
        apply::diff,
        names::short,
        text::{Style, clean},
        write::plan_table,
    },
    grpc::pb::{ApplyConnectionResponse, apply_connection_response},
};

/// One answer, and its context.
pub struct Told<'a> {
    pub backend: &'a str,
    pub display_name: &'a str,
    /// Whether `--wait` follows the connection afterwards.
    pub waits: bool,
    /// What the cloud does only approximately.
    pub warnings: Vec<String>,
    /// The answer of the gateway.
    pub answer: &'a ApplyConnectionResponse,
}

impl Told<'_> {
    /// Formats the result, `created nsx-demo/6fbd…  branch`, and below it how to watch the write.
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

    /// Formats a dry run: the planned steps and the differences.
    pub fn plan(&self, style: Style) -> String {
        use apply_connection_response::Result;
        let (name, display_name) = (style.bold(&self.name()), self.display_name);
        let head = match self.answer.result() {
            Result::Created => format!("{name}: {display_name} would be created"),
            Result::Unchanged => format!("{name}: {display_name} matches already"),
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

    /// Returns the short name of the connection, or its backend if it does not exist yet.
    fn name(&self) -> String {
        let name = self.answer.connection.as_ref().map(|it| it.name.as_str());
        match name.unwrap_or_default() {
            "" => self.backend.to_owned(),
            name => clean(&short(name)),
        }
    }
}
