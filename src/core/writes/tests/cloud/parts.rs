//! The parts in the in-memory cloud, as a dialect.

use super::{
    Cloud, key, missing,
    said::{changed_part, part_text},
    seam::step,
};
use crate::{
    core::{
        dialect::{
            Action, Call, Mark, Page, PageRequest, Plan, Resources, Single, Step, WrittenResource,
        },
        error::{Error, Result, Violation},
    },
    model::{
        Attachment, Resource, ResourceChange, ResourceField, ResourceKind, ResourceSpec, Settings,
        TunnelStatistics,
    },
};
use async_trait::async_trait;
use serde_json::{Value, json};

fn written_resource(cloud: &Cloud, steps: &[Step]) -> WrittenResource {
    let kind = ResourceKind::ALL.into_iter();
    let mut kind = kind.filter(|it| it.collection().segment() == steps[0].collection);
    let id = steps[0].id.as_deref().unwrap();
    WrittenResource {
        resource: cloud.world().resource(kind.next().unwrap(), id).ok(),
        request_ids: vec![],
        warnings: vec![],
    }
}

#[async_trait]
impl Resources for Cloud {
    fn refuse_create(&self, _: &ResourceSpec) -> Vec<Violation> {
        vec![]
    }

    fn refuse_update(&self, _: &ResourceChange) -> Vec<Violation> {
        vec![]
    }

    fn is_equal(&self, spec: &ResourceSpec, there: &Resource) -> bool {
        let named = part_text(spec) == part_text(&there.spec);
        let belongs = match (&spec.settings, &there.spec.settings) {
            (Settings::LocalEndpoint(one), Settings::LocalEndpoint(other)) => {
                one.vpn_service == other.vpn_service
            }
            _ => true,
        };
        named && belongs
    }

    async fn get(&self, kind: ResourceKind, id: &str, _: &Call) -> Result<Resource> {
        self.world().resource(kind, id)
    }

    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        _: &Call,
    ) -> Result<Page<Resource>> {
        let collection = kind.collection().segment();
        self.page(collection, page, |world, id| world.resource(kind, id))
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let collection = spec.kind().collection().segment();
        let memo = json!({"after": part_text(&spec)});
        let make = Step {
            mark: Some(mark),
            ..step(Action::Create, collection, None, memo)
        };
        let service = match &spec.settings {
            Settings::LocalEndpoint(endpoint) => endpoint.vpn_service.clone(),
            _ => None,
        };
        let refers_to = service.map(|id| key("vpnServices", &id));
        Ok(self.planned(
            vec![make],
            refers_to.into_iter().collect(),
            written_resource,
        ))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let kind = change.values.kind();
        let there = self.world().resource(kind, id)?;
        let after = changed_part(&there.spec, &change);
        for field in [ResourceField::VpnService, ResourceField::Router] {
            let differs = field == ResourceField::VpnService || after != there.etag;
            if change.fields.contains(&field) && differs {
                let fixed = Violation::new(field.path(), "cannot be changed");
                return Err(Error::not_expressible(vec![fixed]));
            }
        }
        if after == there.etag {
            return Ok(Single::none(WrittenResource {
                resource: Some(there),
                request_ids: vec![],
                warnings: vec![],
            }));
        }
        let memo = json!({"before": there.etag, "after": after});
        let fields = change.fields.iter().map(|it| it.path().to_owned());
        let put = Step {
            fields: fields.collect(),
            mark: Some(Mark::new()),
            ..step(Action::Update, kind.collection().segment(), Some(id), memo)
        };
        Ok(self.planned(vec![put], vec![], written_resource))
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        self.world().resource(kind, id)?;
        let collection = kind.collection().segment();
        let delete = step(Action::Delete, collection, Some(id), Value::Null);
        Ok(self.planned(vec![delete], vec![], written_resource))
    }

    async fn attachments(&self, _: &PageRequest, _: &Call) -> Result<Page<Attachment>> {
        Err(missing("attachments"))
    }

    async fn statistics(&self, _: &str, _: &Call) -> Result<TunnelStatistics> {
        Err(missing("statistics"))
    }
}
