//! Every program stops at a wrong configuration, with a message that names the variable and what was expected.

use candlemill_devkit::binary;
use std::process::Command;

fn check(program: &str, variables: &[(&str, &str)], names: &[&str]) {
    let root = candlemill_devkit::project_root();
    let run = Command::new(binary(program).unwrap())
        .current_dir(root)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{program} {variables:?}: {told}");
    assert!(names.iter().all(|name| told.contains(name)), "{program} {variables:?}: {told}");
    assert!(!told.contains("panicked") && !told.contains("hunter2"), "{program} {variables:?}: {told}");
}

#[test]
fn wrong_configurations() {
    let supabase = [("SUPABASE_URL", "http://127.0.0.1:1"), ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x")];
    let with = |variable: (&'static str, &'static str)| [supabase[0], supabase[1], variable];
    check("candlemill-api", &[], &["SUPABASE_URL", "is not set"]);
    check("candlemill-api", &supabase[..1], &["SUPABASE_PUBLISHABLE_KEY", "is not set"]);
    check("candlemill-api", &with(("API_ADDR", "here")), &["API_ADDR", "127.0.0.1:8080"]);
    check("candlemill-api", &with(("REDIS_URL", "mysql://u:hunter2@h")), &["REDIS_URL", "redis://"]);
    check("candlemill-api", &with(("MONGODB_DATABASE", "a/b")), &["MONGODB_DATABASE"]);
    check("candlemill-api", &with(("TOKEN_CACHE_TTL_SECONDS", "9999")), &["TOKEN_CACHE_TTL_SECONDS", "1 to 300"]);
    check("candlemill-api", &with(("ADMIN_TOKEN", "hunter2")), &["ADMIN_TOKEN", "32 to 512"]);
    check("candlemill-api", &with(("TIERS_FILE", "/nowhere/tiers.json")), &["TIERS_FILE", "/nowhere/tiers.json"]);
    check("candlemill-worker", &[("WORKER_CONCURRENCY", "0")], &["WORKER_CONCURRENCY", "1 to 256"]);
    check("candlemill-worker", &[("BACKFILL_PAGE_CONCURRENCY", "many")], &["BACKFILL_PAGE_CONCURRENCY"]);
    check("candlemill-worker", &[("BINANCE_REST_URL", "ftp://x")], &["BINANCE_REST_URL", "http"]);
    check("candlemill-worker", &[("LOG_FORMAT", "xml")], &["LOG_FORMAT", "json"]);
    check("candlemill-simulator", &[("SIMULATOR_ADDR", "here")], &["SIMULATOR_ADDR"]);
    check("candlemill-simulator", &[("SIMULATOR_LATENCY_MS", "-1")], &["SIMULATOR_LATENCY_MS"]);
}
