//! How the sources hang together: no circles among the files of a crate, no dependency that nothing names. Reads source
//! text; starts nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod circles;
mod manifests;
mod source;
mod tokens;

use circles::Crate;
use manifests::{Package, dependencies};
use source::listed_jobs;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Dependencies that no source names: package, dependency, and the reason.
const UNNAMED: [(&str, &str, &str); 2] = [
    ("crates/tests", "candlemill-shared", "switches a kind of job of tests on in the programs of a test build"),
    ("crates/tests", "candlemill-worker", "switches a kind of job of tests on in the programs of a test build"),
];
/// The list of kinds of jobs, which declares files.
const JOB_LIST: &str = "shared/src/job/list.rs";

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
    let jobs = listed_jobs(&read(&project_root().join(JOB_LIST)));
    assert!(!jobs.is_empty(), "{JOB_LIST} lists no kind of job");
    roots.iter().filter(|root| texts.contains_key(*root)).map(|root| Crate::load(root, texts, &jobs)).collect()
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

#[test]
fn no_manifest_names_a_dependency_that_no_source_names() {
    let root = project_root();
    let mut excused: BTreeSet<String> = UNNAMED.iter().map(|(package, name, _)| format!("{package}: {name}")).collect();
    let mut unused = Vec::new();
    let mut declared = BTreeSet::new();
    for name in packages() {
        let all = texts(&format!("{name}/src"));
        let compiled: BTreeSet<String> =
            crates(&name, &all).iter().flat_map(|found| found.files().map(str::to_owned).collect::<Vec<_>>()).collect();
        let (sources, mut tests): (Vec<_>, Vec<_>) = all.into_iter().partition(|(file, _)| compiled.contains(file));
        tests.extend(["tests", "benches", "examples"].iter().flat_map(|folder| texts(&format!("{name}/{folder}"))));
        let only_texts = |files: Vec<(String, String)>| files.into_iter().map(|(_, text)| text).collect();
        let manifest = read(&root.join(&name).join("Cargo.toml"));
        declared.extend(["dependencies", "dev-dependencies"].iter().flat_map(|table| dependencies(&manifest, table)));
        let package = Package { manifest, sources: only_texts(sources), tests: only_texts(tests) };
        for (dependency, wrong) in package.unused() {
            let dependency = format!("{name}: {dependency}");
            if !excused.remove(&dependency) {
                unused.push(format!("{dependency}: {wrong}"));
            }
        }
    }
    for dependency in dependencies(&read(&root.join("Cargo.toml")), "workspace.dependencies").difference(&declared) {
        unused.push(format!("workspace: {dependency}: no package declares it"));
    }
    assert!(unused.is_empty(), "remove these from the manifests:\n\n{}\n", unused.join("\n"));
    assert!(excused.is_empty(), "UNNAMED excuses what is named or gone: {excused:?}");
}
