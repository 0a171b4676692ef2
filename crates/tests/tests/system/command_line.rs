//! The program `candlemill` against the whole product.

use crate::whole::wait_for_markets;
use candlemill_devkit::Stack;
use serde_json::Value;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A user's shell: a home, and the variables that say where the product is.
struct Shell {
    stack: Stack,
    home: TempDir,
}

impl Shell {
    fn new(stack: Stack) -> Self {
        Self { stack, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.home.path()).env("CANDLEMILL_API_URL", self.stack.api_url());
        command.env("SUPABASE_URL", self.stack.simulator.url());
        command.env("SUPABASE_PUBLISHABLE_KEY", candlemill_devkit::simulator::PUBLISHABLE_KEY);
        command.current_dir(self.home.path()).kill_on_drop(true);
        command
    }

    /// Runs the program with this standard input.
    async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(&candlemill_devkit::binary("candlemill").unwrap());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        child.wait_with_output().await.unwrap()
    }

    /// What it writes to standard output; it must end with `code`.
    async fn out(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments, "").await;
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
        out
    }

    /// One JSON document of each line of standard output.
    async fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.out(&[arguments, &["--json"]].concat(), 0).await;
        out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{arguments:?}: {line}"))).collect()
    }

    async fn log_in(&self) {
        let login = self.run(&["login", "--email", "pro@candlemill.test"], "candlemill\n").await;
        assert_eq!(login.status.code(), Some(0), "{}", String::from_utf8_lossy(&login.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_at_the_command_line() {
    let shell = Shell::new(Stack::builder().start().await.unwrap());
    wait_for_markets(&shell.stack).await;
    let wrong = shell.run(&["login", "--email", "pro@candlemill.test"], "guessed\n").await;
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1), "{said}");
    assert!(said.contains("invalid_credentials") && !said.contains("guessed"), "{said}");
    assert!(shell.out(&["tasks"], 2).await.is_empty(), "nothing was kept");
    shell.log_in().await;
    assert_eq!(shell.out(&["tasks"], 0).await, "no tasks\n");

    // Two symbols of a file and the command line, followed to their ends.
    std::fs::write(shell.home.path().join("symbols"), "# the second\nETHUSDT\n").unwrap();
    let range = ["--start", "2020-01-01", "--end", "2020-01-03"];
    let fetch = ["fetch", "BTCUSDT", "1h", "--from-file", "symbols", "--follow"];
    let out = shell.out(&[&fetch[..], &range].concat(), 0).await;
    assert!(out.contains("BTCUSDT 1h: stored 48 new candles") && out.contains("ETHUSDT 1h: stored"), "{out}");
    let lines = shell.json(&[&["fetch", "BTCUSDT", "1m", "--follow"][..], &range].concat()).await;
    let (first, last) = (lines.first().unwrap(), lines.last().unwrap());
    assert_eq!(
        (&first["status"], &last["state"], &last["result"]["inserted"]),
        (&"queued".into(), &"succeeded".into(), &2_880.into())
    );
    let task = first["task_id"].as_str().unwrap();
    let out = shell
        .out(&["batch", "BTCUSDT", "ETHUSDT", "1d", "--start", "2020-01-01", "--end", "2020-01-05", "--follow"], 0)
        .await;
    assert!(out.contains("stored"), "{out}");
    let verified = shell.out(&[&["verify", "BTCUSDT", "1h", "--follow"][..], &range].concat(), 0).await;
    assert!(verified.contains("stored 0 new candles, 48 known before"), "{verified}");

    // What is seen of it.
    let list = shell.json(&["tasks", "--all"]).await;
    assert_eq!(list[0]["tasks"].as_array().unwrap().len(), 5, "{list:?}");
    let table = shell.out(&["tasks"], 0).await;
    for words in ["2 fetches: BTCUSDT, ETHUSDT", "verify BTCUSDT 1h 2020-01-01 … 2020-01-03", "succeeded"] {
        assert!(table.contains(words), "{table}");
    }
    assert!(shell.out(&["task", task], 0).await.contains("stored 2,880 new candles"));
    assert!(shell.out(&["progress", task], 0).await.starts_with("100.0 % succeeded"));
    assert!(shell.out(&["follow", task], 0).await.contains("stored 2,880 new candles"));
    assert!(
        shell.out(&["coverage", "BTCUSDT", "1m"], 0).await.contains("verified  2020-01-01 … 2020-01-03  2,880 buckets")
    );
    assert!(shell.out(&["series", "--symbol", "BTCUSDT"], 0).await.contains("2,880"));
    assert!(shell.out(&["symbols", "BTCUSD"], 0).await.contains("TRADING"));
    assert_eq!(shell.out(&["dead", "list"], 0).await, "no dead letters\n");
    assert!(shell.out(&["dead", "replay", "--all"], 0).await.contains("replayed 0, refused 0"));
    shell.out(&["cancel", task], 1).await;
    shell.out(&["dead", "discard", task, "--reason", "old"], 1).await;

    files(&shell).await;
    assert!(shell.out(&["logout"], 0).await.contains("logged out"));
    shell.out(&["tasks"], 2).await;
}

/// Candles in every form, whole and the newest.
async fn files(shell: &Shell) {
    for (file, begins) in
        [("a.csv", &b"open_time,"[..]), ("a.json", b"[["), ("a.arrow", b"\xff\xff\xff\xff"), ("a.parquet", b"PAR1")]
    {
        shell.out(&["klines", "BTCUSDT", "1m", "--start", "2020-01-01", "-o", file], 0).await;
        let bytes = std::fs::read(shell.home.path().join(file)).unwrap();
        assert!(bytes.starts_with(begins) && bytes.len() > 50_000, "{file}: {} bytes", bytes.len());
        assert!(!shell.home.path().join(format!("{file}.part")).exists());
    }
    let parquet = std::fs::read(shell.home.path().join("a.parquet")).unwrap();
    assert!(parquet.ends_with(b"PAR1"));
    let newest = shell.out(&["klines", "BTCUSDT", "1m", "--limit", "2"], 0).await;
    let times: Vec<_> = newest.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(times, ["1578009480000", "1578009540000"], "the last two minutes of 2020-01-02");
    assert_eq!(shell.json(&["klines", "BTCUSDT", "1h"]).await[0].as_array().unwrap().len(), 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_renewed_where_its_token_has_expired() {
    let shell = Shell::new(Stack::builder().workers(0).start().await.unwrap());
    shell.log_in().await;
    let kept = shell.home.path().join(".config/candlemill/sessions.json");
    let token = |kept: &Value| kept["sessions"].as_object().unwrap().values().next().unwrap()["access_token"].clone();
    let mut before: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&kept.metadata().unwrap().permissions()) & 0o777, 0o600);
    for session in before["sessions"].as_object_mut().unwrap().values_mut() {
        session["renewal"]["expires_at"] = 0.into();
    }
    std::fs::write(&kept, before.to_string()).unwrap();
    // Two at once: one of them renews, a refresh token being good for one use.
    let (first, second) = tokio::join!(shell.out(&["tasks"], 0), shell.out(&["tasks"], 0));
    assert_eq!((first.as_str(), second.as_str()), ("no tasks\n", "no tasks\n"));
    let after: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    assert_ne!(token(&after), token(&before));
}

/// The widest bar that a terminal was made to show, without its colours. Bars that fill their lines follow each other without a line
/// feed.
fn widest(shown: &str) -> (usize, String) {
    let mut plain = String::new();
    let mut rest = shown.chars();
    while let Some(character) = rest.next() {
        if character == '\u{1b}' {
            // A control sequence ends with a letter.
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    let plain = ["GENUSDT", "BTCUSDT"].iter().fold(plain, |text, label| text.replace(label, &format!("\n{label}")));
    let lines = plain.split(['\r', '\n']).map(|line| (line.chars().count(), line.to_owned()));
    lines.max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_fit_terminals() {
    let script = std::path::Path::new("/usr/bin/script");
    if !script.exists() {
        // Only Debian's essential packages are sure to have it.
        return;
    }
    let shell = Shell::new(Stack::builder().simulator_env("SIMULATOR_LATENCY_MS", "50").start().await.unwrap());
    shell.log_in().await;
    let program = candlemill_devkit::binary("candlemill").unwrap();
    for (columns, interval) in [(80, "1m"), (100, "5m")] {
        let typed = format!(
            "stty cols {columns}; exec {} fetch GENUSDT BTCUSDT {interval} --start 2023-01-01 --end 2023-02-01 --follow",
            program.display()
        );
        let mut command = shell.command(script);
        command
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .args(["-qec", &typed, "/dev/null"])
            .stdin(Stdio::null());
        let output = command.output().await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("━"), "{shown}");
        let (width, line) = widest(shown.split("stored ").next().unwrap_or_default());
        assert!(width <= columns, "{width} columns of {columns}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_at_the_command_line() {
    let shell = Shell::new(Stack::builder().start().await.unwrap());
    shell.log_in().await;
    let berlin = ["--cron", "30 6 * * MON", "--time-zone", "Europe/Berlin"];
    let series = ["--symbol", "BTCUSDT", "--interval", "1d", "--last", "300d"];
    let preview = shell.out(&[&["schedule", "preview", "Mondays"][..], &berlin, &series].concat(), 0).await;
    assert!(preview.contains("06:30") && preview.contains("NEXT FIRES (UTC)") && preview.contains("+0"), "{preview}");
    let made = shell.json(&[&["schedule", "create", "Mondays"][..], &berlin, &series].concat()).await;
    let id = made[0]["schedule_id"].as_str().unwrap().to_owned();
    let listed = shell.out(&["schedule", "list"], 0).await;
    assert!(
        listed.contains(&id) && listed.contains("fetch BTCUSDT 1d, the last 300d") && listed.contains("active"),
        "{listed}"
    );
    let task = shell.out(&["schedule", "run", &id], 0).await;
    shell.out(&["follow", task.trim()], 0).await;
    let fires = shell.out(&["schedule", "fires", &id], 0).await;
    assert!(fires.contains(task.trim()) && fires.contains("(by hand)"), "{fires}");
    let paused = shell.out(&["schedule", "pause", &id], 0).await;
    assert!(paused.contains("paused by owner"), "{paused}");
    assert!(shell.out(&["schedule", "resume", &id], 0).await.contains("active"));
    shell.out(&["schedule", "delete", &id], 0).await;
    assert_eq!(shell.out(&["schedule", "list"], 0).await, "no schedules\n");
    // What cannot be is told before anything is made, and in words.
    for (arguments, told) in [
        (
            vec!["schedule", "create", "n", "--cron", "0 0 30 2 *", "--symbol", "BTCUSDT", "--interval", "1d"],
            "when.cron",
        ),
        (
            vec![
                "schedule",
                "create",
                "n",
                "--cron",
                "* * * * *",
                "--kind",
                "study",
                "--symbol",
                "A,B",
                "--interval",
                "1d",
            ],
            "one symbol",
        ),
        (vec!["schedule", "create", "n", "--symbol", "BTCUSDT", "--interval", "1d"], "--cron"),
    ] {
        let refused = shell.run(&arguments, "").await;
        let err = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && err.contains(told), "{arguments:?}: {err}");
    }
}
