//! A cloud in memory that has resources.

use crate::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Done, Mark, NoResources, Page, PageRequest, Plan,
            ResourceCapabilities, Resources, Single, Step, Target, Usage, Warning, Written,
            WrittenResource,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
    },
    model::{
        Attachment, AttachmentKind, Connection, ConnectionChange, Named, NewConnection, Resource,
        ResourceChange, ResourceField, ResourceKind, ResourceSpec, Sighting, TunnelStatistics,
        algorithm::{DhGroup, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm, PrfAlgorithm},
        statistics::{SelectorId, SelectorStatistics, TrafficCounters, TunnelCounters},
        topology::EndpointType,
    },
};
use futures_util::future::BoxFuture;
use serde_json::{Map, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;

/// Capabilities of every kind: these clouds accept everything.
pub static EVERYTHING: [ResourceCapabilities; 6] = [
    takes(ResourceKind::IkePolicy),
    takes(ResourceKind::IpsecPolicy),
    takes(ResourceKind::DpdPolicy),
    takes(ResourceKind::VpnService),
    takes(ResourceKind::LocalEndpoint),
    takes(ResourceKind::EndpointGroup),
];

const fn takes(kind: ResourceKind) -> ResourceCapabilities {
    ResourceCapabilities {
        fields: fields(kind),
        immutable: match kind {
            ResourceKind::VpnService => &[ResourceField::Router],
            _ => &[],
        },
        ike_versions: IkeVersion::ALL,
        encryption: EncryptionAlgorithm::ALL,
        integrity: IntegrityAlgorithm::ALL,
        prf: PrfAlgorithm::ALL,
        dh_groups: DhGroup::ALL,
        endpoint_types: EndpointType::ALL,
        max_algorithms: 2,
        lifetime_seconds: Some(60..=86_400),
        lifetime_kilobytes: true,
        pfs_optional: true,
        ..ResourceCapabilities::nothing(kind)
    }
}

/// All fields but one, which these clouds do not have.
const fn fields(kind: ResourceKind) -> &'static [ResourceField] {
    use ResourceField as F;
    match kind {
        ResourceKind::IkePolicy => &[
            F::DisplayName,
            F::Description,
            F::IkeVersion,
            F::EncryptionAlgorithms,
            F::IntegrityAlgorithms,
            F::PrfAlgorithms,
            F::DhGroups,
            F::Lifetime,
        ],
        ResourceKind::VpnService => &[F::DisplayName, F::Description, F::Router],
        ResourceKind::LocalEndpoint => &[F::DisplayName, F::Description, F::VpnService, F::Address],
        ResourceKind::EndpointGroup => &[
            F::DisplayName,
            F::Description,
            F::EndpointType,
            F::Endpoints,
        ],
        ResourceKind::IpsecPolicy | ResourceKind::DpdPolicy => &[F::DisplayName, F::Description],
    }
}

/// A cloud that keeps what it is given. Without kinds, it has connections only.
#[derive(Debug)]
pub struct Cloud {
    capabilities: Capabilities,
    pub kept: Mutex<BTreeMap<(ResourceKind, String), Resource>>,
    /// The last change.
    pub changed: Mutex<Option<ResourceChange>>,
    /// An error that every call returns instead of its answer.
    trouble: Mutex<Option<Error>>,
    /// Notified when a read of `held` has arrived. Such a read never ends.
    pub arrived: Notify,
}

impl Cloud {
    pub fn new(kinds: &'static [ResourceCapabilities]) -> Arc<Cloud> {
        Arc::new(Cloud {
            capabilities: Capabilities {
                dialect: "memory",
                variant: "",
                route_based: true,
                inline_policy_rules: true,
                endpoint_groups: true,
                certificates: true,
                inline_dpd: true,
                dpd_policies: true,
                mtu: true,
                tcp_mss_clamping: true,
                on_demand_initiation: true,
                admin_disable: true,
                atomic_etag: true,
                nodes: true,
                write_tracking: true,
                look_batch: 1,
                resources: kinds,
                tunnel_statistics: !kinds.is_empty(),
                connection_marks: true,
                availability_zones: false,
            },
            kept: Mutex::default(),
            changed: Mutex::default(),
            trouble: Mutex::default(),
            arrived: Notify::new(),
        })
    }

    pub fn fail(&self, error: Error) {
        *self.trouble.lock().unwrap() = Some(error);
    }

    fn answer(&self) -> Result<()> {
        match &*self.trouble.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

fn no_connection() -> Error {
    let reason = ErrorReason::ConnectionNotFound;
    Error::new(ErrorKind::NotFound, reason, "no such connection")
}

#[async_trait::async_trait]
impl Dialect for Cloud {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refuse_create(&self, _: &NewConnection) -> Vec<Violation> {
        Vec::new()
    }

    fn refuse_update(&self, _: &ConnectionChange) -> Vec<Violation> {
        Vec::new()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn resources(&self) -> &dyn Resources {
        match self.capabilities.resources {
            [] => &NoResources,
            _ => self,
        }
    }

    async fn probe(&self, _: &Call) -> Result<()> {
        self.answer()
    }

    async fn get(&self, _: &str, _: &Call) -> Result<Connection> {
        Err(no_connection())
    }

    async fn list(&self, _: &PageRequest, _: &Call) -> Result<Page<Connection>> {
        let connection = Connection {
            id: "c".to_owned(),
            native: Map::from_iter([("extra".to_owned(), json!(1))]),
            ..Connection::default()
        };
        Ok(Page {
            items: vec![connection],
            next: None,
        })
    }

    async fn plan_create<'a>(
        &'a self,
        _: NewConnection,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(no_connection())
    }

    async fn plan_update<'a>(
        &'a self,
        _: &'a str,
        _: ConnectionChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(no_connection())
    }

    async fn plan_delete<'a>(
        &'a self,
        _: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(no_connection())
    }

    async fn poll(&self, targets: &[Target], _: &Call) -> Vec<Result<Sighting>> {
        targets.iter().map(|_| Err(no_connection())).collect()
    }
}

fn written(resource: Option<Resource>) -> WrittenResource {
    WrittenResource {
        resource,
        request_ids: vec!["req-1".to_owned()],
        warnings: vec![Warning {
            field: "lifetime".to_owned(),
            message: "rounded".to_owned(),
        }],
    }
}

/// A plan of one step.
fn single<'a>(
    action: Action,
    kind: ResourceKind,
    write: impl FnOnce(Call) -> BoxFuture<'a, Result<WrittenResource>> + Send + 'a,
) -> Box<dyn Plan<WrittenResource> + 'a> {
    let step = Step::new(action, kind.collection().segment(), None);
    Single::new(step, move |_, call| {
        Box::pin(async move {
            let written = write(call).await?;
            let done = Done {
                id: "r".to_owned(),
                request_id: None,
            };
            Ok((done, written))
        })
    })
}

#[async_trait::async_trait]
impl Resources for Cloud {
    fn refuse_create(&self, spec: &ResourceSpec) -> Vec<Violation> {
        match spec.display_name.as_str() {
            "refused" => vec![Violation::new("display_name", "is not liked here")],
            _ => Vec::new(),
        }
    }

    fn refuse_update(&self, change: &ResourceChange) -> Vec<Violation> {
        Resources::refuse_create(self, &change.values)
    }

    async fn get(&self, kind: ResourceKind, id: &str, _: &Call) -> Result<Resource> {
        if id == "held" {
            self.arrived.notify_one();
            std::future::pending::<()>().await;
        }
        self.answer()?;
        let kept = self.kept.lock().unwrap();
        kept.get(&(kind, id.to_owned())).cloned().ok_or_else(|| {
            let reason = ErrorReason::ResourceNotFound;
            Error::new(ErrorKind::NotFound, reason, "no such resource")
        })
    }

    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        _: &Call,
    ) -> Result<Page<Resource>> {
        self.answer()?;
        let kept = self.kept.lock().unwrap();
        let after = |id: &str| page.after.as_deref().is_none_or(|after| id > after);
        let ours = kept.iter().filter(|((of, id), _)| *of == kind && after(id));
        let mut items: Vec<Resource> = ours.map(|(_, resource)| resource.clone()).collect();
        let is_more = items.len() > page.size as usize;
        items.truncate(page.size as usize);
        let last = items.last().map(|last| last.id.clone());
        Ok(Page {
            items,
            next: last.filter(|_| is_more),
        })
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Ok(single(Action::Create, spec.kind(), move |_| {
            Box::pin(async move {
                self.answer()?;
                let mut kept = self.kept.lock().unwrap();
                let resource = Resource {
                    id: format!("r{}", kept.len()),
                    spec,
                    etag: "1".to_owned(),
                    managed: true,
                    joint: false,
                    create_time: None,
                    update_time: None,
                    native_words: Map::new(),
                    details: None,
                    native: Map::from_iter([("extra".to_owned(), json!(1))]),
                };
                kept.insert(
                    (resource.spec.kind(), resource.id.clone()),
                    resource.clone(),
                );
                Ok(written(Some(resource)))
            })
        }))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let kind = change.values.kind();
        Ok(single(Action::Update, kind, move |call| {
            Box::pin(async move {
                let mut resource = Resources::get(self, kind, id, &call).await?;
                if change.fields.contains(&ResourceField::DisplayName) {
                    resource.spec.display_name = change.values.display_name.clone();
                }
                *self.changed.lock().unwrap() = Some(change);
                Ok(written(Some(resource)))
            })
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        Ok(single(Action::Delete, kind, move |call| {
            Box::pin(async move {
                Resources::get(self, kind, id, &call).await?;
                self.kept.lock().unwrap().remove(&(kind, id.to_owned()));
                Ok(written(None))
            })
        }))
    }

    async fn attachments(&self, page: &PageRequest, _: &Call) -> Result<Page<Attachment>> {
        self.answer()?;
        let attachment =
            |kind, id: &str, parent: Option<&str>, unusable: Option<&str>| Attachment {
                kind,
                id: id.to_owned(),
                display_name: String::new(),
                addresses: Vec::new(),
                networks: Vec::new(),
                parent_id: parent.map(str::to_owned),
                unusable: unusable.map(str::to_owned),
                native: Map::from_iter([("extra".to_owned(), json!(1))]),
            };
        let all = [
            attachment(AttachmentKind::Router, "router-1", None, Some("no gateway")),
            attachment(AttachmentKind::Subnet, "subnet-1", Some("router-1"), None),
        ];
        let after = |it: &Attachment| page.after.as_ref().is_none_or(|after| it.id > *after);
        Ok(Page {
            items: all.into_iter().filter(after).collect(),
            next: None,
        })
    }

    async fn statistics(&self, connection: &str, _: &Call) -> Result<TunnelStatistics> {
        if connection != "c" {
            return Err(no_connection());
        }
        let counters = |octets| TrafficCounters {
            in_octets: Some(octets),
            ..TrafficCounters::default()
        };
        Ok(TunnelStatistics {
            collect_time: None,
            partial: true,
            total: counters(7),
            selectors: vec![SelectorStatistics {
                selector: Some(SelectorId::PolicyRule("4711".to_owned())),
                total: counters(7),
                tunnels: vec![TunnelCounters {
                    local_network: "10.0.0.0/8".to_owned(),
                    traffic: counters(0),
                    ..TunnelCounters::default()
                }],
            }],
        })
    }
}
