//! Reading connections: one, a page, all; and what it means when one is not there.

mod collection;
mod list;
mod one;

pub use collection::probe;
pub use list::{Shown, all, list, some};
pub use one::{absent, get, row, unlisted_row};
