//! An exchange that answers by script. `/api/v3/time` is always answered; every other call takes the next step.

use candlemill_shared::range::rfc3339;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to one call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// 200 with this body.
    Ok(String),
    /// Status, header lines and body.
    Answer(u16, &'static str, String),
    /// The body ends in the middle and the connection with it.
    Cut(u16, &'static str, String),
    /// The connection is reset.
    Reset,
    /// Nothing, ever.
    Silence,
    /// The body begins and stops; the connection stays.
    Stall(String),
}

pub(crate) struct Exchange {
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    time_ms: AtomicI64,
    /// What the next calls of `/api/v3/time` get in place of `time_ms`: body and `Date` header.
    times: Mutex<VecDeque<(i64, Option<i64>)>>,
    script: Mutex<VecDeque<Step>>,
    requests: watch::Sender<Vec<String>>,
    connections: AtomicUsize,
}

impl Exchange {
    pub(crate) async fn start(time_ms: i64, script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            time_ms: AtomicI64::new(time_ms),
            times: Mutex::default(),
            script: Mutex::new(script.into()),
            requests: watch::Sender::new(Vec::new()),
            connections: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, state }
    }

    /// Puts the exchange's clock.
    pub(crate) fn set_time(&self, ms: i64) {
        self.state.time_ms.store(ms, Ordering::SeqCst);
    }

    /// Scripts the next answers of `/api/v3/time`: the time in the body and that of the header `Date`, UTC ms.
    pub(crate) fn script_time(&self, answers: &[(i64, Option<i64>)]) {
        self.state.times.lock().unwrap().extend(answers);
    }

    /// Request heads so far, without those of `/api/v3/time`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.borrow().iter().filter(|head| !head.contains("/api/v3/time")).cloned().collect()
    }

    /// Request heads so far, all of them.
    pub(crate) fn all_requests(&self) -> Vec<String> {
        self.state.requests.borrow().clone()
    }

    /// The first lines of the requests, without those of `/api/v3/time`.
    pub(crate) fn request_lines(&self) -> Vec<String> {
        self.requests().iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until so many requests have come, all of them counted.
    pub(crate) async fn reached(&self, count: usize) {
        self.state.requests.subscribe().wait_for(|requests| requests.len() >= count).await.unwrap();
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let is_time = head.starts_with("GET /api/v3/time ");
        state.requests.send_modify(|requests| requests.push(head));
        let step = if is_time {
            let scripted = state.times.lock().unwrap().pop_front();
            let (time, date) = scripted.unwrap_or_else(|| {
                let time = state.time_ms.load(Ordering::SeqCst);
                (time, Some(time))
            });
            Step::Answer(200, date.map_or("", date_header), format!(r#"{{"serverTime":{time}}}"#))
        } else {
            let next = state.script.lock().unwrap().pop_front();
            next.unwrap_or_else(|| Step::Answer(599, "", "the script has ended".to_owned()))
        };
        let (status, headers, body, missing) = match step {
            Step::Ok(body) => (200, "", body, 0),
            Step::Answer(status, headers, body) => (status, headers, body, 0),
            Step::Cut(status, headers, body) => (status, headers, body, 1_000),
            Step::Reset => return stream.into_inner().set_zero_linger().unwrap(),
            Step::Silence => return std::future::pending().await,
            Step::Stall(body) => {
                write(&mut stream, 200, "", &body, 1_000).await;
                return std::future::pending().await;
            }
        };
        write(&mut stream, status, headers, &body, missing).await;
        if missing > 0 {
            return;
        }
    }
}

/// Writes an answer whose body lacks `missing` of the bytes that it announces.
async fn write(stream: &mut BufReader<TcpStream>, status: u16, headers: &str, body: &str, missing: usize) {
    let length = body.len() + missing;
    let answer = format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {length}\r\n\r\n{body}");
    // The client may be gone already: some tests drop their calls.
    drop(stream.get_mut().write_all(answer.as_bytes()).await);
}

/// The header line `Date`; leaked, because the headers of a step are literals.
fn date_header(ms: i64) -> &'static str {
    // 2023-11-14T22:13:20Z
    let text = rfc3339(ms / 1_000 * 1_000);
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap();
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months[month.parse::<usize>().unwrap() - 1];
    // Nobody looks at the name of the day.
    format!("date: Tue, {day} {month} {year} {time} GMT\r\n").leak()
}
