//! Reading objects: one, a page, all; and what it means when one is not there.

mod collection;
mod list;
mod one;

pub use collection::{believe_none, probe};
pub use list::{Shown, all, is_safe, list, page, some, those};
pub use one::{absent, get, present, row, unlisted_row};
