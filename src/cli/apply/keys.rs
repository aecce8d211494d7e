//! Keys that a file does not give. The command asks for each once, before anything is written, and only if it is
//! needed.

use crate::cli::failure;
use secrecy::SecretString;
use std::io::{self, IsTerminal};
use tonic::Status;

/// Asks for a key. Returns `None` if there is nobody to ask.
pub type Ask<'a> = &'a mut dyn FnMut(&str) -> io::Result<Option<SecretString>>;

/// The request field that a refusal names if the key is missing.
const FIELD: &str = "connection.peer.psk";

/// Reports whether the gateway refused a request for lack of a key.
pub fn is_missed(status: &Status) -> bool {
    let fields = failure::fields_at_fault(status);
    fields.iter().any(|field| field == FIELD)
}

/// Asks on the terminal, without echo. Returns `None` if standard error is not a terminal.
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
