//! Files with an error at the key: no message may repeat the key.

/// The name and the text of each file; the key is `Canary`.
pub const BROKEN: [(&str, &str); 13] = [
    ("a.yaml", "peer: {psk: *Canary}"),
    ("a.yaml", "peer:\n  psk: !Canary x\n  psk: Canary"),
    ("a.yaml", "peer:\n  psk: \"Canary"),
    ("a.yaml", "peer:\n  psk: Canary: 1"),
    ("a.yaml", "peer:\n  psk: !!int Canary"),
    ("a.yaml", "peer:\n  psk: [Canary]"),
    ("a.yaml", "peer: Canary"),
    ("a.yaml", "psk: Canary"),
    ("a.yaml", "connection: Canary"),
    ("a.yaml", "parts: {psk: Canary}"),
    ("a.json", "{\"peer\": {\"psk\": Canary}}"),
    ("a.json", "{\"peer\": {\"psk\": {\"Canary\": 1}}}"),
    ("a.json", "{\"peer\": {\"psk\": \"Canary"),
];
