//! `check-config`, and the reading of the configuration for `serve`.

use crate::{
    cli::exit::Exit,
    config::{Config, Dialects, Problems, Process, Surroundings},
    core::{dialect::Dialect, table::Table},
    dialects,
    rest::https::Https,
};
use std::{path::Path, sync::Arc, time::Duration};

/// A configuration with a dialect bound to each backend.
pub type Bound = Config<Arc<dyn Dialect>>;

/// Binds every dialect of this build, over HTTPS.
struct OverInternet;

impl Dialects for OverInternet {
    type Bound = Arc<dyn Dialect>;

    fn names(&self) -> Vec<&'static str> {
        dialects::ALL.iter().map(|(name, _)| *name).collect()
    }

    fn bind(
        &self,
        dialect: &str,
        table: &mut dyn Table,
        timeout: Duration,
    ) -> Option<Arc<dyn Dialect>> {
        dialects::bind(dialect, table, timeout, &Https)
    }
}

/// Prints the problems of a configuration, or that there are none. Also warns of settings that work but are dangerous.
pub fn run(file: &Path) -> Exit {
    match read(file) {
        Ok(config) => {
            let backends = config.backends.iter();
            let names: Vec<&str> = backends.map(|(backend, _)| backend.name.as_str()).collect();
            let named = file.display().to_string();
            for warning in &config.warnings {
                eprintln!("{}: warning: {}", warning.place(&named), warning.message);
            }
            println!("{named}: nothing is wrong; backends: {}", names.join(", "));
            Exit::Done
        }
        Err(problems) => {
            eprintln!("{problems}");
            Exit::Usage
        }
    }
}

/// Reads the configuration and binds a dialect to each backend. Sends nothing.
///
/// # Errors
/// Every problem, in the terms of the file and of the dialects.
pub fn read(file: &Path) -> Result<Bound, Problems> {
    read_around(file, &Process)
}

/// Like [`read`], with variables and files from `surroundings`.
///
/// # Errors
/// Those of [`read`].
pub fn read_around(file: &Path, surroundings: &dyn Surroundings) -> Result<Bound, Problems> {
    Config::load(file, surroundings, &OverInternet)
}

#[cfg(test)]
mod tests;
