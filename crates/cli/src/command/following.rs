//! Following tasks to their ends, several at once.

use super::task_words::result_words;
use crate::context::Context;
use crate::exit::{FAILED, INTERRUPTED, code_of, words};
use crate::output::{note, say, say_json_line};
use anyhow::{Context as _, Error, Result};
use candlemill_cli::Bars;
use candlemill_client::Api;
use candlemill_client::forms::TaskView;
use candlemill_shared::task::TaskState;
use futures::{StreamExt as _, stream};
use std::cell::RefCell;
use tokio::sync::Notify;

/// Tasks that are followed at once; the others come after them.
const AT_ONCE: usize = 8;

/// A task to follow.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    pub(super) id: String,
    /// What is shown beside its bar.
    pub(super) label: String,
}

/// Follows all tasks and writes how they ended. The exit code is that of the worst end; Ctrl-C leaves them as they are.
pub(super) async fn follow_all(context: &Context, api: Api, tasks: Vec<Followed>) -> Result<u8> {
    let bars = Bars::for_labels(tasks.iter().map(|task| task.label.as_str()));
    let output = Output::default();
    let following = stream::iter(tasks.clone())
        .map(|task| async { (follow(context, &api, &bars, &task, &output).await, task) })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let ends = tokio::select! {
        ends = following => ends,
        pressed = tokio::signal::ctrl_c() => {
            pressed.context("listening for Ctrl-C")?;
            drop(bars);
            note(&left_alone(context.program(), &tasks));
            return Ok(INTERRUPTED);
        }
        () = output.closed.notified() => Vec::new(),
    };
    if let Some(error) = output.failed.take() {
        return Err(error);
    }
    let several = ends.len() > 1;
    let mut code = 0;
    for (end, Followed { label, .. }) in ends {
        let heading = if several { format!("{label}: ") } else { String::new() };
        match end {
            Ok(task) => {
                if !context.json() {
                    say(&format!("{heading}{}", result_words(&task)))?;
                }
                code = code.max(if task.state == TaskState::Succeeded { 0 } else { FAILED });
            }
            Err(error) if several => {
                note(&format!("{heading}{}", words(&error)));
                code = code.max(code_of(&error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(code)
}

/// Standard output, as the events of many tasks are written to it.
#[derive(Default)]
struct Output {
    failed: RefCell<Option<Error>>,
    closed: Notify,
}

impl Output {
    fn note(&self, written: Result<()>) {
        if let Err(error) = written {
            self.failed.replace(Some(error));
            self.closed.notify_one();
        }
    }
}

/// Follows one task and reads its record. A token that expires meanwhile is renewed where there is a login.
async fn follow(context: &Context, api: &Api, bars: &Bars, task: &Followed, output: &Output) -> Result<TaskView> {
    let mut bar = (!context.json()).then(|| bars.add(&task.label));
    let mut api = api.clone();
    loop {
        let followed = api.follow(&task.id, |progress| match &mut bar {
            Some(bar) => bar.show(progress),
            None => output.note(say_json_line(progress)),
        });
        match followed.await {
            Ok(_) => break,
            Err(refused) if refused.status() == Some(401) => {
                api = context.renewed(&api).await?.ok_or(refused)?;
            }
            Err(error) => {
                if let Some(bar) = &bar {
                    bar.leave();
                }
                return Err(error.into());
            }
        }
    }
    let record = api.task(&task.id).await?;
    if context.json() {
        output.note(say_json_line(&record));
    }
    Ok(record)
}

/// What is said when Ctrl-C ends the following.
fn left_alone(program: &str, tasks: &[Followed]) -> String {
    let mut text = match tasks.len() {
        1 => "No longer followed; the task goes on.".to_owned(),
        _ => "No longer followed; the tasks go on.".to_owned(),
    };
    for Followed { id, .. } in tasks {
        text += &format!("\n  follow it: {program} follow {id}\n  cancel it: {program} cancel {id}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_names_the_commands() {
        let task = |id: &str| Followed { id: id.to_owned(), label: String::new() };
        let text = left_alone("candlemill --api http://a", &[task("T")]);
        assert!(text.contains("the task goes on"), "{text}");
        assert!(text.contains("candlemill --api http://a follow T\n"), "{text}");
        assert!(text.ends_with("candlemill --api http://a cancel T"), "{text}");
        assert!(left_alone("candlemill", &[task("T"), task("U")]).contains("the tasks go on"));
    }
}
