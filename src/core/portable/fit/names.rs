//! Gives parts without a name the connection's name, where a cloud requires one.

use crate::{
    core::{
        dialect::Capabilities,
        portable::fit::fitted::{Fitted, path},
    },
    model::{Field, ResourceField as F},
};

pub fn fit(fitted: &mut Fitted, capabilities: &Capabilities) {
    let name = fitted.wanted.spec.display_name.clone();
    let mut named = Vec::new();
    for (kind, part) in &mut fitted.wanted.parts {
        let Some(takes) = capabilities.takes(*kind) else {
            continue;
        };
        let (least, most) = (*takes.display_name.start(), *takes.display_name.end());
        if part.display_name.is_empty() && least > 0 && !name.is_empty() {
            // If the name is too long, the check of the connection's name reports it.
            part.display_name = name.chars().take(most).collect();
            named.push(path(*kind, F::DisplayName));
        }
    }
    for path in named {
        fitted.made_of(path, Field::DisplayName.path());
    }
}
