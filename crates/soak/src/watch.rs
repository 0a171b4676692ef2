//! Watchers of one task's progress while faults happen: by polling, or by following its events.

use crate::clients::Clients;
use crate::violation::{Promise, Violation};
use candlemill_client::forms::ProgressView;
use candlemill_shared::task::TaskState;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for one answer, or for the next sign of an event stream; it says something at least every 15 s.
const ANSWER: Duration = Duration::from_secs(5);
const EVENT: Duration = Duration::from_secs(6);
/// Violations that one watcher reports; more of them say the same.
const MAX_VIOLATIONS: usize = 3;

/// What a watcher saw.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// The end, and when it was seen.
    pub(crate) end: Option<(TaskState, Instant)>,
    pub(crate) violations: Vec<Violation>,
    last: Option<(TaskState, f64, u32)>,
    last_event: Option<u64>,
}

/// A watcher under way.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) task: String,
    /// The state as it was last seen.
    pub(crate) state: watch::Receiver<Option<TaskState>>,
    seeing: JoinHandle<Watched>,
}

impl Watcher {
    /// Watches `task` until its end is seen or `give_up`.
    pub(crate) fn start(clients: Clients, task: &str, followed: bool, give_up: &CancellationToken) -> Self {
        let (seen, state) = watch::channel(None);
        let (id, give_up) = (task.to_owned(), give_up.clone());
        let seeing = tokio::spawn(async move {
            let mut watched = Watched::default();
            if followed {
                follow(&clients, &id, &give_up, &seen, &mut watched).await;
            } else {
                poll(&clients, &id, &give_up, &seen, &mut watched).await;
            }
            watched
        });
        Self { task: task.to_owned(), state, seeing }
    }

    /// Whether a worker ran the task when it was last looked at.
    pub(crate) fn runs(&self) -> bool {
        *self.state.borrow() == Some(TaskState::Running)
    }

    pub(crate) async fn watched(self) -> Watched {
        self.seeing.await.unwrap_or_else(|error| Watched {
            violations: vec![Violation::new(Promise::RunWorks, format!("a watcher broke off: {error}"))],
            ..Watched::default()
        })
    }
}

async fn poll(
    clients: &Clients,
    task: &str,
    give_up: &CancellationToken,
    seen: &watch::Sender<Option<TaskState>>,
    watched: &mut Watched,
) {
    for turn in 0_usize.. {
        // A process that does not answer is asked again later; until then the other one is.
        if let Ok(Ok(view)) = timeout(ANSWER, clients.turn(turn).progress(task)).await {
            seen.send_replace(Some(view.state));
            if watched.note(task, &view) {
                return;
            }
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = give_up.cancelled() => return,
        }
    }
}

async fn follow(
    clients: &Clients,
    task: &str,
    give_up: &CancellationToken,
    seen: &watch::Sender<Option<TaskState>>,
    watched: &mut Watched,
) {
    for turn in 0_usize.. {
        let last = watched.last_event.map(|last| last.to_string());
        if let Ok(Ok(mut events)) = timeout(ANSWER, clients.turn(turn).events(task, last.as_deref())).await {
            loop {
                let event = tokio::select! {
                    event = timeout(EVENT, events.next()) => event,
                    () = give_up.cancelled() => return,
                };
                let Ok(Some(event)) = event else { break };
                let view: ProgressView = match serde_json::from_str(&event.data) {
                    Ok(view) => view,
                    Err(error) => {
                        watched
                            .report(Promise::ProgressRises, format!("task {task}: an event is no progress: {error}"));
                        continue;
                    }
                };
                watched.note_event(task, event.id.as_deref(), view.state.is_end());
                seen.send_replace(Some(view.state));
                if watched.note(task, &view) {
                    return;
                }
            }
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = give_up.cancelled() => return,
        }
    }
}

impl Watched {
    /// What was seen last, in words.
    pub(crate) fn described(&self) -> String {
        self.last.map_or_else(
            || "never".to_owned(),
            |(state, percent, attempt)| format!("{state}, {percent} %, attempt {attempt}"),
        )
    }

    fn report(&mut self, promise: Promise, detail: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation::new(promise, detail));
        }
    }

    /// Compares a snapshot with the one before; `true` at the end.
    fn note(&mut self, task: &str, view: &ProgressView) -> bool {
        let now = (view.state, view.percent, view.attempt);
        if let Some(before) = self.last {
            let shown =
                |(state, percent, attempt): (TaskState, f64, u32)| format!("{state}, {percent} %, attempt {attempt}");
            let back_to_queue = view.state == TaskState::Queued && before.0 != TaskState::Queued;
            if view.percent < before.1 || view.attempt < before.2 || back_to_queue {
                self.report(
                    Promise::ProgressRises,
                    format!("task {task}: from {} back to {}", shown(before), shown(now)),
                );
            }
        }
        self.last = Some(now);
        if view.state.is_end() {
            self.end = Some((view.state, Instant::now()));
        }
        view.state.is_end()
    }

    /// The ids of events rise; only an end may come twice.
    fn note_event(&mut self, task: &str, id: Option<&str>, is_end: bool) {
        let Some(id) = id.and_then(|id| id.parse::<u64>().ok()) else {
            return self.report(Promise::ProgressRises, format!("task {task}: the id of an event is {id:?}"));
        };
        if let Some(before) = self.last_event
            && (id < before || (id == before && !is_end))
        {
            self.report(Promise::ProgressRises, format!("task {task}: event {id} after event {before}"));
        }
        self.last_event = Some(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(state: TaskState, percent: f64, attempt: u32) -> ProgressView {
        let view = serde_json::json!({"task_id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "state": state, "percent": percent,
            "rate": 0.0, "attempt": attempt, "updated_at": 1});
        serde_json::from_value(view).unwrap()
    }

    fn check(name: &str, seen: &[(TaskState, f64, u32)], violations: usize) {
        let mut watched = Watched::default();
        for &(state, percent, attempt) in seen {
            watched.note("t", &view(state, percent, attempt));
        }
        assert_eq!(watched.violations.len(), violations, "{name}: {:?}", watched.violations);
    }

    #[test]
    fn progress_that_runs_backwards_is_seen() {
        use TaskState::{Queued, Retrying, Running, Succeeded};
        check("rises", &[(Queued, 0.0, 0), (Running, 0.0, 1), (Running, 50.0, 1), (Succeeded, 100.0, 1)], 0);
        check("stands", &[(Running, 50.0, 1), (Retrying, 50.0, 1), (Running, 50.0, 2)], 0);
        check("percent", &[(Running, 50.0, 1), (Running, 49.9, 2)], 1);
        check("attempt", &[(Running, 50.0, 2), (Running, 60.0, 1)], 1);
        check("state", &[(Running, 0.0, 1), (Queued, 0.0, 1)], 1);
    }

    #[test]
    fn events_that_come_twice_are_seen() {
        let mut watched = Watched::default();
        for (id, is_end) in [("1", false), ("4", false), ("9", true), ("9", true)] {
            watched.note_event("t", Some(id), is_end);
        }
        assert!(watched.violations.is_empty());
        watched.note_event("t", Some("9"), false);
        watched.note_event("t", None, false);
        assert_eq!(watched.violations.len(), 2);
    }
}
