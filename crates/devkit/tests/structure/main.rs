//! How the sources hang together: no circles among the files of a crate. Reads source text; starts nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod circles;
mod source;
mod tokens;

use circles::Crate;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of all packages, from the project's root.
fn packages() -> BTreeSet<String> {
    let mut packages: BTreeSet<String> = ["shared", "api", "worker"].map(str::to_owned).into();
    for entry in fs::read_dir(project_root().join("crates")).unwrap() {
        packages.insert(format!("crates/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    packages
}

/// Every Rust file below `folder` (from the project's root) with its text.
fn texts(folder: &str) -> BTreeMap<String, String> {
    let (root, mut found) = (project_root(), BTreeMap::new());
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.strip_prefix(&root).unwrap().display().to_string(), read(&path));
            }
        }
    }
    found
}

/// The library and the program of `package`.
fn crates(package: &str, texts: &BTreeMap<String, String>) -> Vec<Crate> {
    let roots = ["lib", "main"].map(|root| format!("{package}/src/{root}.rs"));
    roots.iter().filter(|root| texts.contains_key(*root)).map(|root| Crate::load(root, texts)).collect()
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    let mut files = 0;
    for package in packages() {
        for found in crates(&package, &texts(&format!("{package}/src"))) {
            files += found.files().count();
            circles.extend(found.circles().iter().map(ToString::to_string));
        }
    }
    assert!(files > 200, "the scan finds the files: {files}");
    assert!(circles.is_empty(), "move what both need into a file that imports neither:\n\n{}\n", circles.join("\n\n"));
}
