//! The schedule of a run: it fires every minute, over recorded candles.

use super::screen::Screen;
use anyhow::{Context as _, Result, bail};
use candlemill_cli::schedule_words;
use candlemill_client::Api;
use candlemill_client::forms::{FireFilter, PageLimit, ScheduleChange, ScheduleFilter, WhenForm};
use candlemill_shared::Exchange;
use candlemill_shared::schedule::{FireRange, FireState, ScheduleId, SeriesTemplate, Template};
use futures::TryStreamExt as _;
use std::time::Duration;

const NAME: &str = "the daily candles of the last 400 days, compared every minute";
/// Longest wait for a fire that has ended: one is due within a minute.
const MAX_WAIT: Duration = Duration::from_secs(100);
const LOOK: Duration = Duration::from_millis(500);
/// Fires that are shown.
const SHOWN: u32 = 5;

/// Creates the schedule, unless an earlier run has; shows when it fires.
pub(crate) async fn create(api: &Api, screen: &mut Screen) -> Result<ScheduleId> {
    let mut earlier = std::pin::pin!(api.every_schedule(ScheduleFilter::default()));
    while let Some(schedule) = earlier.try_next().await.context("listing the schedules")? {
        if schedule.name == NAME {
            screen.note(&format!("GET /api/schedules/{}", schedule.schedule_id))?;
            screen.indented(&schedule_words::whole(&schedule))?;
            return Ok(schedule.schedule_id);
        }
    }
    screen.note("POST /api/schedules  * * * * *  verify BTCUSDT 1d, the last 400 days")?;
    let template = Template::Verify(SeriesTemplate {
        exchange: Exchange::default(),
        symbol: "BTCUSDT".parse()?,
        interval: "1d".parse()?,
        range: FireRange::Last("400d".parse().map_err(anyhow::Error::msg)?),
    });
    let when = WhenForm { cron: Some("* * * * *".to_owned()), ..WhenForm::default() };
    let wanted = ScheduleChange {
        name: Some(NAME.to_owned().into()),
        when: Some(when.into()),
        delay_seconds: Some(0.into()),
        template: Some(template.into()),
        ..ScheduleChange::default()
    };
    let made = api.create_schedule(&wanted).await.context("creating the schedule")?;
    screen.indented(&schedule_words::whole(&made))?;
    Ok(made.schedule_id)
}

/// Shows the newest fires, as soon as one has ended.
pub(crate) async fn show_fires(api: &Api, screen: &mut Screen, id: ScheduleId) -> Result<()> {
    screen.note(&format!("GET /api/schedules/{id}/fires"))?;
    let filter = FireFilter { cursor: None, limit: Some(PageLimit::nearest(SHOWN).into()) };
    let ended = async {
        loop {
            let found = api.fires(id, &filter).await.context("reading the fires")?;
            if found.fires.iter().any(|fire| fire.state == FireState::Succeeded) {
                return anyhow::Ok(found);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let Ok(found) = tokio::time::timeout(MAX_WAIT, ended).await else {
        bail!("no fire of schedule {id} has succeeded within {} s", MAX_WAIT.as_secs());
    };
    screen.indented(&schedule_words::fires(&found?.fires))
}
