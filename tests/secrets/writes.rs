//! Writes that are planned, made of several objects, repeated under their ids, and left in doubt: everything that notes
//! what a write is, so that somebody else can bring it to its end.

use crate::{
    NEW_PSK, Seen,
    support::{
        cloud::Cloud,
        clouds::PSK,
        running::{Running, id_of, mask},
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use http::{Method, StatusCode};
use isthmus::{
    grpc::pb,
    simulator::faults::{Answer, Fault, Rule},
};
use prost::Message;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tonic::Request;

/// The id of a write that succeeds, so that its answer is kept.
pub const REQUEST_ID: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a11";
/// The id of a write that is left in doubt.
const IN_DOUBT: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a12";
/// The id of an update.
const UPDATE: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a13";

/// How long a caller waits for what is left in doubt.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// Creates, changes and removes a connection with its parts, each planned first and then asked for twice; and leaves a
/// create in doubt.
pub async fn repeat_everything(
    running: &Running,
    backend: &str,
    cloud: &dyn Cloud,
    seen: &mut Seen,
) {
    let request = composite(backend, cloud.wanted(backend));
    let mut connections = running.connections();
    let tried = pb::CreateConnectionRequest {
        validate_only: true,
        ..request.clone()
    };
    seen.note(&tried);
    seen.note_result(&connections.create_connection(tried).await);
    let made = connections.create_connection(request.clone()).await;
    seen.note_result(&made);
    let made = made.unwrap().into_inner().connection.unwrap();
    seen.note_result(&connections.create_connection(request.clone()).await);
    let mut another = request.clone();
    set_key(another.connection.as_mut().unwrap(), NEW_PSK);
    let reused = connections.create_connection(another).await;
    assert!(reused.is_err(), "{reused:?}");
    seen.note_result(&reused);

    let mut changed = pb::Connection {
        name: made.name.clone(),
        ..pb::Connection::default()
    };
    set_key(&mut changed, NEW_PSK);
    let update = pb::UpdateConnectionRequest {
        connection: Some(changed),
        update_mask: Some(mask(&["peer.psk"])),
        request_id: UPDATE.to_owned(),
        ..Default::default()
    };
    for validate_only in [true, false, false] {
        let update = pb::UpdateConnectionRequest {
            validate_only,
            ..update.clone()
        };
        seen.note_result(&connections.update_connection(update).await);
    }
    // So that the cloud takes changes of it.
    cloud.settle(&id_of(&made.name));
    describe_everything(running, request.clone(), &made.name, seen).await;
    leave_in_doubt(running, cloud, request, seen).await;
    for validate_only in [true, false] {
        let delete = pb::DeleteConnectionRequest {
            name: made.name.clone(),
            validate_only,
            ..Default::default()
        };
        seen.note_result(&connections.delete_connection(delete).await);
    }
}

/// Applies a description to what is there and to what is not, well and badly, with a key each time; and describes what is there.
async fn describe_everything(
    running: &Running,
    create: pb::CreateConnectionRequest,
    name: &str,
    seen: &mut Seen,
) {
    let mut connections = running.connections();
    let mut to_be_there = create.connection.unwrap();
    to_be_there.name = name.to_owned();
    let whole = pb::ApplyConnectionRequest {
        parent: create.parent,
        connection: Some(to_be_there.clone()),
        parts: create.parts,
        ..Default::default()
    };
    seen.note(&whole);
    for (key, write_key) in [(PSK, false), (NEW_PSK, true)] {
        set_key(&mut to_be_there, key);
        for validate_only in [true, false] {
            let apply = pb::ApplyConnectionRequest {
                connection: Some(to_be_there.clone()),
                write_key,
                validate_only,
                ..whole.clone()
            };
            let applied = connections.apply_connection(apply).await;
            seen.note_result(&applied);
            let result = applied.unwrap().into_inner().result();
            let is_changed = result == pb::apply_connection_response::Result::Changed;
            assert_eq!(is_changed, write_key, "{result:?}");
        }
    }
    to_be_there.name.clear();
    to_be_there.display_name = "not there".to_owned();
    let mut malformed = to_be_there.clone();
    malformed.initiation = 99;
    let mut lacking = to_be_there.clone();
    lacking.selectors = None;
    for (connection, is_taken) in [(to_be_there, true), (malformed, false), (lacking, false)] {
        let apply = pb::ApplyConnectionRequest {
            connection: Some(connection),
            validate_only: true,
            ..whole.clone()
        };
        let tried = connections.apply_connection(apply).await;
        assert_eq!(tried.is_ok(), is_taken, "{tried:?}");
        seen.note_result(&tried);
    }
    let export = pb::ExportConnectionRequest {
        name: name.to_owned(),
    };
    let exported = connections.export_connection(export).await;
    assert!(exported.is_ok(), "{exported:?}");
    seen.note_result(&exported);
}

/// Has the answer of a create lost, and every look for it refused, so that its record stays. The key has gone out then.
async fn leave_in_doubt(
    running: &Running,
    cloud: &dyn Cloud,
    request: pb::CreateConnectionRequest,
    seen: &mut Seen,
) {
    let connections = cloud.collection();
    let lost = Rule::on(Method::POST, connections, Fault::CutAfterHandling);
    // Not 503, which would have the whole account pause.
    let broken = Fault::Answer(Answer::status(StatusCode::INTERNAL_SERVER_ERROR));
    let silent = Rule::on(Method::GET, connections, broken);
    for rule in [lost, silent] {
        cloud.faults().inject(rule);
    }
    let mut request = Request::new(pb::CreateConnectionRequest {
        request_id: IN_DOUBT.to_owned(),
        ..request
    });
    request.set_timeout(PATIENCE);
    let doubt = running.connections().create_connection(request).await;
    assert!(doubt.is_err(), "{doubt:?}");
    seen.note_result(&doubt);
    let list = pb::ListBackendsRequest::default();
    seen.note_result(&running.backends().list_backends(list).await);
    cloud.faults().clear();
}

/// A connection with the policies that it would refer to.
fn composite(backend: &str, wanted: pb::Connection) -> pb::CreateConnectionRequest {
    let encryption_algorithms = vec![pb::EncryptionAlgorithm::AesCbc256.into()];
    let integrity_algorithms = vec![pb::IntegrityAlgorithm::HmacSha2256128.into()];
    let dh_groups = vec![pb::DhGroup::Modp2048.into()];
    let ike_policy = pb::IkePolicy {
        display_name: "composite".to_owned(),
        encryption_algorithms: encryption_algorithms.clone(),
        integrity_algorithms: integrity_algorithms.clone(),
        dh_groups: dh_groups.clone(),
        ..Default::default()
    };
    let ipsec_policy = pb::IpsecPolicy {
        display_name: "composite".to_owned(),
        encryption_algorithms,
        integrity_algorithms,
        dh_groups,
        ..Default::default()
    };
    pb::CreateConnectionRequest {
        parent: format!("backends/{backend}"),
        connection: Some(pb::Connection {
            ike_policy: String::new(),
            ipsec_policy: String::new(),
            ..wanted
        }),
        parts: Some(pb::Parts {
            ike_policy: Some(ike_policy),
            ipsec_policy: Some(ipsec_policy),
            ..Default::default()
        }),
        request_id: REQUEST_ID.to_owned(),
        ..Default::default()
    }
}

fn set_key(connection: &mut pb::Connection, key: &str) {
    let peer = connection.peer.get_or_insert_default();
    peer.authentication = Some(pb::peer::Authentication::Psk(key.to_owned()));
}

/// What a plain hash of a key, or of the request that carries it, may be kept as: who has one can try keys against it.
pub fn digests(backend: &str, wanted: &pb::Connection) -> Vec<Vec<u8>> {
    let mut request = composite(backend, wanted.clone());
    request.request_id = String::new();
    let hashed = [
        PSK.as_bytes().to_vec(),
        NEW_PSK.as_bytes().to_vec(),
        request.encode_to_vec(),
    ];
    let digests = hashed.iter().flat_map(|bytes| {
        let digest = Sha256::digest(bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        [
            digest.to_vec(),
            hex.to_uppercase().into_bytes(),
            hex.into_bytes(),
            BASE64_STANDARD_NO_PAD.encode(digest).into_bytes(),
            BASE64_URL_SAFE_NO_PAD.encode(digest).into_bytes(),
            // As JSON has bytes.
            serde_json::to_vec(digest.as_slice()).unwrap(),
        ]
    });
    digests.collect()
}
