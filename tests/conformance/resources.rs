//! The same for resources beside connections: every kind on every cloud, through the whole gateway and in protobuf's JSON,
//! as a client has it. A kind that a cloud does not have is held to say so, in every case.
//!
//! What is made and changed to what comes out of the backend's own capabilities (`support::values`), so nothing they promise is
//! left out.

mod attachments;
mod lost;
mod made;
mod refusals;
mod updates;

use crate::support::{
    api::words,
    running::{fields, reason},
    site::{BACKEND, Site, World},
    values::Taken,
};
use isthmus::{
    dialects,
    model::{ResourceField, ResourceKind},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::{Code, Status};

/// Whether a cloud has a kind: what its documents say, and so what its capabilities must.
fn has(world: World, kind: ResourceKind) -> bool {
    match kind {
        ResourceKind::IkePolicy | ResourceKind::IpsecPolicy | ResourceKind::VpnService => true,
        ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => world == World::Nsx,
        ResourceKind::EndpointGroup => !matches!(world, World::Nsx | World::K5),
    }
}

/// One kind on one cloud that has it.
struct Cell<'a> {
    site: &'a Site,
    kind: ResourceKind,
    taken: Taken<'a>,
}

impl Cell<'_> {
    /// Makes the `number`th, with everything that can be said of it, and lets it come to rest.
    async fn make(&self, number: usize) -> Value {
        self.make_of(&self.taken.whole(number)).await
    }

    /// The same out of this.
    async fn make_of(&self, body: &Value) -> Value {
        let answer = self.site.api.create(self.kind, BACKEND, body, false).await;
        let mut answer = answer.unwrap_or_else(|error| panic!("{body}: {error:?}"));
        let made = answer[words(self.kind).field].take();
        self.site.settle(self.kind, id_of(&made));
        made
    }

    async fn get(&self, resource: &Value) -> Value {
        let name = resource["name"].as_str().unwrap();
        self.site.api.get(self.kind, name).await.unwrap()
    }

    /// Writes everything that is in `body`, or what the mask names of it; the resource as it is then.
    async fn update(&self, body: &Value, mask: Option<&[&str]>) -> Result<Value, Status> {
        let answer = self.site.api.update(self.kind, body, mask, false).await?;
        Ok(answer[words(self.kind).field].clone())
    }

    async fn delete(&self, resource: &Value, request: &Value) -> Result<Value, Status> {
        let name = resource["name"].as_str().unwrap();
        self.site.api.delete(self.kind, name, request).await
    }

    /// How the path of a field stands in an error.
    fn path(&self, field: ResourceField) -> String {
        format!("{}.{}", words(self.kind).field, field.path())
    }

    /// Fails unless an answer to a write is what is read then. Open Telekom Cloud shows some of it in one of them only.
    #[track_caller]
    fn assert_as_read(&self, answer: &Value, read: &Value) {
        let shown = |resource: &Value| {
            let mut shown = resource.clone();
            if self.site.world == World::Otc {
                let fields = shown.as_object_mut().unwrap();
                fields.retain(|name, _| name != "create_time" && name != "native");
            }
            shown
        };
        assert_eq!(shown(answer), shown(read));
    }

    /// Fails unless two are the same in everything that can be said of them.
    #[track_caller]
    fn assert_same(&self, one: &Value, other: &Value) {
        for field in self.taken.fields() {
            let path = field.path();
            assert_eq!(one[path], other[path], "{path}");
        }
    }
}

/// A body with nothing but these fields of a resource, and its name.
fn only(resource: &Value, paths: &[&str]) -> Value {
    let mut body = json!({ "name": resource["name"] });
    for path in paths {
        if !resource[*path].is_null() {
            body[*path] = resource[*path].clone();
        }
    }
    body
}

fn id_of(resource: &Value) -> &str {
    let name = resource["name"].as_str().unwrap();
    name.rsplit('/').next().unwrap()
}

/// Whether `said` says all of `wanted`: what a cloud adds to it is no contradiction.
pub fn covers(said: &Value, wanted: &Value) -> bool {
    match (said, wanted) {
        (Value::Object(said), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| said.get(name).is_some_and(|said| covers(said, wanted))),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (Value::Array(said), Value::Array(wanted)) => {
            said.len() == wanted.len()
                && said
                    .iter()
                    .zip(wanted)
                    .all(|(said, wanted)| covers(said, wanted))
        }
        (said, wanted) => said == wanted,
    }
}

/// Fails unless it was refused like this.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    why: &str,
    paths: &[String],
) {
    let error = answer.expect_err("it is refused");
    let found = (error.code(), reason(&error), fields(&error));
    assert_eq!(found, (code, why.to_owned(), paths.to_vec()), "{error:?}");
}

/// What holds of a kind that is not there, whatever is asked.
async fn is_absent(site: &Site, kind: ResourceKind) {
    let api = &site.api;
    let name = site.name(kind, "00000000-0000-4000-8000-000000000000");
    // Well formed, wherever it is meant for.
    let body = match kind {
        ResourceKind::LocalEndpoint => json!({
            "vpn_service": site.name(ResourceKind::VpnService, "any"), "address": "198.51.100.11",
        }),
        ResourceKind::EndpointGroup => json!({ "type": "TYPE_CIDR", "endpoints": ["10.1.0.0/24"] }),
        _ => json!({ "display_name": "x" }),
    };
    let named = json!({ "name": name, "display_name": "x" });
    for answer in [
        api.get(kind, &name).await,
        api.list(kind, BACKEND, &json!({})).await,
        api.create(kind, BACKEND, &body, false).await,
        api.create(kind, BACKEND, &body, true).await,
        api.update(kind, &named, None, false).await,
        api.delete(kind, &name, &json!({})).await,
        api.delete(kind, &name, &json!({ "allow_missing": true }))
            .await,
    ] {
        assert_refused(answer, Code::Unimplemented, "KIND_ABSENT", &[]);
    }
    let all = api.list(kind, "-", &json!({})).await.unwrap();
    assert_eq!(all, json!({}), "a list over all leaves it out");
    assert_eq!((site.asked(kind), site.writes()), (0, 0));
}

macro_rules! cells {
    ($($world:ident => $variant:ident,)+) => {
        $(mod $world {
            use super::*;

            kinds!(World::$variant);
        })+

        /// What the suite is held on.
        const WORLDS: &[World] = &[$(World::$variant),+];
    };
}

macro_rules! kinds {
    ($world:expr) => {
        kinds!(@of $world;
            ike_policy => IkePolicy,
            ipsec_policy => IpsecPolicy,
            dpd_policy => DpdPolicy,
            vpn_service => VpnService,
            local_endpoint => LocalEndpoint,
            endpoint_group => EndpointGroup,
        );
    };
    (@of $world:expr; $($module:ident => $kind:ident,)+) => {
        $(mod $module {
            use super::*;

            cases!($world, ResourceKind::$kind);
        })+

        // A kind that has no module does not compile.
        const _: fn(ResourceKind) = |kind| match kind {
            $(ResourceKind::$kind => (),)+
        };

        #[tokio::test]
        async fn has_attachments() {
            attachments::check(&Site::start($world).await).await;
        }
    };
}

macro_rules! cases {
    ($world:expr, $kind:expr) => {
        cases!(@of $world, $kind;
            made::what_is_made_reads_back,
            made::what_is_only_checked_is_not_sent,
            made::lists_bring_everything_once_and_in_order,
            made::what_was_read_makes_a_twin,
            made::what_is_removed_is_gone,
            made::what_is_used_stays,
            updates::every_field_can_be_changed,
            updates::what_was_read_changes_nothing,
            updates::what_is_unset_goes_back_to_its_default,
            updates::what_is_fixed_stays_as_it_is,
            updates::a_stale_etag_is_refused,
            refusals::what_is_not_taken_is_refused_by_name,
            refusals::what_is_out_of_range_is_refused_by_name,
            refusals::what_is_missing_is_named,
            refusals::names_must_agree,
            refusals::what_belongs_to_others_stays,
            refusals::words_of_a_cloud_are_bounded,
            lost::a_lost_answer_makes_nothing_twice,
            lost::what_cannot_be_found_out_is_ambiguous,
            lost::lost_answers_to_changes_are_found_out,
            lost::a_foreign_404_proves_nothing,
            lost::an_outage_tells_nothing,
        );
    };
    (@of $world:expr, $kind:expr; $($module:ident::$case:ident,)+) => {
        $(#[tokio::test]
        async fn $case() {
            let site = Site::start($world).await;
            match Taken::read(&site, $kind).await {
                Some(taken) => {
                    assert!(has($world, $kind), "there should be none");
                    let cell = Cell { site: &site, kind: $kind, taken };
                    $module::$case(&cell).await;
                }
                None => {
                    assert!(!has($world, $kind), "it is missing");
                    is_absent(&site, $kind).await;
                }
            }
        })+
    };
}

cells! {
    nsx_manager => Nsx,
    openstack_neutron => Neutron,
    openstack_neutron_newest => Newest,
    openstack_otc => Otc,
    openstack_k5 => K5,
}

#[tokio::test]
async fn no_dialect_and_no_variant_is_left_out() {
    assert_eq!(WORLDS, World::ALL);
    let dialects: BTreeSet<&str> = dialects::ALL.iter().map(|(name, _)| *name).collect();
    let held: BTreeSet<&str> = WORLDS.iter().map(|world| world.names().0).collect();
    assert_eq!(held, dialects);
    for world in WORLDS {
        let site = Site::start(*world).await;
        let capabilities = site.api.capabilities(BACKEND).await;
        let kinds = capabilities["resources"].as_array().unwrap();
        let mut said: Vec<&str> = kinds
            .iter()
            .map(|it| it["collection"].as_str().unwrap())
            .collect();
        said.sort_unstable();
        let wanted = ResourceKind::ALL
            .into_iter()
            .filter(|kind| has(*world, *kind));
        let mut wanted: Vec<&str> = wanted.map(|kind| kind.collection().segment()).collect();
        wanted.sort_unstable();
        assert_eq!(said, wanted, "{world:?}");
    }
    // The variants are named where an unknown one is refused.
    let given = dialects::settings::Given::new(BACKEND.parse().unwrap(), "openstack");
    let refused = dialects::connect(&given.with("variant", "no such")).unwrap_err();
    let said = refused.iter().find(|it| it.field == "variant").unwrap();
    let variants: BTreeSet<&str> = said.description.split('`').skip(1).step_by(2).collect();
    let held = WORLDS
        .iter()
        .map(|world| world.names().1)
        .filter(|it| !it.is_empty());
    assert_eq!(held.collect::<BTreeSet<&str>>(), variants);
}

/// Of endpoint groups Neutron sorts nothing, and has its own idea of how many go on a page.
#[tokio::test]
async fn what_a_cloud_does_not_sort_is_listed_whole() {
    let (site, kind) = (
        Site::start(World::Neutron).await,
        ResourceKind::EndpointGroup,
    );
    let taken = Taken::read(&site, kind).await.unwrap();
    let cell = Cell {
        site: &site,
        kind,
        taken,
    };
    for number in 1..=7 {
        cell.make(number).await;
    }
    for cap in [1, 3, 100] {
        site.openstack().state().set_page_cap(Some(cap));
        for size in [1, 2, 1000] {
            let wanted = json!({ "filter": "display_name:number" });
            let found = made::walk(&cell, BACKEND, size, &wanted).await;
            assert_eq!(found.len(), 7, "pages of {cap} and of {size}");
            let names: Vec<&str> = found
                .iter()
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            assert!(names.is_sorted(), "{names:?}");
        }
    }
}
