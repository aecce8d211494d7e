//! Keys that no file says: asked for once, before anything is written, and only where one is needed.

use crate::cli::failure;
use secrecy::SecretString;
use std::io::{self, IsTerminal};
use tonic::Status;

/// Asks somebody for a key; `None` where nobody is there to be asked.
pub type Ask<'a> = &'a mut dyn FnMut(&str) -> io::Result<Option<SecretString>>;

/// The field of a request in which a key is missed.
const FIELD: &str = "connection.peer.psk";

/// Whether what the gateway misses is the key.
pub fn is_missed(status: &Status) -> bool {
    let fields = failure::fields_at_fault(status);
    fields.iter().any(|field| field == FIELD)
}

/// Asks on the terminal, which does not show what is typed. Nobody is asked where standard error is no terminal.
///
/// # Errors
/// If the terminal cannot be read.
pub fn on_terminal(what: &str) -> io::Result<Option<SecretString>> {
    if !io::stderr().is_terminal() {
        return Ok(None);
    }
    let typed = rpassword::prompt_password(format!("{what}: "))?;
    Ok(Some(SecretString::from(typed)))
}
