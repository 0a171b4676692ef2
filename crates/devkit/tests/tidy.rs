//! What prose cannot hold: who may import whom, that the documented variables are the real ones, how long a file may be,
//! what the compose file promises. Reads source text; starts nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use candlemill_devkit::project_root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// The services: rooms whose variables `.env.example` documents. Tools (`devkit`, `client`, `cli`, `bench`) explain their own.
const SERVICES: [&str; 8] = [
    "shared",
    "api",
    "worker",
    "crates/db",
    "crates/tasks",
    "crates/market-store",
    "crates/exchanges",
    "crates/simulator",
];

/// Every room, the rooms that it may import, and the outside crates that it may not.
const IMPORTS: [(&str, &[&str], &[&str]); 17] = [
    ("shared", &[], &["mongodb", "redis", "apalis", "apalis-redis", "axum", "polars", "reqwest"]),
    ("crates/db", &["shared"], &["axum", "reqwest", "polars", "apalis"]),
    ("crates/tasks", &["shared", "db"], &["axum", "reqwest", "polars", "apalis"]),
    ("crates/market-store", &["shared", "db", "columnar"], &["axum", "reqwest", "polars", "apalis"]),
    (
        "crates/columnar",
        &["shared"],
        &["mongodb", "redis", "apalis", "apalis-redis", "axum", "polars", "reqwest", "tokio"],
    ),
    (
        "crates/analytics",
        &["shared", "columnar"],
        &["mongodb", "redis", "apalis", "apalis-redis", "axum", "reqwest", "tokio"],
    ),
    (
        "crates/charts",
        &["shared"],
        &["mongodb", "redis", "apalis", "apalis-redis", "axum", "polars", "reqwest", "tokio"],
    ),
    ("crates/exchanges", &["shared"], &["mongodb", "redis", "apalis", "apalis-redis", "axum", "polars"]),
    ("api", &["shared", "db", "tasks", "market-store", "columnar"], &["mongodb", "redis", "polars"]),
    (
        "worker",
        &["shared", "db", "tasks", "market-store", "exchanges", "analytics", "charts"],
        &["mongodb", "jsonwebtoken", "polars"],
    ),
    ("crates/simulator", &["shared"], &["mongodb", "redis", "apalis", "polars"]),
    ("crates/client", &["shared"], &["mongodb", "redis", "apalis", "axum", "polars"]),
    ("crates/cli", &["shared", "client"], &["mongodb", "redis", "apalis", "axum", "polars"]),
    ("crates/devkit", &["shared", "client", "cli"], &["redis", "apalis", "axum", "polars"]),
    ("crates/bench", &["shared", "db", "tasks", "market-store", "analytics", "devkit", "client"], &["polars"]),
    ("crates/soak", &["shared", "db", "tasks", "market-store", "devkit", "client", "simulator"], &["polars"]),
    ("crates/tests", &["shared", "worker"], &[]),
];

/// The part of the worker that may name Redis: it takes messages of other programs' in their broker's own form.
const WORKER_REDIS: &str = "worker/src/inbox/";

/// Most lines of a source file.
const LONGEST_FILE: usize = 400;
/// Files that may be longer, with the reason.
const LONGER_FILES: [(&str, &str); 0] = [];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file under `<room>/src`, with its path from the project's root.
fn sources(room: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = project_root();
    let mut files = Vec::new();
    let folder = root.join(room).join("src");
    // A room of tests alone has no sources.
    if folder.is_dir() {
        walk(&folder, &mut files);
    }
    files.sort();
    files.iter().map(|file| (file.strip_prefix(&root).unwrap().display().to_string(), read(file))).collect()
}

/// The names in one table of a `Cargo.toml`.
fn dependencies(manifest: &str, table: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == format!("[{table}]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names.insert(line.split(['.', ' ', '=']).next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn rooms_import_only_whom_they_may() {
    let root = project_root();
    let mut rooms: BTreeSet<String> = ["shared", "api", "worker"].map(str::to_owned).into();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        rooms.insert(format!("crates/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    assert_eq!(rooms, IMPORTS.iter().map(|(room, ..)| (*room).to_owned()).collect(), "IMPORTS names every room");
    for (room, allowed, forbidden) in IMPORTS {
        let manifest = read(&root.join(room).join("Cargo.toml"));
        for name in dependencies(&manifest, "dependencies") {
            if let Some(imported) = name.strip_prefix("candlemill-") {
                assert!(allowed.contains(&imported), "{room} may not import {imported}");
            }
            assert!(!forbidden.contains(&name.as_str()), "{room} may not import {name}");
        }
        // Helpers that generate code could smuggle an import in.
        assert_eq!(dependencies(&manifest, "build-dependencies"), BTreeSet::new(), "{room}");
    }
}

#[test]
fn the_worker_names_redis_in_its_inbox_alone() {
    let names_redis = |source: &str| ["redis::", "apalis_redis"].iter().any(|name| source.contains(name));
    let sources = sources("worker");
    let naming: Vec<_> = sources.iter().filter(|(_, source)| names_redis(source)).map(|(path, _)| path).collect();
    assert!(!naming.is_empty(), "the scan works");
    assert_eq!(naming.iter().find(|path| !path.starts_with(WORKER_REDIS)), None);
}

/// The only files that make a grant to submit tasks, and the one that each kind of grant is made in: elsewhere a caller's word
/// could become an owner or a tier.
const GRANTS: [(&str, &str); 3] = [
    ("Grant::of_token", "api/src/auth/caller.rs"),
    ("Grant::of_operator", "api/src/admin/verify.rs"),
    ("Grant::of_configuration", "worker/src/inbox/submit.rs"),
];

#[test]
fn grants_are_made_where_owners_are_known_and_tasks_come_in_one_way() {
    let sources: Vec<_> = ["api", "worker"].into_iter().flat_map(sources).collect();
    for (grant, file) in GRANTS {
        let making: Vec<_> =
            sources.iter().filter(|(_, source)| source.contains(grant)).map(|(path, _)| path).collect();
        assert_eq!(making, [file], "{grant}");
    }
    let count = |text: &str| sources.iter().map(|(_, source)| source.matches(text).count()).sum::<usize>();
    assert_eq!(count("Grant::of_"), GRANTS.len(), "another one is made");
    // What `TaskService` checks is not gone round.
    assert_eq!(count("Submissions"), 0);
}

#[test]
fn the_manifest_reader_sees_every_spelling() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\n# none\na.workspace = true\nb = \"1\"\nc = { path = \"c\" }\n[dev-dependencies]\nd = \"1\"";
    assert_eq!(dependencies(manifest, "dependencies"), ["a", "b", "c"].map(str::to_owned).into());
}

/// A variable as the code declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    default: String,
    help: String,
}

/// The text of the next Rust string literal of `text`, and what follows it.
fn string_literal(text: &str) -> Option<(String, &str)> {
    let start = text.find('"')? + 1;
    let mut literal = String::new();
    let mut characters = text[start..].char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((literal, &text[start + at + 1..])),
            '\\' => match characters.next()?.1 {
                // A line that goes on: the break and the indentation do not count.
                '\n' => {
                    let rest = &text[start + at + 2..];
                    let blank = rest.len() - rest.trim_start().len();
                    for _ in 0..rest[..blank].chars().count() {
                        characters.next();
                    }
                }
                escaped => literal.push(escaped),
            },
            other => literal.push(other),
        }
    }
    None
}

/// Every `Variable { name: "…", default: "…", help: "…" }` outside of tests.
fn declared_in(source: &str) -> BTreeMap<String, Declared> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut variables = BTreeMap::new();
    for place in source.split("Variable {").skip(1) {
        let field = |name: &str| place.split_once(&format!("{name}:")).and_then(|(_, rest)| string_literal(rest));
        // The type's own definition has types where a variable has texts.
        if place.trim_start().starts_with("name:") {
            let (name, _) = field("name").unwrap();
            let (default, _) = field("default").unwrap();
            let (help, _) = field("help").unwrap();
            variables.insert(name, Declared { default, help });
        }
    }
    variables
}

fn declared() -> BTreeMap<String, Declared> {
    let mut variables = BTreeMap::new();
    for (_, source) in SERVICES.iter().flat_map(|room| sources(room)) {
        variables.extend(declared_in(&source));
    }
    variables
}

/// `.env.example`: the value of each variable and the comment above it.
fn documented() -> BTreeMap<String, Declared> {
    let mut variables = BTreeMap::new();
    let mut help = Vec::new();
    for line in read(&project_root().join(".env.example")).lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            help.push(comment.to_owned());
        } else if let Some((name, default)) = line.split_once('=') {
            let before =
                variables.insert(name.to_owned(), Declared { default: default.to_owned(), help: help.join(" ") });
            assert_eq!(before, None, "{name} stands twice");
            help.clear();
        } else {
            help.clear();
        }
    }
    variables
}

#[test]
fn the_example_environment_is_what_the_code_reads() {
    let (code, file) = (declared(), documented());
    assert!(code.len() > 20, "the scan of the sources finds the variables: {code:?}");
    // Written out, so that a difference can be pasted into the file.
    let text = |variables: &BTreeMap<String, Declared>| -> BTreeSet<String> {
        variables.iter().map(|(name, v)| format!("# {}\n{name}={}", v.help, v.default)).collect()
    };
    let (code, file) = (text(&code), text(&file));
    let missing: Vec<_> = code.difference(&file).cloned().collect();
    let stale: Vec<_> = file.difference(&code).cloned().collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        ".env.example lacks:\n\n{}\n\nand should not say:\n\n{}\n",
        missing.join("\n\n"),
        stale.join("\n\n")
    );
}

#[test]
fn the_variable_scan_reads_declarations_only() {
    let source = "pub struct Variable {\n    /// Doc.\n    pub name: &'static str,\n}\nstatic A: Variable = Variable {\n    name: \"A\",\n    default: \"\",\n    help: \"one \\\n           \\\"line\\\"\",\n};\n#[cfg(test)]\nmod tests { static B: Variable = Variable { name: \"B\", default: \"\", help: \"\" }; }";
    let expected = Declared { default: String::new(), help: "one \"line\"".to_owned() };
    assert_eq!(declared_in(source), BTreeMap::from([("A".to_owned(), expected)]));
}

/// `map[key]`, also where `map` takes it over by `<<`.
fn entry<'a>(map: &'a Yaml, key: &str) -> Option<&'a Yaml> {
    match &map[key] {
        Yaml::BadValue => match &map["<<"] {
            Yaml::BadValue => None,
            merged => entry(merged, key),
        },
        value => Some(value),
    }
}

/// The texts of a list.
fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

/// The keys of a map, with those taken over by `<<`.
fn keys(map: &Yaml) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        map.as_hash().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).filter(|key| key != "<<").collect();
    if !map["<<"].is_badvalue() {
        names.extend(keys(&map["<<"]));
    }
    names
}

#[test]
fn the_compose_file_keeps_its_promises() {
    let text = read(&project_root().join("docker-compose.yml"));
    let compose = YamlLoader::load_from_str(&text).unwrap().remove(0);
    let services = &compose["services"];
    assert_eq!(keys(services), ["api", "worker", "redis", "mongo"].map(str::to_owned).into());
    for name in ["api", "worker", "redis", "mongo"] {
        let service = &services[name];
        assert_eq!(entry(service, "restart").and_then(Yaml::as_str), Some("unless-stopped"), "{name}");
        assert!(!entry(service, "healthcheck").unwrap()["test"].is_badvalue(), "{name} has a health check");
        assert_eq!(entry(service, "ports").is_some(), name == "api", "only the API publishes ports ({name})");
    }
    for name in ["api", "worker"] {
        let service = &services[name];
        assert_eq!(entry(service, "image"), entry(&services["api"], "image"), "one image");
        assert_eq!(texts(entry(service, "command").unwrap()), [format!("candlemill-{name}")]);
        for server in ["redis", "mongo"] {
            let condition = &entry(service, "depends_on").unwrap()[server]["condition"];
            assert_eq!(condition.as_str(), Some("service_healthy"), "{name} waits for {server}");
        }
    }
    let redis = texts(&services["redis"]["command"]).join(" ");
    assert!(redis.contains("--appendonly yes") && redis.contains("--maxmemory-policy noeviction"), "{redis}");
    assert!(services["mongo"]["image"].as_str().unwrap().starts_with("mongo:8"));
    assert!(texts(&services["mongo"]["command"]).contains(&"--replSet"));
    for (server, folder) in [("redis", "/data"), ("mongo", "/data/db")] {
        assert_eq!(texts(&services[server]["volumes"]), [format!("{server}:{folder}")]);
        assert!(keys(&compose["volumes"]).contains(server), "the volume of {server} has a name");
    }
    let dockerfile = read(&project_root().join("Dockerfile"));
    assert!(dockerfile.contains("\nUSER 10001"), "the image does not run as root");
}

#[test]
fn the_compose_file_uses_documented_variables_only() {
    let text = read(&project_root().join("docker-compose.yml"));
    let compose = YamlLoader::load_from_str(&text).unwrap().remove(0);
    let mut used = BTreeSet::new();
    for service in ["api", "worker"] {
        used.extend(keys(entry(&compose["services"][service], "environment").unwrap()));
    }
    for place in text.split("${").skip(1) {
        used.insert(place.split([':', '}', '-', '?']).next().unwrap().to_owned());
    }
    assert!(used.contains("REDIS_URL") && used.contains("SUPABASE_URL"), "the scan works: {used:?}");
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(used.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn source_files_stay_short() {
    let rooms = IMPORTS.iter().map(|(room, ..)| *room);
    let mut long = Vec::new();
    for (path, source) in rooms.flat_map(sources) {
        let lines = source.lines().count();
        if lines >= LONGEST_FILE && !LONGER_FILES.iter().any(|(file, _)| *file == path) {
            long.push(format!("{path}: {lines} lines"));
        }
    }
    assert_eq!(long, Vec::<String>::new(), "split these by subject");
}

#[test]
fn only_programs_print() {
    let mut found = Vec::new();
    for (path, source) in SERVICES.iter().flat_map(|room| sources(room)) {
        let program = path.ends_with("/main.rs") || path.contains("/bin/");
        let code = source.split("#[cfg(test)]\nmod ").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            let line = line.trim_start();
            let prints = ["println!(", "eprintln!(", "print!(", "eprint!(", "dbg!("];
            if !program && !line.starts_with("//") && prints.iter().any(|print| line.contains(print)) {
                found.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new(), "services log, they do not print");
}
