//! What has to become of each file of `examples/sites` on each cloud, and of what one cloud describes on each other. Nothing
//! here is worked out: this is what the folder's README and `docs/portable.md` promise, cell by cell.

use crate::support::site::World;
use std::{fs, path::PathBuf};

/// What becomes of a description on a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// It is there and real; with a warning for each of these fields, and no other.
    Takes(&'static [&'static str]),
    /// It is refused by these fields, and no other, before anything is written.
    Refuses(&'static [&'static str]),
}

impl Cell {
    /// The fields that are warned of, or refused.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Takes(fields) | Refuses(fields) => fields,
        }
    }
}

use Cell::{Refuses, Takes};

/// As it is described.
const AS_IT_IS: Cell = Takes(&[]);
/// One of several proposals, which is not the first.
const OTHER_ENCRYPTION: Cell = Takes(&[
    "parts.ike_policy.encryption_algorithms",
    "parts.ipsec_policy.encryption_algorithms",
]);
const NO_ENCRYPTION: Cell = Refuses(&[
    "parts.ike_policy.encryption_algorithms",
    "parts.ipsec_policy.encryption_algorithms",
]);
const NO_GROUP: Cell = Refuses(&["parts.ike_policy.dh_groups", "parts.ipsec_policy.dh_groups"]);
const NEITHER: Cell = Refuses(&[
    "parts.ike_policy.encryption_algorithms",
    "parts.ike_policy.dh_groups",
    "parts.ipsec_policy.encryption_algorithms",
    "parts.ipsec_policy.dh_groups",
]);
/// The local side of a connection is the one subnet of a service.
const ONE_NETWORK: Cell = Refuses(&["policy_based.rules[1].sources"]);
/// The same of what a cloud has as groups, and describes as one rule.
const ONE_NETWORK_A_RULE: Cell = Refuses(&["policy_based.rules[0].sources"]);
const NO_ROUTES: Cell = Refuses(&["route_based"]);

/// Later Neutrons have no SHA-1, and nothing else is described.
const NO_INTEGRITY: Cell = Refuses(&[
    "parts.ike_policy.integrity_algorithms",
    "parts.ipsec_policy.integrity_algorithms",
]);

/// The clouds of a row, in this order.
pub const COLUMNS: [World; 5] = [
    World::Nsx,
    World::Neutron,
    World::Newest,
    World::Otc,
    World::K5,
];

/// Each file, and what becomes of it.
pub const FILES: [(&str, [Cell; COLUMNS.len()]); 5] = [
    ("policy-based", [AS_IT_IS; 5]),
    (
        "two-networks",
        [AS_IT_IS, AS_IT_IS, AS_IT_IS, AS_IT_IS, ONE_NETWORK],
    ),
    (
        "route-based",
        [AS_IT_IS, NO_ROUTES, NO_ROUTES, NO_ROUTES, NO_ROUTES],
    ),
    (
        "strong",
        [AS_IT_IS, AS_IT_IS, AS_IT_IS, OTHER_ENCRYPTION, NO_GROUP],
    ),
    (
        "legacy",
        [OTHER_ENCRYPTION, AS_IT_IS, NO_INTEGRITY, AS_IT_IS, AS_IT_IS],
    ),
];

/// The clouds of the matrix, both ways.
pub const BOTH_WAYS: [World; 4] = [World::Nsx, World::Neutron, World::Otc, World::K5];

/// What becomes of what one cloud (a row) describes of a file on each other (a column). `None`: it is the same cloud, or
/// the row's own never was there.
pub const MATRIX: [(&str, [[Option<Cell>; BOTH_WAYS.len()]; BOTH_WAYS.len()]); 5] = {
    const SELF: Option<Cell> = None;
    const NEVER: [Option<Cell>; 4] = [None; 4];
    const IS: Option<Cell> = Some(AS_IT_IS);
    const OTHER: Option<Cell> = Some(OTHER_ENCRYPTION);
    const ONE: Option<Cell> = Some(ONE_NETWORK);
    const ONE_OF_GROUPS: Option<Cell> = Some(ONE_NETWORK_A_RULE);
    const ROUTES: Option<Cell> = Some(NO_ROUTES);
    const GROUP: Option<Cell> = Some(NO_GROUP);
    const CIPHER: Option<Cell> = Some(NO_ENCRYPTION);
    const BOTH: Option<Cell> = Some(NEITHER);
    [
        (
            "policy-based",
            [
                [SELF, IS, IS, IS],
                [IS, SELF, IS, IS],
                [IS, IS, SELF, IS],
                [IS, IS, IS, SELF],
            ],
        ),
        (
            "two-networks",
            [
                [SELF, IS, IS, ONE],
                [IS, SELF, IS, ONE_OF_GROUPS],
                [IS, IS, SELF, ONE_OF_GROUPS],
                NEVER,
            ],
        ),
        (
            "route-based",
            [[SELF, ROUTES, ROUTES, ROUTES], NEVER, NEVER, NEVER],
        ),
        (
            "strong",
            [
                [SELF, IS, OTHER, GROUP],
                // GCM alone is what Neutron has of the list.
                [IS, SELF, CIPHER, BOTH],
                [IS, IS, SELF, GROUP],
                NEVER,
            ],
        ),
        (
            "legacy",
            [
                [SELF, IS, IS, IS],
                [CIPHER, SELF, IS, IS],
                [CIPHER, IS, SELF, IS],
                [CIPHER, IS, IS, SELF],
            ],
        ),
    ]
};

/// What has to become of a file on a cloud.
pub fn cell(file: &str, world: World) -> Cell {
    let (_, cells) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    cells[COLUMNS.iter().position(|it| *it == world).unwrap()]
}

/// The path of a file.
pub fn path_of(file: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/sites");
    folder.join(format!("{file}.yaml"))
}

/// What is wanted by a file.
pub fn text_of(file: &str) -> String {
    let path = path_of(file);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}
