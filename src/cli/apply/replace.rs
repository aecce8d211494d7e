//! `--replace`: removes a connection that cannot be changed to match, and creates it again.

use crate::{
    cli::{
        exit::Exit,
        failure,
        follow::{self, Followed},
        gateway::{Gateway, Printer},
        json,
        kinds::Kind,
        names::short,
        question::{GoalArg, SendArgs, WantedArgs},
        repeat::{send, try_send},
        show::failed,
        text::clean,
    },
    grpc::pb::{
        ApplyConnectionResponse, CreateConnectionResponse, DeleteConnectionResponse, Reuse,
        apply_connection_response,
    },
};
use prost_reflect::{DynamicMessage, Value};
use std::{io, time::Duration};
use tonic::Status;

/// The default timeout of the removal.
const GOING: Duration = Duration::from_secs(300);

/// A connection to remove and create again.
#[derive(Debug)]
pub struct Replacement<'a> {
    pub name: String,
    pub display_name: &'a str,
    /// The fields of the apply that was refused.
    pub fields: Vec<(String, Value)>,
    /// The options of each write.
    pub sending: &'a SendArgs,
    /// The timeout of the removal, or `None` for the default.
    pub patience: Option<Duration>,
}

impl<'a> Replacement<'a> {
    /// Makes a replacement from a refused apply. Returns `None` if the refusal is not REPLACEMENT_NEEDED, or does not
    /// name the connection.
    pub fn of(
        status: &Status,
        fields: &[(String, Value)],
        display_name: &'a str,
        sending: &'a SendArgs,
        patience: Option<Duration>,
    ) -> Option<Replacement<'a>> {
        if !failure::is(status, "REPLACEMENT_NEEDED") {
            return None;
        }
        Some(Replacement {
            name: failure::resource(status)?,
            display_name,
            fields: fields.to_vec(),
            sending,
            patience,
        })
    }

    /// Tries the create as a dry run, as far as it can be checked while the connection exists.
    ///
    /// # Errors
    /// Why the create would fail.
    pub async fn try_out(&self, gateway: &Gateway) -> Result<(), Status> {
        let sending = SendArgs {
            dry_run: true,
            request_id: None,
            timeout: self.sending.timeout,
        };
        let fields = self.creation();
        let call = (Kind::Connection, "Create");
        let tried = try_send(gateway, call, fields, &sending, "try it out").await;
        tried.map(|_| ()).map_err(|refused| refused.status)
    }

    /// Removes the connection, waits until it is gone, and creates it again.
    ///
    /// # Errors
    /// If the output cannot be written. The inner error is the exit code if the connection was not created again.
    pub async fn perform(
        self,
        gateway: &Gateway,
        printer: &mut Printer,
    ) -> io::Result<Result<DynamicMessage, Exit>> {
        let name = clean(&short(&self.name));
        eprintln!(
            "isthmus: {name} ({}) is removed and created again (--replace); its tunnel is down meanwhile",
            clean(self.display_name)
        );
        if let Err(exit) = self.remove(gateway, printer).await? {
            eprintln!("  it is not created again: only the removal was requested");
            return Ok(Err(exit));
        }
        let doing = format!("make {} anew", clean(self.display_name));
        // A new write without the user's request id: the refused apply had that one.
        let sending = SendArgs {
            request_id: None,
            ..self.sending.clone()
        };
        // Create, as in the dry run. An apply would look the display name up, and could change another connection that
        // has it.
        let call = (Kind::Connection, "Create");
        let made = try_send(gateway, call, self.creation(), &sending, &doing).await;
        let answer = match made {
            Ok(answer) => applied(&answer),
            Err(refused) => {
                let exit = failed(&doing, &refused.status, gateway);
                let how = match self.is_named() {
                    true => "the same command creates it again, without `name` in the file",
                    false => "the same command creates it again",
                };
                eprintln!(
                    "  {name} WAS REMOVED AND NO LONGER EXISTS. Once the problem above is fixed, {how}."
                );
                return Ok(Err(exit));
            }
        };
        if self.is_named() {
            let new = answer.connection.as_ref().map(|it| it.name.as_str());
            eprintln!(
                "isthmus: the file still names {name}, which is gone: put {} in its place, or leave `name` out",
                clean(&short(new.unwrap_or_default()))
            );
        }
        Ok(Ok(json::dynamic("ApplyConnectionResponse", &answer)))
    }

    /// Reports whether the description names the connection by its `name`.
    fn is_named(&self) -> bool {
        let mut fields = self.fields.iter();
        let connection = fields.find(|(field, _)| field == "connection");
        match connection {
            Some((_, Value::Message(connection))) => connection.has_field_by_name("name"),
            _ => false,
        }
    }

    async fn remove(
        &self,
        gateway: &Gateway,
        printer: &mut Printer,
    ) -> io::Result<Result<(), Exit>> {
        let doing = format!("remove {}", self.name);
        let fields = vec![
            ("name".to_owned(), Value::String(self.name.clone())),
            ("allow_missing".to_owned(), Value::Bool(true)),
        ];
        let sending = SendArgs {
            request_id: None,
            ..self.sending.clone()
        };
        let call = (Kind::Connection, "Delete");
        let answer = match send(gateway, call, fields, &sending, &doing).await {
            Ok(answer) => answer,
            Err(exit) => return Ok(Err(exit)),
        };
        let answer: DeleteConnectionResponse = answer.transcode_to().unwrap_or_default();
        if answer.write_token.is_empty() {
            // It was already gone.
            return Ok(Ok(()));
        }
        let followed = Followed {
            name: self.name.clone(),
            display_name: self.display_name.to_owned(),
            write_token: answer.write_token,
        };
        let wanted = WantedArgs {
            goal: Some(GoalArg::Gone),
            timeout: Some(self.patience.unwrap_or(GOING)),
            ..WantedArgs::default()
        };
        Ok(
            match follow::all(gateway, &[followed], &wanted, printer).await? {
                Exit::Done => Ok(()),
                exit => Err(exit),
            },
        )
    }

    /// Returns the fields of the create, without the `name` of the removed connection.
    fn creation(&self) -> Vec<(String, Value)> {
        let mut fields = self.fields.clone();
        for (field, value) in &mut fields {
            if field == "connection"
                && let Value::Message(connection) = value
            {
                connection.clear_field_by_name("name");
            }
        }
        fields.retain(|(field, _)| field != "write_key");
        // The default of an apply, unless the file says otherwise.
        let reuse = ("reuse".to_owned(), Value::EnumNumber(Reuse::Managed.into()));
        if !fields.iter().any(|(field, _)| field == "reuse") {
            fields.push(reuse);
        }
        fields
    }
}

/// Converts the answer of the create to that of an apply.
fn applied(answer: &DynamicMessage) -> ApplyConnectionResponse {
    let made: CreateConnectionResponse = answer.transcode_to().unwrap_or_default();
    ApplyConnectionResponse {
        result: apply_connection_response::Result::Created.into(),
        connection: made.connection,
        write_token: made.write_token,
        warnings: made.warnings,
        ..ApplyConnectionResponse::default()
    }
}
