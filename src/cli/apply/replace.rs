//! `--replace`: a connection that cannot be changed is removed and made anew.

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

/// How long a connection may take to be gone, unless told otherwise.
const GOING: Duration = Duration::from_secs(300);

/// A connection that is to be removed and made anew.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// Its full name.
    pub name: String,
    /// What it is called for people.
    pub display_name: &'a str,
    /// What makes it anew: the fields of an apply.
    pub fields: Vec<(String, Value)>,
    /// How that is sent.
    pub sending: &'a SendArgs,
    /// The longest time until it is gone.
    pub patience: Option<Duration>,
}

impl<'a> Replacement<'a> {
    /// Of what a refused apply says; none if it needs none, or does not say of what.
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

    /// Sees whether it could be made, as far as that can be told while it is there.
    ///
    /// # Errors
    /// Why it could not.
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

    /// Removes it, waits until it is gone, and makes it anew.
    ///
    /// # Errors
    /// How the command ends where it is not there anew. If nobody reads any more.
    pub async fn perform(
        self,
        gateway: &Gateway,
        printer: &mut Printer,
    ) -> io::Result<Result<DynamicMessage, Exit>> {
        let name = clean(&short(&self.name));
        eprintln!(
            "isthmus: {name} ({}) is removed and made anew (--replace); its tunnel is down meanwhile",
            clean(self.display_name)
        );
        if let Err(exit) = self.remove(gateway, printer).await? {
            eprintln!("  it is not made anew: nothing but the removal was asked for");
            return Ok(Err(exit));
        }
        let doing = format!("make {} anew", clean(self.display_name));
        // A write of its own: the first was refused under its id.
        let sending = SendArgs {
            request_id: None,
            ..self.sending.clone()
        };
        // As it was tried out. An apply would look for one of the display name, and change another that has it.
        let call = (Kind::Connection, "Create");
        let made = try_send(gateway, call, self.creation(), &sending, &doing).await;
        let answer = match made {
            Ok(answer) => applied(&answer),
            Err(refused) => {
                let exit = failed(&doing, &refused.status, gateway);
                let how = match self.is_named() {
                    true => "the same command makes it anew, without `name` in the file",
                    false => "the same command makes it anew",
                };
                eprintln!(
                    "  {name} WAS REMOVED AND IS NOT THERE ANY MORE. Once the above is mended, {how}."
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

    /// Whether the description says by its name which connection is meant.
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
            // It was gone already.
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

    /// The fields of a call that makes it: the one of that name is not there any more.
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
        // Unless it says otherwise: as an apply has it.
        let reuse = ("reuse".to_owned(), Value::EnumNumber(Reuse::Managed.into()));
        if !fields.iter().any(|(field, _)| field == "reuse") {
            fields.push(reuse);
        }
        fields
    }
}

/// What an apply answers that made the connection.
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
