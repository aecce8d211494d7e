//! Names of parts that have none, where a cloud wants one: the connection's.

use crate::{
    core::{
        dialect::Capabilities,
        portable::fit::fitted::{Fitted, path},
    },
    model::{Field, ResourceField as F},
};

/// Names the parts.
pub fn fit(fitted: &mut Fitted, capabilities: &Capabilities) {
    let name = fitted.wanted.spec.display_name.clone();
    let mut named = Vec::new();
    for (kind, part) in &mut fitted.wanted.parts {
        let Some(takes) = capabilities.takes(*kind) else {
            continue;
        };
        let (least, most) = (*takes.display_name.start(), *takes.display_name.end());
        if part.display_name.is_empty() && least > 0 && !name.is_empty() {
            // A name that is too long is told of the connection.
            part.display_name = name.chars().take(most).collect();
            named.push(path(*kind, F::DisplayName));
        }
    }
    for path in named {
        fitted.made_of(path, Field::DisplayName.path());
    }
}
