//! Many callers with few ids: whoever comes when, and if the gateway is killed in the midst of them.

use crate::{
    cloud::{Cloud, Dialect, TIMEOUT},
    process::{BACKEND, Gateway, PATIENCE, Place, limited},
};
use isthmus::grpc::pb;
use prost::Message;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status};

const CREATES: usize = 100;
const IDS: usize = 10;

fn id(number: usize) -> String {
    format!("5f0c1a52-0000-4000-8000-{:012}", number % IDS)
}

/// Creates all of them at the same time, each on a socket of its own: the answers, by the number of their id.
async fn create_all(gateway: &Gateway, cloud: &Cloud) -> Vec<(usize, Result<Vec<u8>, Status>)> {
    let mut creating = JoinSet::new();
    for number in 0..CREATES {
        let mut client = gateway.connections_on_a_socket_of_their_own();
        let request = pb::CreateConnectionRequest {
            parent: format!("backends/{BACKEND}"),
            connection: Some(cloud.plain()),
            request_id: id(number),
            ..pb::CreateConnectionRequest::default()
        };
        creating.spawn(async move {
            let answer = client.create_connection(limited(request)).await;
            let bytes = answer.map(|answer| answer.into_inner().encode_to_vec());
            (number % IDS, bytes)
        });
    }
    let answers = timeout(PATIENCE, creating.join_all()).await;
    answers.expect("everybody is answered")
}

/// All of them were answered, and those with the same id the same: the answers by id.
fn one_each(answers: Vec<(usize, Result<Vec<u8>, Status>)>) -> BTreeMap<usize, Vec<u8>> {
    let mut by_id: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for (id, answer) in answers {
        let answer = answer.unwrap_or_else(|status| panic!("{id}: {status:?}"));
        let known = by_id.entry(id).or_insert_with(|| answer.clone());
        assert!(*known == answer, "{id} is answered in two ways");
    }
    assert_eq!(by_id.len(), IDS);
    by_id
}

async fn make_ten(dialect: Dialect) {
    // Ten at the same time take their turns at the cloud.
    let cloud = Cloud::start(dialect, 10 * TIMEOUT);
    let mut place = Place::new(&cloud);
    let founded = cloud.objects().len();
    let gateway = place.start().await;
    let first = one_each(create_all(&gateway, &cloud).await);
    assert_eq!(cloud.connections(), IDS);
    let (objects, requests) = (cloud.objects().len() - founded, cloud.writes());
    assert_eq!(objects, requests, "each object took one request");
    let again = one_each(create_all(&gateway, &cloud).await);
    assert!(again == first, "asked again, they are answered otherwise");
    assert_eq!(cloud.writes(), requests, "nothing is done again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_creates_with_ten_ids_make_ten_connections_on_nsx() {
    make_ten(Dialect::Nsx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_creates_with_ten_ids_make_ten_connections_on_openstack() {
    make_ten(Dialect::Openstack).await;
}

/// Kills the gateway in the midst of them, and has everybody ask again.
async fn make_ten_though_killed(dialect: Dialect) {
    let cloud = Cloud::start(dialect, TIMEOUT);
    let mut place = Place::new(&cloud);
    let founded = cloud.objects().len();
    let gateway = place.start().await;
    let creating = create_all(&gateway, &cloud);
    let in_the_midst = async {
        while cloud.writes() < IDS / 2 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let at_most = {
        tokio::pin!(creating);
        tokio::select! {
            answers = &mut creating => one_each(answers),
            () = in_the_midst => BTreeMap::new(),
        }
    };
    gateway.kill();
    let gateway = place.start().await;
    let mut answers = create_all(&gateway, &cloud).await;
    while answers
        .iter()
        .any(|(_, answer)| is_to_be_tried_again(answer))
    {
        answers = create_all(&gateway, &cloud).await;
    }
    let answers = one_each(answers);
    for (id, answer) in at_most {
        assert!(answers[&id] == answer, "{id} is answered otherwise");
    }
    assert_eq!(cloud.connections(), IDS);
    let each = match dialect {
        Dialect::Nsx => 2,
        Dialect::Openstack => 1,
    };
    assert_eq!(cloud.objects().len() - founded, each * IDS);
    let again = one_each(create_all(&gateway, &cloud).await);
    assert!(again == answers, "asked again, they are answered otherwise");
}

fn is_to_be_tried_again(answer: &Result<Vec<u8>, Status>) -> bool {
    answer
        .as_ref()
        .is_err_and(|status| status.code() == Code::Unavailable)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_creates_outlive_a_kill_on_nsx() {
    make_ten_though_killed(Dialect::Nsx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_creates_outlive_a_kill_on_openstack() {
    make_ten_though_killed(Dialect::Openstack).await;
}
