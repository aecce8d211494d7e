//! `apply`: creates or changes connections to match a file, on every backend that it names.

pub mod diff;
pub mod keys;
mod replace;
mod told;

use crate::{
    cli::{
        apply::{keys::Ask, replace::Replacement, told::Told},
        exit::Exit,
        failure,
        follow::{self, Followed},
        gateway::{Gateway, Printer},
        kinds::Kind,
        names::short,
        question::{ApplyArgs, AttachedArgs, SendArgs, WantedArgs},
        repeat::{Refused, try_send},
        show::{failed, misused},
        site::{Site, attachment::Attachment},
        text::clean,
        write::{only_backend, warnings},
    },
    grpc::pb::ApplyConnectionResponse,
};
use prost_reflect::{DynamicMessage, Value};
use std::{io, time::Duration};
use tonic::Status;

/// The default timeout of each write.
const ANSWER: Duration = Duration::from_secs(60);

/// The default timeout of `--wait`, for all connections together.
const PLACE: Duration = Duration::from_secs(300);

/// Applies every connection of a file. Asks on the terminal for keys that the file does not give.
///
/// # Errors
/// If the output cannot be written.
pub async fn apply(gateway: &Gateway, args: &ApplyArgs, printer: &mut Printer) -> io::Result<Exit> {
    apply_asking(gateway, args, printer, &mut keys::on_terminal).await
}

/// Like [`apply`], with `ask` as the source of missing keys.
///
/// # Errors
/// If the output cannot be written, or `ask` fails.
pub async fn apply_asking(
    gateway: &Gateway,
    args: &ApplyArgs,
    printer: &mut Printer,
    ask: Ask<'_>,
) -> io::Result<Exit> {
    if let Err(exit) = follow::is_reachable(args.wait) {
        return Ok(exit);
    }
    let sites = match Site::read_all(&args.file) {
        Ok(sites) => sites,
        Err(why) => return Ok(misused(&why)),
    };
    let targets = match targets(gateway, &sites, args).await {
        Ok(targets) => targets,
        Err(exit) => return Ok(exit),
    };
    let mut apply = Apply {
        gateway,
        args,
        sites,
        sending: SendArgs {
            dry_run: args.dry_run,
            request_id: args.request_id.clone(),
            timeout: args.timeout.unwrap_or(ANSWER),
        },
        attached: Attachment::from(&args.attached),
    };
    if let Err(exit) = apply.complete(&targets, ask).await? {
        return Ok(exit);
    }
    let (mut exit, followed) = apply.each(&targets, printer).await?;
    if args.wait.is_some() && !followed.is_empty() {
        printer.aside("")?;
        exit = exit.worst(follow::all(gateway, &followed, &wanted(args), printer).await?);
    }
    Ok(exit)
}

fn wanted(args: &ApplyArgs) -> WantedArgs {
    WantedArgs {
        goal: args.wait,
        accept_partial: args.accept_partial,
        accept_assumed: args.accept_assumed,
        timeout: Some(args.timeout.unwrap_or(PLACE)),
        ..WantedArgs::default()
    }
}

/// One document on one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    /// The index of the document.
    site: usize,
    backend: String,
}

/// Returns which documents are applied on which backends, in the order of the file.
async fn targets(gateway: &Gateway, sites: &[Site], args: &ApplyArgs) -> Result<Vec<Target>, Exit> {
    let given = args.backend.as_deref();
    let given = given.map(|name| name.strip_prefix("backends/").unwrap_or(name));
    if let Some(given) = given.filter(|it| it.is_empty() || *it == "-" || it.contains('/')) {
        return Err(misused(&format!("{given:?} is not the name of a backend")));
    }
    let mut targets = Vec::new();
    for (site, described) in sites.iter().enumerate() {
        let backends: Vec<String> = match (given, &described.backends()[..]) {
            (Some(given), _) => vec![given.to_owned()],
            (None, []) => vec![only(gateway, described).await?],
            (None, backends) => backends.iter().map(|it| (*it).to_owned()).collect(),
        };
        targets.extend(backends.into_iter().map(|backend| Target { site, backend }));
    }
    match wrong(sites, &targets, args) {
        Some(why) => Err(misused(&why)),
        None => Ok(targets),
    }
}

/// Returns the only backend of the gateway, for a document that names none.
async fn only(gateway: &Gateway, site: &Site) -> Result<String, Exit> {
    match only_backend(gateway).await {
        Ok(Ok(parent)) => Ok(short(&parent)),
        Ok(Err(why)) => {
            let place = site.place();
            Err(misused(&format!("{place} has no `backends`: {why}")))
        }
        Err(status) => Err(failed("list the backends", &status, gateway)),
    }
}

/// Returns why these documents cannot be applied on these backends, or `None` if they can.
fn wrong(sites: &[Site], targets: &[Target], args: &ApplyArgs) -> Option<String> {
    let several = targets.iter().any(|it| it.backend != targets[0].backend);
    if several && args.attached != AttachedArgs::default() {
        let why = "--router, --subnet, --local-address and --availability-zone are of one backend";
        return Some(format!("{why}; say which: isthmus apply -f FILE BACKEND"));
    }
    if targets.len() > 1 && args.request_id.is_some() {
        let why = "--request-id is of one write, and this is";
        return Some(format!("{why} {} of them", targets.len()));
    }
    for (at, target) in targets.iter().enumerate() {
        let site = &sites[target.site];
        let same = |other: &&Target| {
            let other_site = &sites[other.site];
            other.backend == target.backend
                && other_site.name_on(&other.backend) == site.name_on(&target.backend)
                && other_site.display_name() == site.display_name()
        };
        if let Some(other) = targets[..at].iter().find(same) {
            return Some(format!(
                "{} describes {} on {}, and so does {}",
                site.place(),
                site.display_name(),
                target.backend,
                sites[other.site].place()
            ));
        }
    }
    None
}

/// One run of the command.
struct Apply<'a> {
    gateway: &'a Gateway,
    args: &'a ApplyArgs,
    sites: Vec<Site>,
    sending: SendArgs,
    attached: Attachment,
}

impl Apply<'_> {
    /// Checks that every request can be built before the first is sent, and asks for the keys that are needed.
    async fn complete(&mut self, targets: &[Target], ask: Ask<'_>) -> io::Result<Result<(), Exit>> {
        let wrong = targets.iter().filter_map(|it| self.fields(it).err());
        let wrong: Vec<String> = wrong.collect();
        if !wrong.is_empty() {
            return Ok(Err(misused(&wrong.join("\n"))));
        }
        for target in targets {
            if self.sites[target.site].has_key() || !self.misses_key(target).await {
                continue;
            }
            let site = &mut self.sites[target.site];
            let what = format!("pre-shared key of {}", clean(&site.display_name()));
            match ask(&what)? {
                Some(key) => site.give_key(key),
                None => {
                    return Ok(Err(misused(&format!(
                        "{}: a key is needed on {}: give it as `pskEnv` or `pskFile` in `peer`, or on a terminal",
                        site.place(),
                        target.backend
                    ))));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Reports whether a dry run of this target fails for lack of a key. All other errors are left for the apply itself
    /// to report.
    async fn misses_key(&self, target: &Target) -> bool {
        if self.args.write_key {
            return true;
        }
        let Ok(fields) = self.fields(target) else {
            return false;
        };
        let sending = SendArgs {
            dry_run: true,
            request_id: None,
            ..self.sending.clone()
        };
        let call = (Kind::Connection, "Apply");
        let tried = try_send(self.gateway, call, fields.clone(), &sending, "try it out").await;
        let Err(Refused { status, .. }) = tried else {
            return false;
        };
        let replaced = match self.args.replace {
            true => Replacement::of(&status, &fields, "", &sending, None),
            false => None,
        };
        match replaced {
            Some(replacement) => {
                let tried = replacement.try_out(self.gateway).await;
                tried.is_err_and(|status| keys::is_missed(&status))
            }
            None => keys::is_missed(&status),
        }
    }

    fn fields(&self, target: &Target) -> Result<Vec<(String, Value)>, String> {
        let site = &self.sites[target.site];
        let mut fields = site.request(&target.backend, &self.attached)?;
        if self.args.write_key {
            fields.push(("write_key".to_owned(), Value::Bool(true)));
        }
        Ok(fields)
    }

    /// Applies the targets one after the other. A refused target is reported, and the rest are applied all the same; if
    /// the gateway cannot be reached, the rest are skipped.
    async fn each(
        &self,
        targets: &[Target],
        printer: &mut Printer,
    ) -> io::Result<(Exit, Vec<Followed>)> {
        let mut exit = Exit::Done;
        let mut followed = Vec::new();
        for (at, target) in targets.iter().enumerate() {
            if self.args.dry_run && at > 0 {
                printer.aside("")?;
            }
            match self.one(target, printer).await? {
                Ok(answer) => {
                    self.print(target, &answer, printer)?;
                    followed.push(self.followed(target, &answer));
                }
                Err((worse, lost)) => {
                    exit = exit.worst(worse);
                    let left = targets.len() - at - 1;
                    if lost && left > 0 {
                        eprintln!("isthmus: {left} more were not asked for");
                        break;
                    }
                }
            }
        }
        Ok((exit, followed))
    }

    /// Applies one target. The error holds the exit code, and whether the gateway is out of reach.
    async fn one(
        &self,
        target: &Target,
        printer: &mut Printer,
    ) -> io::Result<Result<DynamicMessage, (Exit, bool)>> {
        let display_name = self.sites[target.site].display_name();
        let doing = format!("apply {} on {}", clean(&display_name), target.backend);
        // `complete` has already built all of them.
        let fields = match self.fields(target) {
            Ok(fields) => fields,
            Err(why) => return Ok(Err((misused(&why), false))),
        };
        let call = (Kind::Connection, "Apply");
        let sent = try_send(self.gateway, call, fields.clone(), &self.sending, &doing).await;
        let refused = match sent {
            Ok(answer) => return Ok(Ok(answer)),
            Err(refused) => refused,
        };
        let patience = self.args.timeout;
        let replacement = match self.args.replace {
            true => {
                let status = &refused.status;
                Replacement::of(status, &fields, &display_name, &self.sending, patience)
            }
            false => None,
        };
        let Some(replacement) = replacement else {
            return Ok(Err(self.told(&doing, &refused)));
        };
        if let Err(status) = replacement.try_out(self.gateway).await {
            self.told(&doing, &refused);
            let doing = format!("make {} anew, so it is left as it is", clean(&display_name));
            return Ok(Err((
                failed(&doing, &status, self.gateway),
                is_lost(&status),
            )));
        }
        let made = replacement.perform(self.gateway, printer).await?;
        Ok(made.map_err(|exit| (exit, false)))
    }

    fn told(&self, doing: &str, refused: &Refused) -> (Exit, bool) {
        let exit = failed(doing, &refused.status, self.gateway);
        match &refused.unknown {
            Some(id) if self.args.request_id.is_some() => {
                eprintln!(
                    "  to go on with it: the same command with --request-id {}",
                    clean(id)
                );
            }
            Some(_) => eprintln!("  to go on with it: the same command"),
            None => {}
        }
        (exit, is_lost(&refused.status))
    }

    fn print(
        &self,
        target: &Target,
        answer: &DynamicMessage,
        printer: &mut Printer,
    ) -> io::Result<()> {
        let typed: ApplyConnectionResponse = answer.transcode_to().unwrap_or_default();
        let display_name = self.sites[target.site].display_name();
        let what = Told {
            backend: &target.backend,
            display_name: &clean(&display_name),
            waits: self.args.wait.is_some(),
            warnings: warnings(answer),
            answer: &typed,
        };
        let dry_run = self.args.dry_run;
        printer.message(
            "ApplyConnectionResponse",
            answer,
            |_, style| match dry_run {
                true => what.plan(style),
                false => what.result(style),
            },
        )
    }

    fn followed(&self, target: &Target, answer: &DynamicMessage) -> Followed {
        let answer: ApplyConnectionResponse = answer.transcode_to().unwrap_or_default();
        Followed {
            name: answer.connection.unwrap_or_default().name,
            display_name: self.sites[target.site].display_name(),
            write_token: answer.write_token,
        }
    }
}

/// Reports whether the gateway is out of reach, so that further calls are pointless.
fn is_lost(status: &Status) -> bool {
    failure::is_unexplained(status)
}
