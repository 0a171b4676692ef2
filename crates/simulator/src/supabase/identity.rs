//! UUIDs: users have one that depends on their address alone, everything else a random one.

use sha2::{Digest, Sha256};

/// The UUID of everything that has this name.
pub(super) fn uuid_of(name: &str) -> String {
    let digest = Sha256::digest(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Version 8: made by a rule of one's own.
    print(bytes, 8)
}

/// A new UUID.
pub(super) fn random_uuid() -> String {
    print(rand::random(), 4)
}

fn print(bytes: [u8; 16], version: u128) -> String {
    let bits = u128::from_be_bytes(bytes) & !(0xF << 76 | 0x3 << 62) | version << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Whether the text is a UUID with hyphens.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, b)| match index {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        assert_eq!(uuid_of("a@b"), uuid_of("a@b"));
        assert_ne!(uuid_of("a@b"), uuid_of("a@c"));
        for uuid in [uuid_of("a@b"), random_uuid()] {
            assert!(is_uuid(&uuid), "{uuid}");
        }
        assert_eq!(&random_uuid()[14..15], "4");
        for odd in ["", "6f1c", "6f1c0000-0000-0000-0000-00000000000g", "6f1c0000x0000-0000-0000-000000000000"] {
            assert!(!is_uuid(odd), "{odd}");
        }
    }
}
