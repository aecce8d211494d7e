//! Conversions of a single kind of policy.

use crate::{
    grpc::{
        convert::{
            Problems,
            resource::{Common, Details, Fields, Head, Wire, wire},
            time::{from_seconds, whole_seconds},
            words::{number, numbers},
        },
        pb,
    },
    model::{
        BackendName, ResourceField, ResourceKind, Settings,
        algorithm::{IntegrityAlgorithm, Named, PrfAlgorithm},
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime},
    },
};
use prost_types::Duration;

wire!(
    IkePolicy,
    ike_policy,
    read_ike_policy,
    ike_policy,
    availability_zone
);
wire!(
    IpsecPolicy,
    ipsec_policy,
    read_ipsec_policy,
    ipsec_policy,
    availability_zone
);
wire!(DpdPolicy, dpd_policy, read_dpd_policy, dpd_policy);

fn read_ike_policy(given: pb::IkePolicy, fields: &mut Fields<'_>) -> IkePolicy {
    use ResourceField as F;
    let mut policy = IkePolicy {
        ike_version: fields.word::<pb::IkeVersion>(F::IkeVersion, given.ike_version),
        negotiation_mode: fields
            .word::<pb::NegotiationMode>(F::NegotiationMode, given.negotiation_mode),
        encryption_algorithms: fields
            .words::<pb::EncryptionAlgorithm>(F::EncryptionAlgorithms, given.encryption_algorithms),
        integrity_algorithms: fields
            .words::<pb::IntegrityAlgorithm>(F::IntegrityAlgorithms, given.integrity_algorithms),
        ..IkePolicy::default()
    };
    let prf_algorithms = fields.words::<pb::PrfAlgorithm>(F::PrfAlgorithms, given.prf_algorithms);
    policy.prf_algorithms = fields.read(F::PrfAlgorithms, |path, problems| {
        let integrity = &policy.integrity_algorithms;
        if !integrity.is_empty() && !prf_algorithms.is_empty() {
            same_hashes(path, integrity, &prf_algorithms, problems);
        }
        prf_algorithms
    });
    policy.dh_groups = fields.words::<pb::DhGroup>(F::DhGroups, given.dh_groups);
    policy.lifetime = fields.read(F::Lifetime, |path, problems| {
        read_lifetime(path, given.lifetime, problems)
    });
    policy
}

fn ike_policy(policy: IkePolicy, _backend: &BackendName) -> pb::IkePolicy {
    pb::IkePolicy {
        ike_version: number::<pb::IkeVersion>(policy.ike_version),
        negotiation_mode: number::<pb::NegotiationMode>(policy.negotiation_mode),
        encryption_algorithms: numbers::<pb::EncryptionAlgorithm>(policy.encryption_algorithms),
        integrity_algorithms: numbers::<pb::IntegrityAlgorithm>(policy.integrity_algorithms),
        prf_algorithms: numbers::<pb::PrfAlgorithm>(policy.prf_algorithms),
        dh_groups: numbers::<pb::DhGroup>(policy.dh_groups),
        lifetime: policy.lifetime.map(lifetime),
        ..Default::default()
    }
}

fn read_ipsec_policy(given: pb::IpsecPolicy, fields: &mut Fields<'_>) -> IpsecPolicy {
    use ResourceField as F;
    IpsecPolicy {
        transform_protocol: fields
            .word::<pb::TransformProtocol>(F::TransformProtocol, given.transform_protocol),
        encapsulation_mode: fields
            .word::<pb::EncapsulationMode>(F::EncapsulationMode, given.encapsulation_mode),
        encryption_algorithms: fields
            .words::<pb::EncryptionAlgorithm>(F::EncryptionAlgorithms, given.encryption_algorithms),
        integrity_algorithms: fields
            .words::<pb::IntegrityAlgorithm>(F::IntegrityAlgorithms, given.integrity_algorithms),
        perfect_forward_secrecy: fields
            .plain(F::PerfectForwardSecrecy, given.perfect_forward_secrecy),
        dh_groups: fields.words::<pb::DhGroup>(F::DhGroups, given.dh_groups),
        lifetime: fields.read(F::Lifetime, |path, problems| {
            read_lifetime(path, given.lifetime, problems)
        }),
        df_policy: fields.word::<pb::DfPolicy>(F::DfPolicy, given.df_policy),
    }
}

fn ipsec_policy(policy: IpsecPolicy, _backend: &BackendName) -> pb::IpsecPolicy {
    pb::IpsecPolicy {
        transform_protocol: number::<pb::TransformProtocol>(policy.transform_protocol),
        encapsulation_mode: number::<pb::EncapsulationMode>(policy.encapsulation_mode),
        encryption_algorithms: numbers::<pb::EncryptionAlgorithm>(policy.encryption_algorithms),
        integrity_algorithms: numbers::<pb::IntegrityAlgorithm>(policy.integrity_algorithms),
        perfect_forward_secrecy: policy.perfect_forward_secrecy,
        dh_groups: numbers::<pb::DhGroup>(policy.dh_groups),
        lifetime: policy.lifetime.map(lifetime),
        df_policy: number::<pb::DfPolicy>(policy.df_policy),
        ..Default::default()
    }
}

fn read_dpd_policy(given: pb::DpdPolicy, fields: &mut Fields<'_>) -> DpdPolicy {
    use ResourceField as F;
    DpdPolicy {
        enabled: fields.plain(F::Enabled, given.enabled),
        probe_mode: fields.word::<pb::dpd_policy::ProbeMode>(F::ProbeMode, given.probe_mode),
        probe_interval_seconds: fields.read(F::ProbeInterval, |path, problems| {
            whole_seconds(path, given.probe_interval, problems)
        }),
        retry_count: fields.plain(F::RetryCount, given.retry_count),
    }
}

fn dpd_policy(policy: DpdPolicy, _backend: &BackendName) -> pb::DpdPolicy {
    pb::DpdPolicy {
        enabled: policy.enabled,
        probe_mode: number::<pb::dpd_policy::ProbeMode>(policy.probe_mode),
        probe_interval: policy.probe_interval_seconds.map(from_seconds),
        retry_count: policy.retry_count,
        ..Default::default()
    }
}

/// Adds a violation for each place where both lists name different hashes, or a single one if their lengths differ:
/// every cloud has one name for both.
fn same_hashes(
    path: &str,
    integrity: &[Option<IntegrityAlgorithm>],
    prf: &[Option<PrfAlgorithm>],
    problems: &mut Problems,
) {
    if integrity.len() != prf.len() {
        let why = "must tell the hashes of `integrity_algorithms`, as many and in the same order";
        problems.add(path, format!("{why}, or be empty"));
        return;
    }
    for (index, pair) in integrity.iter().zip(prf).enumerate() {
        if let (Some(integrity), Some(prf)) = pair
            && hash(*integrity) != *prf
        {
            problems.add(
                format!("{path}[{index}]"),
                format!(
                    "must be {}, the hash of `integrity_algorithms[{index}]`, or the list empty",
                    hash(*integrity).as_str()
                ),
            );
        }
    }
}

/// Returns the pseudorandom function that shares its name with an integrity algorithm.
fn hash(integrity: IntegrityAlgorithm) -> PrfAlgorithm {
    match integrity {
        IntegrityAlgorithm::HmacMd5x96 => PrfAlgorithm::HmacMd5,
        IntegrityAlgorithm::HmacSha1x96 => PrfAlgorithm::HmacSha1,
        IntegrityAlgorithm::HmacSha2x256x128 => PrfAlgorithm::HmacSha2x256,
        IntegrityAlgorithm::HmacSha2x384x192 => PrfAlgorithm::HmacSha2x384,
        IntegrityAlgorithm::HmacSha2x512x256 => PrfAlgorithm::HmacSha2x512,
        IntegrityAlgorithm::AesXcbc96 => PrfAlgorithm::Aes128Xcbc,
        IntegrityAlgorithm::AesCmac96 => PrfAlgorithm::Aes128Cmac,
    }
}

fn read_lifetime(
    path: &str,
    given: Option<pb::Lifetime>,
    problems: &mut Problems,
) -> Option<Lifetime> {
    use pb::lifetime::Limit;
    match given?.limit {
        Some(Limit::Time(Duration { seconds, nanos: 0 })) if seconds > 0 => {
            Some(Lifetime::Seconds(seconds.unsigned_abs()))
        }
        Some(Limit::Time(_)) => {
            problems.add(format!("{path}.time"), "must be whole seconds, at least 1");
            None
        }
        Some(Limit::Kilobytes(0)) => {
            problems.add(format!("{path}.kilobytes"), "must be at least 1");
            None
        }
        Some(Limit::Kilobytes(kilobytes)) => Some(Lifetime::Kilobytes(kilobytes)),
        None => {
            problems.add(
                path,
                "needs `time` or `kilobytes`; leave it unset for the cloud's default",
            );
            None
        }
    }
}

fn lifetime(lifetime: Lifetime) -> pb::Lifetime {
    use pb::lifetime::Limit;
    let limit = match lifetime {
        Lifetime::Seconds(seconds) => Limit::Time(Duration {
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        Lifetime::Kilobytes(kilobytes) => Limit::Kilobytes(kilobytes),
    };
    pb::Lifetime { limit: Some(limit) }
}
