//! Reading what a schedule is to be, and asking whether its owner may have it.

use crate::error::Problem;
use crate::market_data::wanted;
use crate::state::AppState;
use candlemill_shared::forms::{FieldErrors, Given, MAX_NOTE, MAX_SCHEDULE_NAME, ScheduleChange, WebhookRequest};
use candlemill_shared::job::{FetchBatch, FetchHistory, Listings, SeasonalityStudy};
use candlemill_shared::request::TaskRequest;
use candlemill_shared::schedule::{
    DEFAULT_DELAY_SECONDS, FailurePolicy, Misfire, Overlap, ScheduleSpec, Template, Timing,
};
use candlemill_shared::{TimeRange, Timestamp};
use candlemill_tasks::Grant;

/// Largest number of failed fires in a row that a policy names.
const MAX_FAILURES: u32 = 1_000;

/// The schedule that `change` makes of `base`, or a new one; or every member that is wrong at `now` (UTC ms).
pub(super) fn read(change: ScheduleChange, base: Option<&ScheduleSpec>, now: i64) -> Result<ScheduleSpec, Problem> {
    let mut wrong = FieldErrors::default();
    let name = given_or(&mut wrong, "name", change.name, base.map(|spec| spec.name.clone()));
    let name = name.map(|name| name.trim().to_owned());
    if let Some(name) = &name
        && !(1..=MAX_SCHEDULE_NAME).contains(&name.chars().count())
    {
        wrong.refuse("name", format!("must have 1 to {MAX_SCHEDULE_NAME} characters"));
    }
    let note = nullable(&mut wrong, "note", change.note, base.and_then(|spec| spec.note.clone()));
    if note.as_ref().is_some_and(|note: &String| note.chars().count() > MAX_NOTE) {
        wrong.refuse("note", format!("must have at most {MAX_NOTE} characters"));
    }
    for (field, text) in [("name", &name), ("note", &note)] {
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            wrong.refuse(field, "has a NUL character");
        }
    }
    let when = match change.when {
        None => given_or(&mut wrong, "when", None, base.map(|spec| spec.timing.when.clone())),
        Some(Given::Wrong(why)) => {
            wrong.refuse("when", why);
            None
        }
        Some(Given::Read(form)) => form
            .read()
            .map_err(|faults| faults.into_iter().for_each(|(field, why)| wrong.refuse(field, why)))
            .ok()
            .or_else(|| base.map(|spec| spec.timing.when.clone())),
    };
    let timing = base.map(|spec| &spec.timing);
    let start_at = nullable(&mut wrong, "start", change.start, timing.and_then(|t| t.start_at.map(Timestamp::from)));
    let end_at = nullable(&mut wrong, "end", change.end, timing.and_then(|t| t.end_at.map(Timestamp::from)));
    let jitter = wrong.optional("jitter_seconds", change.jitter_seconds);
    let delay = wrong.optional("delay_seconds", change.delay_seconds);
    let template = given_or(&mut wrong, "template", change.template, base.map(|spec| spec.template.clone()));
    let misfire = wrong.optional("misfire", change.misfire).or(base.map(|spec| spec.misfire)).unwrap_or_default();
    let overlap = wrong.optional("overlap", change.overlap).or(base.map(|spec| spec.overlap)).unwrap_or_default();
    let webhook = base.and_then(|spec| spec.webhook.clone()).map(|url| WebhookRequest { url });
    let webhook = nullable(&mut wrong, "webhook", change.webhook, webhook).map(|webhook| webhook.url);
    let failures = base.map(|spec| spec.failures).unwrap_or_default();
    let failures = FailurePolicy {
        alert_after: nullable(&mut wrong, "alert_after", change.alert_after, failures.alert_after),
        pause_after: nullable(&mut wrong, "pause_after", change.pause_after, failures.pause_after),
    };
    for (field, after) in [("alert_after", failures.alert_after), ("pause_after", failures.pause_after)] {
        if after.is_some_and(|after| !(1..=MAX_FAILURES).contains(&after)) {
            wrong.refuse(field, format!("must be 1 to {MAX_FAILURES}"));
        }
    }
    if failures.alert_after.is_some() && webhook.is_none() {
        wrong.refuse("alert_after", "needs a webhook to tell it to");
    }
    let timing = when.map(|when| {
        let before = timing.cloned();
        Timing {
            start_at: start_at.map(Timestamp::ms),
            end_at: end_at.map(Timestamp::ms),
            jitter_seconds: jitter.or(before.as_ref().map(|t| t.jitter_seconds)).unwrap_or(0),
            delay_seconds: delay.or(before.map(|t| t.delay_seconds)).unwrap_or(DEFAULT_DELAY_SECONDS),
            when,
        }
    });
    if wrong.is_empty()
        && let Some(timing) = &timing
    {
        for (field, why) in timing.faults(now) {
            let field = match field {
                "start_at" => "start",
                "end_at" => "end",
                "every_seconds" => "when.every",
                "anchor" => "when.anchor",
                other => other,
            };
            wrong.refuse(field, why);
        }
        let gap = timing.shortest_gap_seconds(now);
        if gap.is_some_and(|gap| gap < u64::from(timing.jitter_seconds)) {
            wrong.refuse(
                "jitter_seconds",
                "must be no more than the shortest time between two fires, or they come in bunches",
            );
        }
    }
    if misfire == Misfire::All && overlap != Overlap::Allow {
        let told =
            "must be allow where misfire is all: fires that are made up for come together, and others would not start";
        wrong.refuse("overlap", told);
    }
    for (field, why) in template.iter().flat_map(|template| template.faults(now)) {
        wrong.refuse(field, why);
    }
    match (name, timing, template) {
        (Some(name), Some(timing), Some(template)) if wrong.is_empty() => {
            Ok(ScheduleSpec { name, note, timing, template, misfire, overlap, webhook, failures })
        }
        _ => Err(Problem::of_fields(wrong)),
    }
}

/// A member that must be there: as it is given, or as it was.
fn given_or<T>(wrong: &mut FieldErrors, field: &str, given: Option<Given<T>>, was: Option<T>) -> Option<T> {
    match (given, was) {
        (None, Some(was)) => Some(was),
        (given, _) => wrong.required(field, given),
    }
}

/// A member that may be taken away: as it is given, or as it was.
fn nullable<T>(wrong: &mut FieldErrors, field: &str, given: Option<Given<Option<T>>>, was: Option<T>) -> Option<T> {
    match given {
        None => was,
        Some(given) => wrong.optional(field, Some(given)).flatten(),
    }
}

/// What one fire would ask for.
pub(super) struct FireRequest {
    pub(super) range: TimeRange,
    pub(super) request: TaskRequest,
}

/// Why there is nothing to ask for.
pub(super) enum NoRequest {
    /// No interval has closed.
    NothingNew,
    /// Nothing trades against the quote asset.
    NoSymbols,
    /// The markets are not known yet.
    NoMarkets,
}

/// What a fire that is due at `due` (UTC ms) would ask for, by the tier of `grant`.
pub(super) async fn fire_request(
    state: &AppState,
    grant: &Grant,
    template: &Template,
    due: i64,
    covered_until: Option<i64>,
) -> Result<Result<FireRequest, NoRequest>, Problem> {
    let limits = state.tiers.of(grant.tier());
    let range = template.range().at(template.interval(), due, covered_until, limits.longest_range_candles);
    let Some(range) = range else { return Ok(Err(NoRequest::NothingNew)) };
    let symbols = match template.quote_asset() {
        None => Vec::new(),
        Some(quote) => match state.market.markets().trading_against(template.exchange(), quote).await? {
            None => return Ok(Err(NoRequest::NoMarkets)),
            Some(symbols) if symbols.is_empty() => return Ok(Err(NoRequest::NoSymbols)),
            Some(symbols) => symbols,
        },
    };
    let request = template.request(range, symbols).map_err(|error| Problem::internal(&error))?;
    Ok(Ok(FireRequest { range, request }))
}

/// Refuses what the owner's tier does not allow, or an exchange does not have: as `POST` of the same task would.
pub(super) async fn admit(state: &AppState, grant: &Grant, spec: &ScheduleSpec, now: i64) -> Result<(), Problem> {
    if let Some(gap) = spec.timing.shortest_gap_seconds(now) {
        state.tiers.admit_period(grant.tier(), gap)?;
    }
    let due = spec.timing.next_after(now).unwrap_or(now);
    match fire_request(state, grant, &spec.template, due, None).await? {
        Ok(FireRequest { request, .. }) => {
            let request = TaskRequest { webhook: spec.webhook.clone(), ..request };
            state.service.check(grant, &request, &Listings::default())?;
            let fetches = named(&spec.template, &request);
            wanted::refuse_unknown(state, grant, &fetches, None).await
        }
        Err(NoRequest::NoSymbols) => {
            let told = format!("{} trades nothing against it", spec.template.exchange());
            let mut wrong = FieldErrors::default();
            wrong.refuse("template.quote_asset", told);
            Err(Problem::of_fields(wrong))
        }
        // Known when it fires.
        Err(NoRequest::NothingNew | NoRequest::NoMarkets) => Ok(()),
    }
}

/// The fetches whose symbols the owner named.
fn named(template: &Template, request: &TaskRequest) -> Vec<FetchHistory> {
    let job = request.job();
    match template {
        Template::Batch(batch) if batch.symbols.is_some() => {
            job.open::<FetchBatch>().map(|batch| batch.fetches).unwrap_or_default()
        }
        Template::Batch(_) => Vec::new(),
        Template::Fetch(_) | Template::Verify(_) => job.open::<FetchHistory>().into_iter().collect(),
        // Its end is fixed, so that the time does not count.
        Template::Study(_) => job.open::<SeasonalityStudy>().map(|study| study.fetch(0)).into_iter().collect(),
    }
}
