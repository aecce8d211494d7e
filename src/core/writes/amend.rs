//! Changes an existing connection to match a description: its parts first, then the connection itself.
//!
//! The dialect compares: an update plan has steps only for what differs, so a part or connection whose plan is empty is
//! left alone. What the description does not set stays as it is.
//!
//! ```text
//!   a part differs ──┬─ it is this connection's alone ─────────────────────────► it is changed
//!                    └─ others use it, or the cloud refuses the change ──┬─ the reference can change ──► reuse or create
//!                                                                        └─ it cannot ──► REPLACEMENT_NEEDED
//! ```

use crate::{
    core::{
        dialect::{Action, Call, Mark, Plan, Proof, Step, Warning, Written},
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        etag,
        portable::lacking::lacking,
        references::references,
        resource_check::compared,
        watch::knowledge::WriteKind,
        writes::{
            accepted::{Accepted, Outcome},
            connections::{about, accept},
            desk::{Writes, intent},
            joint::{self, Joint, Part, equal, path},
            removal::Users,
            run::{About, Write},
        },
    },
    model::{
        Authentication, Connection, ConnectionChange, ConnectionName, Field, NewConnection, Psk,
        ResourceChange, ResourceKind, ResourceSpec, Settings,
    },
};
use async_trait::async_trait;

/// Changes an existing connection to match a description.
#[derive(Debug)]
pub struct Amend {
    pub name: ConnectionName,
    /// The connection as it was found.
    pub there: Connection,
    /// The description as fitted to the backend.
    pub wanted: NewConnection,
    /// The change to the connection itself.
    pub change: ConnectionChange,
    /// Warnings about fields that are described but stay as they are.
    pub warnings: Vec<Warning>,
}

#[async_trait]
impl Write for Amend {
    type Left = Written;
    type Answer = Accepted;

    fn about(&self) -> About {
        about(Action::Update, Some(&self.name))
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let mut amendment = Amendment {
            on,
            write: self,
            call,
            change: self.change.clone(),
            mark: Mark::joint(),
            users: None,
            parts: Vec::new(),
            fixed: on.dialect().refuse_to_become(&self.change, &self.there),
        };
        for (kind, spec) in &self.wanted.parts {
            amendment.part(*kind, spec).await?;
        }
        amendment.plan().await
    }

    async fn accept(&self, on: &Writes, mut left: Written, remains: bool) -> Result<Accepted> {
        left.warnings.extend(self.warnings.iter().cloned());
        if left.proof == Proof::Nothing {
            // Nothing was written, so there is nothing to wait for.
            return Ok(Accepted {
                name: Some(self.name.clone()),
                connection: left.connection,
                warnings: left.warnings,
                outcome: Outcome::Unchanged,
                ..Accepted::default()
            });
        }
        let enabled = left.connection.as_ref().and_then(|it| it.admin_enabled);
        accept(on, WriteKind::Update, intent(enabled), left, remains).await
    }

    fn plans_anew(&self) -> bool {
        etag::given(self.change.etag.as_deref()).is_none()
    }

    fn told(&self, error: Error) -> Error {
        let error = match error.reason {
            ErrorReason::ReplacementNeeded => error.resource(self.name.to_string()),
            _ => error.missing(&self.name),
        };
        error.during("changing a connection to what is described")
    }
}

/// An amendment that is being planned.
struct Amendment<'a, 'c> {
    on: &'a Writes,
    write: &'a Amend,
    call: &'c Call,
    /// The change of the connection itself, including its references to parts.
    change: ConnectionChange,
    /// The mark of the parts that are created.
    mark: Mark,
    /// What else uses the existing parts; read once, and only if something differs.
    users: Option<Users>,
    parts: Vec<Part<'a>>,
    /// What only another connection can have.
    fixed: Vec<Violation>,
}

impl<'a> Amendment<'a, '_> {
    /// Plans what becomes of one part.
    async fn part(&mut self, kind: ResourceKind, spec: &'a ResourceSpec) -> Result<()> {
        let fields = compared(self.on.backend().capabilities(), spec);
        if fields.is_empty() {
            return Ok(());
        }
        let every = || fields.iter().map(|field| field.path().to_owned()).collect();
        let mut referred = references(&self.write.there);
        let Some((_, id)) = referred.find(|(it, _)| *it == kind) else {
            let why = "is not what the connection has, which refers to none";
            return self.another(kind, spec, every(), why).await;
        };
        let change = ResourceChange {
            fields: fields.clone(),
            values: spec.clone(),
            etag: None,
        };
        let resources = self.on.dialect().resources();
        let plan = match resources.plan_update(id, change, self.call).await {
            Ok(plan) if plan.steps().is_empty() => return Ok(()),
            Ok(plan) => plan,
            Err(error) if error.kind == ErrorKind::NotExpressible => {
                let fixed = error.within(&path(kind)).context.violations;
                self.fixed.extend(fixed);
                return Ok(());
            }
            Err(error) if matches!(error.reason, ErrorReason::InUse | ErrorReason::NotOwner) => {
                let why = "cannot be changed to this where it is";
                let told = error.context.violations.into_iter().map(|it| it.field);
                let told: Vec<String> = told.collect();
                let differs = if told.is_empty() { every() } else { told };
                return self.another(kind, spec, differs, why).await;
            }
            Err(error) => {
                let error = error.within(&path(kind));
                return Err(error.during(format!("comparing the {}", kind.noun())));
            }
        };
        let steps = plan.steps().iter();
        let differs: Vec<String> = steps.flat_map(|step| step.fields.clone()).collect();
        // Pushed here, and popped below unless the part is this connection's alone.
        self.parts.push(Part::Changed(kind, plan));
        if self.is_alone(kind, id).await? {
            return Ok(());
        }
        self.parts.pop();
        let why = "differs from what is there, which is not this connection's alone";
        self.another(kind, spec, differs, why).await
    }

    /// Reports whether a part was made together with connections and only this connection uses it.
    async fn is_alone(&mut self, kind: ResourceKind, id: &str) -> Result<bool> {
        let resources = self.on.dialect().resources();
        if !resources.get(kind, id, self.call).await?.joint {
            return Ok(false);
        }
        let there = &self.write.there;
        let users = match self.users.take() {
            Some(users) => users,
            None => Users::of(self.on, Some(&there.id), self.call).await?,
        };
        // The connection's local endpoint belongs to its own VPN service. Others that use that endpoint use the service
        // too.
        let own = references(there).map(|(kind, id)| {
            let collection = kind.collection().segment();
            Step::new(Action::Delete, collection, Some(id.to_owned()))
        });
        let is_used = users.use_it(kind, id, &own.collect::<Vec<_>>());
        self.users = Some(users);
        Ok(!is_used)
    }

    /// Makes the connection refer to another part whose `fields` match the description: an equal one that exists, or a
    /// new one. If the reference cannot change, records `fields` as fixed, with `why`.
    async fn another(
        &mut self,
        kind: ResourceKind,
        spec: &ResourceSpec,
        fields: Vec<String>,
        why: &str,
    ) -> Result<()> {
        if !self.can_refer_to_another(kind) {
            let each = fields.iter();
            let each = each.map(|field| Violation::new(format!("{}.{field}", path(kind)), why));
            self.fixed.extend(each);
            return Ok(());
        }
        let spec = self.in_service(spec);
        let found = equal(self.on, kind, &spec, &self.write.wanted, self.call).await;
        if let Some(id) = found.map_err(|error| error.within(&path(kind)))? {
            self.refer_to(kind, id.clone());
            let collection = kind.collection().segment();
            let step = Step::new(Action::Reuse, collection, Some(id));
            self.parts.push(Part::Reused(step));
            return Ok(());
        }
        let resources = self.on.dialect().resources();
        let plan = resources.plan_create(spec, self.mark.clone(), self.call);
        let plan = plan.await.map_err(|error| error.within(&path(kind)))?;
        self.change.made.insert(kind);
        self.parts.push(Part::New(kind, plan));
        Ok(())
    }

    /// Reports whether the connection's reference to a part of this kind can change. Only the dialect knows which
    /// references are derived or fixed at creation, so it is asked with an id that nothing has.
    fn can_refer_to_another(&self, kind: ResourceKind) -> bool {
        let mut probe = ConnectionChange::default();
        let Some(field) = field(kind) else {
            return false;
        };
        if let Some(reference) = joint::reference(&mut probe.values, kind) {
            *reference = Some("another".to_owned());
        }
        probe.fields.insert(field);
        let refused = self
            .on
            .dialect()
            .refuse_to_become(&probe, &self.write.there);
        refused.is_empty()
    }

    fn refer_to(&mut self, kind: ResourceKind, id: String) {
        if let Some(reference) = joint::reference(&mut self.change.values, kind) {
            *reference = Some(id);
        }
        self.change.fields.extend(field(kind));
    }

    /// Returns `spec` with a local endpoint placed in the connection's VPN service, unless it names one.
    fn in_service(&self, spec: &ResourceSpec) -> ResourceSpec {
        let mut spec = spec.clone();
        if let Settings::LocalEndpoint(endpoint) = &mut spec.settings
            && endpoint.vpn_service.is_none()
        {
            endpoint
                .vpn_service
                .clone_from(&self.write.there.vpn_service);
        }
        spec
    }

    /// Plans the parts, then the connection.
    ///
    /// # Errors
    /// `ReplacementNeeded` with everything that only another connection can have.
    async fn plan(mut self) -> Result<Box<dyn Plan<Written> + 'a>> {
        let (dialect, change) = (self.on.dialect(), self.change.clone());
        let own = dialect.plan_update(&self.write.there.id, change, self.call);
        let refused = match own.await {
            Ok(own) if self.fixed.is_empty() => {
                return Ok(Box::new(Joint::new(self.parts, own)));
            }
            Ok(_) => Vec::new(),
            Err(error) if error.kind == ErrorKind::NotExpressible => error.context.violations,
            Err(error) => return Err(error),
        };
        for violation in refused {
            if self.fixed.iter().all(|it| it.field != violation.field) {
                self.fixed.push(violation);
            }
        }
        self.parts.clear();
        Err(self.refused().await)
    }

    /// Returns the error for what the connection cannot become. If a new connection could not be made that way either,
    /// the error is `NotExpressible` instead of `ReplacementNeeded`, so that no caller removes a tunnel in vain.
    async fn refused(self) -> Error {
        let mut wanted = self.write.wanted.clone();
        let stand_in = || Authentication::Psk(Psk::new("stands-in-for-a-key"));
        wanted.spec.authentication.get_or_insert_with(stand_in);
        let refused = self.on.dialect().refuse_create(&wanted);
        if !refused.is_empty() || !lacking(&wanted).is_empty() {
            // The description leaves out what a new connection requires.
            return Error::replacement_needed(self.fixed);
        }
        let planned = joint::plan(self.on, &wanted, self.call).await;
        let error = planned.err();
        let error = error.filter(|error| error.kind == ErrorKind::NotExpressible);
        let of_new = error.map(|error| error.context.violations);
        let is_fixed = |it: &Violation| self.fixed.iter().any(|fixed| fixed.field == it.field);
        let same: Vec<_> = of_new.into_iter().flatten().filter(is_fixed).collect();
        match same.is_empty() {
            true => Error::replacement_needed(self.fixed),
            false => Error::not_expressible(same),
        }
    }
}

/// Returns the field that refers to a part of this kind.
fn field(kind: ResourceKind) -> Option<Field> {
    let mut all = Field::ALL.into_iter();
    all.find(|field| field.refers_to() == Some(kind))
}
