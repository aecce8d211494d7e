//! `check-config`, and the reading of a configuration that `serve` begins with.

use crate::{
    cli::exit::Exit,
    config::{Config, Problems, Process},
    core::{dialect::Dialect, settings::BackendSettings},
    dialects,
};
use std::{path::Path, sync::Arc};

/// Each backend with the dialect that is bound to it.
pub type Backends = Vec<(BackendSettings, Arc<dyn Dialect>)>;

/// Says what is wrong with a configuration, or that nothing is; what works and is dangerous, too.
pub fn run(file: &Path) -> Exit {
    match read(file) {
        Ok((config, _)) => {
            let names = config.backends.iter().map(|backend| backend.name.as_str());
            let names: Vec<&str> = names.collect();
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

/// Reads the configuration and binds a dialect to each backend, which sends nothing.
///
/// # Errors
/// Everything that is wrong, in the file's own terms and in the dialects'.
pub fn read(file: &Path) -> Result<(Config, Backends), Problems> {
    let mut backends = Vec::new();
    let config = Config::load(
        file,
        &Process,
        &mut |settings| match dialects::connect(settings) {
            Ok(dialect) => {
                backends.push((settings.clone(), dialect));
                Vec::new()
            }
            Err(violations) => violations,
        },
    )?;
    Ok((config, backends))
}
