//! The recorded data is what its README says.

use crate::harness::DATA;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Files below `folder`, by path relative to the data folder.
fn files(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let name = path.strip_prefix(DATA).unwrap().to_str().unwrap().to_owned();
            found.insert(name, hex::encode(Sha256::digest(std::fs::read(&path).unwrap())));
        }
    }
}

#[test]
fn every_file_has_the_checksum_that_is_written_down() {
    let readme = std::fs::read_to_string(format!("{DATA}/README.md")).unwrap();
    let list = readme.rsplit("```").nth(1).unwrap();
    let listed: BTreeMap<String, String> = list
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    let mut found = BTreeMap::new();
    files(Path::new(DATA), &mut found);
    found.remove("README.md");
    assert_eq!(found, listed);
    assert!(listed.len() >= 14, "{listed:?}");
    for name in listed.keys().filter(|name| name.starts_with("klines/") || name.starts_with("rest/")) {
        assert!(readme.contains(&format!("| `{name}` |")), "{name} has no line of its own");
    }
}
