//! `candlemill schedule create`, `preview`, `list`, `show`, `fires`, `pause`, `resume`, `run`, `delete`

use super::operators::Operator;
use super::schedule_template::TemplateWords;
use crate::context::Context;
use crate::output::{note, say};
use anyhow::Result;
use candlemill_cli::schedule_words;
use candlemill_client::forms::{
    FireFilter, PageLimit, ScheduleChange, ScheduleFilter, ScheduleList, WebhookRequest, WhenForm,
};
use candlemill_client::parse_time;
use candlemill_shared::Timestamp;
use candlemill_shared::schedule::{Misfire, Overlap, Span};
use clap::{Args, Subcommand, ValueEnum};
use futures::TryStreamExt as _;

/// Has work submitted by the clock.
#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Creates a schedule, and shows its next fires.
    Create(Box<Create>),
    /// Shows what a schedule would do; nothing is stored.
    Preview(Box<Create>),
    /// Lists your schedules, the newest first.
    List(List),
    /// Shows a schedule and its next fires.
    Show(One),
    /// Lists what became of a schedule's fires.
    Fires(Fires),
    /// Lets a schedule rest.
    Pause(Changed),
    /// Lets a schedule fire again.
    Resume(Changed),
    /// Fires a schedule now.
    Run(Run),
    /// Deletes a schedule; its tasks go on.
    Delete(Changed),
}

/// When it fires, and what each fire submits.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is called.
    name: String,
    /// Cron pattern of five fields, or six with seconds first, as in "*/15 * * * *".
    #[arg(long, required_unless_present = "every")]
    cron: Option<String>,
    /// Zone of the pattern, as in Europe/Berlin; UTC when left out.
    #[arg(long, requires = "cron")]
    time_zone: Option<String>,
    /// Time between two fires in place of a pattern, as in 15m.
    #[arg(long, conflicts_with = "cron")]
    every: Option<Span>,
    /// A time at which a schedule with --every is due.
    #[arg(long, requires = "every", value_parser = parse_time)]
    anchor: Option<Timestamp>,
    #[command(flatten)]
    template: TemplateWords,
    /// It is not due before this.
    #[arg(long, value_parser = parse_time)]
    start: Option<Timestamp>,
    /// It is not due from this time on.
    #[arg(long, value_parser = parse_time)]
    end: Option<Timestamp>,
    /// Seconds over which fires are spread.
    #[arg(long)]
    jitter: Option<u32>,
    /// Seconds from the due time to the fire; 10 when left out.
    #[arg(long)]
    delay: Option<u32>,
    /// What becomes of fires that are late; once when left out.
    #[arg(long, value_enum)]
    misfire: Option<MisfireName>,
    /// What becomes of a fire while the one before has not ended; skip when left out.
    #[arg(long, value_enum)]
    overlap: Option<OverlapName>,
    /// A note.
    #[arg(long)]
    note: Option<String>,
    /// URL that is told of failures by a signed POST.
    #[arg(long)]
    webhook: Option<String>,
    /// So many failed fires in a row are told.
    #[arg(long, requires = "webhook")]
    alert_after: Option<u32>,
    /// So many failed fires in a row pause it.
    #[arg(long)]
    pause_after: Option<u32>,
}

/// What becomes of fires that are late.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum MisfireName {
    /// None is made up for.
    Skip,
    /// The latest is.
    Once,
    /// Up to 100 are.
    All,
}

/// What becomes of a fire while the one before has not ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OverlapName {
    /// It is skipped.
    Skip,
    /// It waits; one at most.
    QueueOne,
    /// The one before is cancelled.
    CancelRunning,
    /// Both run.
    Allow,
}

/// Lists schedules.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Everybody's (operators).
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    operator: Operator,
}

/// A schedule.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id.
    id: String,
}

/// A schedule that is changed.
#[derive(Debug, Args)]
pub(crate) struct Changed {
    /// Its id.
    id: String,
    /// Anybody's (operators).
    #[arg(long)]
    any: bool,
    #[command(flatten)]
    operator: Operator,
}

/// Fires of a schedule.
#[derive(Debug, Args)]
pub(crate) struct Fires {
    /// The schedule's id.
    id: String,
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

/// Fires a schedule now.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The schedule's id.
    id: String,
    /// Makes a repeated call the same fire.
    #[arg(long)]
    idempotency_key: Option<String>,
}

impl Schedule {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Create(command) => {
                let made = context.api().await?.create_schedule(&command.request()?).await?;
                context.answer(&made, || schedule_words::whole(&made))
            }
            Self::Preview(command) => {
                let shown = context.api().await?.preview_schedule(&command.request()?).await?;
                context.answer(&shown, || schedule_words::preview(&shown))
            }
            Self::List(command) => command.run(context).await,
            Self::Show(command) => {
                let found = context.api().await?.schedule(command.id.as_str()).await?;
                context.answer(&found, || schedule_words::whole(&found))
            }
            Self::Fires(command) => {
                let filter = FireFilter { cursor: None, limit: Some(PageLimit::nearest(command.limit).into()) };
                let found = context.api().await?.fires(command.id.as_str(), &filter).await?;
                context.answer(&found, || schedule_words::fires(&found.fires))
            }
            Self::Pause(command) => command.pause(context, true).await,
            Self::Resume(command) => command.pause(context, false).await,
            Self::Run(command) => {
                let key = command.idempotency_key.as_deref();
                let accepted = context.api().await?.run_schedule(command.id.as_str(), key).await?;
                if context.json() { context.answer(&accepted, String::new) } else { say(&accepted.task_id.to_string()) }
            }
            Self::Delete(command) => command.delete(context).await,
        }
    }
}

impl Create {
    fn request(self) -> Result<ScheduleChange> {
        let when = WhenForm {
            cron: self.cron,
            time_zone: self.time_zone,
            every: self.every.map(|every| every.to_string()),
            anchor: self.anchor,
        };
        let misfire = self.misfire.map(|name| match name {
            MisfireName::Skip => Misfire::Skip,
            MisfireName::Once => Misfire::Once,
            MisfireName::All => Misfire::All,
        });
        let overlap = self.overlap.map(|name| match name {
            OverlapName::Skip => Overlap::Skip,
            OverlapName::QueueOne => Overlap::QueueOne,
            OverlapName::CancelRunning => Overlap::CancelRunning,
            OverlapName::Allow => Overlap::Allow,
        });
        Ok(ScheduleChange {
            name: Some(self.name.into()),
            note: self.note.map(|note| Some(note).into()),
            when: Some(when.into()),
            start: self.start.map(|at| Some(at).into()),
            end: self.end.map(|at| Some(at).into()),
            jitter_seconds: self.jitter.map(Into::into),
            delay_seconds: self.delay.map(Into::into),
            template: Some(self.template.read()?.into()),
            misfire: misfire.map(Into::into),
            overlap: overlap.map(Into::into),
            webhook: self.webhook.map(|url| Some(WebhookRequest { url }).into()),
            alert_after: self.alert_after.map(|after| Some(after).into()),
            pause_after: self.pause_after.map(|after| Some(after).into()),
            paused: None,
        })
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<()> {
        let filter = ScheduleFilter { cursor: None, limit: Some(PageLimit::nearest(u32::MAX).into()) };
        let list = if self.all {
            self.operator.api(context)?.all_schedules(&filter).await?
        } else {
            let api = context.api().await?;
            ScheduleList { schedules: api.every_schedule(filter).try_collect().await?, next_cursor: None }
        };
        context.answer(&list, || schedule_words::list(&list.schedules))
    }
}

impl Changed {
    async fn pause(self, context: &Context, pauses: bool) -> Result<()> {
        let id = self.id.as_str();
        let changed = match (self.any, pauses) {
            (true, true) => self.operator.api(context)?.pause_schedule(id).await?,
            (true, false) => self.operator.api(context)?.resume_schedule(id).await?,
            (false, _) => {
                let change = ScheduleChange { paused: Some(pauses.into()), ..ScheduleChange::default() };
                context.api().await?.change_schedule(id, &change).await?
            }
        };
        context.answer(&changed, || schedule_words::whole(&changed))
    }

    async fn delete(self, context: &Context) -> Result<()> {
        if self.any {
            self.operator.api(context)?.delete_any_schedule(self.id.as_str()).await?;
        } else {
            context.api().await?.delete_schedule(self.id.as_str()).await?;
        }
        note(&format!("schedule {} is deleted", self.id));
        Ok(())
    }
}
