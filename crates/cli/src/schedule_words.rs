//! Schedules in words.

use crate::report::short;
use crate::table::table;
use candlemill_client::forms::{FireView, NextFire, SchedulePreview, ScheduleState, ScheduleView};
use candlemill_shared::schedule::{FireRange, FireState, Template};

/// What a schedule would do.
#[must_use]
pub fn preview(preview: &SchedulePreview) -> String {
    format!("{}\n{}", preview.words, next_fires(&preview.next_fires))
}

/// A schedule and its next fires.
#[must_use]
pub fn whole(schedule: &ScheduleView) -> String {
    let mut lines = vec![
        format!("{}  {}", schedule.schedule_id, schedule.name),
        format!("state      {}", state(schedule)),
        format!("when       {}", schedule.words),
        format!("submits    {}", template(&schedule.template)),
        format!("policies   misfire {}, overlap {}", word(&schedule.misfire), word(&schedule.overlap)),
    ];
    if let Some(note) = &schedule.note {
        lines.push(format!("note       {note}"));
    }
    if schedule.failed_in_a_row > 0 {
        lines.push(format!("failed     {} fires in a row", schedule.failed_in_a_row));
    }
    if let Some(until) = schedule.valid_until {
        lines.push(format!("valid      until {} without a sign of you", short(until)));
    }
    if !schedule.next_fires.is_empty() {
        lines.push(next_fires(&schedule.next_fires));
    }
    lines.join("\n")
}

fn next_fires(fires: &[NextFire]) -> String {
    if fires.is_empty() {
        return "no more fires".to_owned();
    }
    let row = |fire: &NextFire| {
        let moved = if fire.moved_by_daylight_saving { "moved by daylight saving" } else { "" };
        vec![short(fire.due_at), fire.local.clone(), moved.to_owned()]
    };
    let heading = ["NEXT FIRES (UTC)", "LOCAL", ""].map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(fires.iter().map(row)).collect::<Vec<_>>())
}

/// Schedules, one a line.
#[must_use]
pub fn list(schedules: &[ScheduleView]) -> String {
    if schedules.is_empty() {
        return "no schedules".to_owned();
    }
    let row = |schedule: &ScheduleView| {
        let next = schedule.next_fires.first().map_or_else(String::new, |fire| short(fire.due_at));
        let failed = if schedule.failed_in_a_row > 0 { schedule.failed_in_a_row.to_string() } else { String::new() };
        let id = schedule.schedule_id.to_string();
        let submits = template(&schedule.template);
        vec![id, schedule.name.clone(), state(schedule), next, failed, schedule.words.clone(), submits]
    };
    let heading = ["SCHEDULE", "NAME", "STATE", "NEXT (UTC)", "FAILED", "WHEN", "SUBMITS"].map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(schedules.iter().map(row)).collect::<Vec<_>>())
}

/// Fires, one a line.
#[must_use]
pub fn fires(fires: &[FireView]) -> String {
    if fires.is_empty() {
        return "no fires yet".to_owned();
    }
    let row = |fire: &FireView| {
        let mut state = word(&fire.state);
        if fire.manual {
            state.push_str(" (by hand)");
        }
        if let (FireState::Missed, Some(count)) = (fire.state, fire.missed) {
            state = format!("{state} × {count}");
        }
        let range = fire
            .range
            .as_ref()
            .map_or_else(String::new, |range| format!("{} … {}", short(range.start), short(range.end)));
        let task = fire.task_id.map_or_else(String::new, |id| id.to_string());
        let why = fire.why.as_ref().map_or_else(String::new, |why| why.detail.clone());
        vec![short(fire.due_at), state, range, task, why]
    };
    let heading = ["DUE (UTC)", "STATE", "RANGE", "TASK", "WHY"].map(str::to_owned).to_vec();
    table(&[heading].into_iter().chain(fires.iter().map(row)).collect::<Vec<_>>())
}

fn state(schedule: &ScheduleView) -> String {
    match (schedule.state, &schedule.paused_by) {
        (ScheduleState::Paused, Some(by)) => format!("paused by {}", word(by)),
        (state, _) => word(&state),
    }
}

fn template(template: &Template) -> String {
    let what = match template {
        Template::Fetch(one) | Template::Verify(one) => one.symbol.to_string(),
        Template::Study(one) => one.symbol.to_string(),
        Template::Batch(many) => match (&many.symbols, &many.quote_asset) {
            (Some(symbols), _) => format!("{} symbols", symbols.len()),
            (None, asset) => format!("all against {}", asset.as_deref().unwrap_or("nothing")),
        },
    };
    let range = match template.range() {
        FireRange::JustClosed(_) => "the interval just closed".to_owned(),
        FireRange::Last(span) => format!("the last {span}"),
        FireRange::SinceLastSuccess(_) => "since the last success".to_owned(),
    };
    format!("{} {what} {}, {range}", template.name(), template.interval())
}

/// A name of the wire.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
