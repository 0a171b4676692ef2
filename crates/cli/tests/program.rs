//! The program as its callers see it: what it says and how it ends, without an API or with a scripted one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use std::process::{Command, Output, Stdio};

const TASK: &str = "01JC5Y7V9N8B3M2K1H0G9F8E7D";

fn program(variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candlemill"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Runs the program; it must end with `code` and say `says` on one of its outputs.
fn check(variables: &[(&str, &str)], arguments: &[&str], code: i32, says: &str) {
    let output = program(variables, arguments).output().unwrap();
    let (out, err) = told(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
    assert!(out.contains(says) || err.contains(says), "{arguments:?}: {out}{err}");
}

const TOKEN: (&str, &str) = ("CANDLEMILL_TOKEN", "t");
/// Nobody listens there.
const NOWHERE: (&str, &str) = ("CANDLEMILL_API_URL", "http://127.0.0.1:9");

#[test]
fn wrong_calls_end_with_2_and_say_what_is_expected() {
    check(&[("CANDLEMILL_API_URL", "nonsense")], &["tasks"], 2, "CANDLEMILL_API_URL is \"nonsense\"");
    check(&[TOKEN], &["--api", "localhost:80", "tasks"], 2, "--api is \"localhost:80\"");
    check(&[NOWHERE], &["tasks"], 2, "set CANDLEMILL_TOKEN, or run `candlemill login`");
    check(&[NOWHERE], &["--api", "http://127.0.0.1:9", "tasks"], 2, "`candlemill --api http://127.0.0.1:9 login`");
    check(&[TOKEN], &["fetch", "BTCUSDT", "--start", "2020-01-01"], 2, "symbols and then an interval");
    check(&[TOKEN], &["fetch", "BTCUSDT", "1h"], 2, "--start");
    check(&[TOKEN], &["fetch", "BTCUSDT", "1h", "--start", "yesterday"], 2, "RFC 3339");
    check(&[TOKEN], &["klines", "BTCUSDT", "7h"], 2, "7h");
    check(&[TOKEN], &["dead", "replay"], 2, "--all");
    check(&[], &["queues"], 2, "CANDLEMILL_ADMIN_TOKEN");
    check(&[("HOME", "/nowhere")], &["login", "--email", "a@b.c"], 2, "SUPABASE_URL");
    check(&[("HOME", "/nowhere")], &["login"], 2, "standard input has no access token");
}

#[test]
fn an_api_that_does_not_answer_ends_with_3() {
    check(&[TOKEN, NOWHERE], &["tasks"], 3, "the API at http://127.0.0.1:9 does not answer");
    check(&[TOKEN, NOWHERE], &["--json", "tasks"], 3, "\"code\":\"unreachable\"");
}

#[test]
fn completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        check(&[], &["completions", shell], 0, "from-file");
    }
    check(&[], &["man"], 0, ".TH candlemill 1");
    check(&[], &["man", "fetch"], 0, "from\\-file");
    check(&[], &["man", "dead", "list"], 0, "discarded");
    check(&[], &["man", "nothing"], 2, "there is no command nothing");
    check(&[], &["--help"], 0, "130 interrupted");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let mut child =
        program(&[], &["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), told(&output).1.as_str()), (Some(0), ""));
}

/// An API with one task, whose event stream stays open after one snapshot.
async fn scripted() -> String {
    let accepted = format!(
        r#"{{"task_id":"{TASK}","status":"queued","created":true,"created_at":"2020-01-01T00:00:00Z","run_at":null,"progress_url":"","events_url":null}}"#
    );
    let event = format!(
        "event: progress\nid: 1\ndata: {{\"task_id\":\"{TASK}\",\"state\":\"running\",\"percent\":10.0,\"candles_stored\":1,\"rate\":0.0,\
         \"eta_seconds\":null,\"attempt\":1,\"started_at\":null,\"updated_at\":1}}\n\n"
    );
    let problem =
        r#"{"title":"Your tier does not allow this","status":403,"code":"tier_limit","detail":"ask for less"}"#;
    let app = Router::new()
        .route("/api/market-data/fetch", post(async move || (StatusCode::ACCEPTED, accepted)))
        .route("/api/market-data/verify", post(async move || (StatusCode::FORBIDDEN, problem)))
        .route(
            &format!("/api/task/{TASK}/events"),
            get(async move || {
                let stream = futures::StreamExt::chain(
                    futures::stream::iter([Ok::<_, std::io::Error>(event)]),
                    futures::stream::pending(),
                );
                ([(header::CONTENT_TYPE, "text/event-stream")], axum::body::Body::from_stream(stream))
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_end_with_1_and_are_problems_as_json() {
    let url = scripted().await;
    let api = [TOKEN, ("CANDLEMILL_API_URL", url.as_str())];
    let verify = ["verify", "BTCUSDT", "1h", "--start", "listing"];
    check(&api, &verify, 1, "Your tier does not allow this (HTTP 403, code tier_limit)");
    check(&api, &[&verify[..], &["--json"]].concat(), 1, "\"code\":\"tier_limit\"");
    let both = ["verify", "BTCUSDT", "ETHUSDT", "1h", "--start", "listing"];
    check(&api, &both, 1, "ETHUSDT 1h: candlemill: Your tier");
    check(&api, &["fetch", "BTCUSDT", "1h", "--start", "2020-01-01"], 0, TASK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_says_that_the_task_goes_on_and_ends_with_130() {
    let url = scripted().await;
    let arguments = ["fetch", "BTCUSDT", "1h", "--start", "2020-01-01", "--follow", "--api", &url];
    let mut child = program(&[TOKEN], &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its first line of progress shows that it follows.
    let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut err, &mut line).unwrap();
    assert!(line.contains("BTCUSDT 1h  10.0 % running, 1 candle"), "{line}");
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut err, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("the task goes on"), "{rest}");
    for command in ["follow", "cancel"] {
        assert!(rest.contains(&format!("candlemill --api {url} {command} {TASK}")), "{rest}");
    }
}
