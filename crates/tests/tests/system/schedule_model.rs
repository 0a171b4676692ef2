//! Several schedulers, killed, cut off and silent at random for days of virtual time, against what the rules say of every due time.

use crate::harness::{Harness, recorded};
use candlemill_devkit::FaultProxy;
use candlemill_market_store::MarketStore;
use candlemill_shared::env::Env;
use candlemill_shared::schedule::{
    FailurePolicy, FireRecord, FireState, Misfire, Overlap, ScheduleId, ScheduleRecord, ScheduleSpec, Template, Timing,
    When,
};
use candlemill_shared::tier::{Tier, TierTable};
use candlemill_shared::webhook::WebhookConfig;
use candlemill_shared::{Clock, ManualClock, Timestamp};
use candlemill_tasks::{FireSelection, OwnerRecord, OwnerState, StoreClock, TaskEngine, TaskService};
use candlemill_worker::Scheduler;
use mongodb::bson::doc;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const OWNER: &str = "u";
/// A fire is late after this, ms.
const LATE: i64 = 60_000;

/// Thirteen hours before Europe's clocks go forward, and in the future, so that nothing that ends vanishes.
const START: &str = "2027-03-27T12:00:00Z";
const DAY_MS: i64 = 86_400_000;
/// Days of virtual time; `SCHEDULE_MODEL_DAYS` sets another number, `SCHEDULE_MODEL_SEED` another course.
const DAYS: i64 = 1;
/// A scheduler whose link is cut is killed after this.
const CUT: Duration = Duration::from_millis(200);

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().ms()
}

fn schedule(id: i64, when: serde_json::Value, misfire: Misfire) -> ScheduleRecord {
    let when: When = serde_json::from_value(when).unwrap();
    let template = json!({"kind": "fetch", "symbol": "BTCUSDT", "interval": "1m", "range": {"just_closed": true}});
    let template: Template = serde_json::from_value(template).unwrap();
    let start = ms(START);
    let mut made = ScheduleRecord {
        id: ScheduleId::new(start + id),
        owner: OWNER.to_owned(),
        revision: 1,
        spec: ScheduleSpec {
            name: format!("{id}"),
            note: None,
            timing: Timing { jitter_seconds: 7, ..Timing::from(when) },
            template,
            misfire,
            overlap: Overlap::Allow,
            webhook: None,
            failures: FailurePolicy::default(),
        },
        paused: None,
        fired_until: start,
        next_at: None,
        covered_until: None,
        failed_in_a_row: 0,
        deleted_at: None,
        created_at: start,
        updated_at: start,
        events: Vec::new(),
    };
    made.next_at = made.next_fire_at();
    made
}

fn scheduler(tasks: &TaskEngine, clock: &Arc<ManualClock>) -> Scheduler {
    let tiers = Arc::new(TierTable::default());
    let service = TaskService::start(tasks, Arc::clone(&tiers), WebhookConfig::from_env(&Env::default()).unwrap());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Scheduler::by_clock(tasks, service, MarketStore::new(tasks.db()), tiers, StoreClock::given(clock))
}

/// Three schedulers, the third behind a link that is cut now and then.
struct Model {
    harness: Harness,
    clock: Arc<ManualClock>,
    schedulers: Vec<Scheduler>,
    link: FaultProxy,
    /// When a look went to its end, UTC ms.
    looks: BTreeSet<i64>,
}

impl Model {
    async fn start() -> Self {
        let harness = Harness::start(recorded()).await;
        let clock = Arc::new(ManualClock::at(ms(START)));
        let (link, behind) = harness.store_behind_proxy().await;
        let stores = [harness.tasks.clone(), harness.another_store().await, behind];
        let schedulers = stores.iter().map(|tasks| scheduler(tasks, &clock)).collect();
        let owner = OwnerRecord {
            id: OWNER.to_owned(),
            tier: Tier::Enterprise,
            state: OwnerState::Active,
            confirmed_at: ms(START),
        };
        harness.tasks.owners().confirm(&owner).await.unwrap();
        Self { harness, clock, schedulers, link, looks: BTreeSet::new() }
    }

    /// One step of virtual time, with whatever happens in it.
    async fn step(&mut self, rng: &mut StdRng) {
        // Mostly some seconds; at times nobody looks for long.
        let step =
            if rng.random_bool(0.03) { rng.random_range(60_000..7_200_000) } else { rng.random_range(1_000..900_000) };
        self.clock.advance(step);
        let cut = rng.random_bool(0.1);
        if cut {
            self.link.cut().await;
        }
        let now = self.clock.now_ms();
        let looks = self.schedulers.iter().enumerate().map(|(index, scheduler)| {
            let (looks, dies) = (rng.random_bool(0.7), rng.random_bool(0.3));
            let after = Duration::from_micros(rng.random_range(0..30_000));
            let is_cut = cut && index == 2;
            async move {
                if !looks {
                    return false;
                }
                // A scheduler that is dropped in the middle is as one that is killed there.
                let longest = match (dies, is_cut) {
                    (true, _) => after,
                    (false, true) => CUT,
                    (false, false) => Duration::from_secs(30),
                };
                matches!(tokio::time::timeout(longest, scheduler.look()).await, Ok(Ok(_)))
            }
        });
        if futures::future::join_all(looks).await.contains(&true) {
            self.looks.insert(now);
        }
        if cut {
            self.link.restore().await;
        }
    }

    /// Every due time of `schedule` has the fate that the rules say.
    async fn check(&self, schedule: &ScheduleRecord) {
        let schedules = self.harness.tasks.schedules();
        let selection = FireSelection { schedule: schedule.id, before: None, limit: 1_000_000 };
        let fires = schedules.fires(selection).await.unwrap();
        let (missed, made): (Vec<&FireRecord>, Vec<&FireRecord>) =
            fires.iter().partition(|fire| fire.state == FireState::Missed);
        let until = schedules.get(schedule.id, None).await.unwrap().unwrap().fired_until;
        let timing = &schedule.spec.timing;
        let due = std::iter::successors(timing.next_after(schedule.fired_until), |due| timing.next_after(*due));
        let due: BTreeSet<i64> = due.take_while(|due| *due <= until).collect();
        let fired: BTreeSet<i64> = made.iter().map(|fire| fire.due_at).collect();
        let name = &schedule.spec.name;
        assert_eq!(fired.len(), made.len(), "{name}: no due time has two fires");
        assert!(
            fired.is_subset(&due),
            "{name}: a fire that was never due: {:?}",
            fired.difference(&due).collect::<Vec<_>>()
        );
        // What did not fire is told as missed.
        let is_told = |at: i64| {
            missed.iter().any(|fire| fire.missed.is_some_and(|missed| (missed.first..=fire.due_at).contains(&at)))
        };
        let lost: Vec<_> = due.difference(&fired).filter(|at| !is_told(**at)).collect();
        assert_eq!(lost, Vec::<&i64>::new(), "{name}: neither fired nor told as missed");
        for at in &due {
            let fire_at = timing.fire_at(&schedule.id.to_string(), *at);
            let in_time = self.looks.range(fire_at..=fire_at + LATE).next().is_some();
            let has_fired = fired.contains(at);
            match schedule.spec.misfire {
                // No rest was longer than what `all` makes up for.
                Misfire::All => assert!(has_fired, "{name}: {at}"),
                Misfire::Skip | Misfire::Once if in_time => {
                    // A later one that was due in the same look stands for it only where it is late.
                    assert!(has_fired, "{name}: {at} was due when somebody looked");
                }
                Misfire::Skip | Misfire::Once => {}
            }
        }
        if schedule.spec.misfire == Misfire::Once {
            // The last one before each complete look has fired.
            for look in &self.looks {
                let ready = due.iter().take_while(|at| timing.fire_at(&schedule.id.to_string(), **at) <= *look).last();
                if let Some(last) = ready {
                    assert!(fired.contains(last), "{name}: {last} was the last before {look}");
                }
            }
        }
        // One task for each fire, and no other.
        for fire in &made {
            assert_eq!((fire.state, fire.task), (FireState::Started, Some(fire.task_id())), "{name}: {fire:?}");
        }
        let tasks = self.harness.documents().await;
        let count = tasks.count_documents(doc! { "schedule": schedule.id.to_string() }).await.unwrap();
        assert_eq!(count, made.len() as u64, "{name}: tasks");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "longer courses are asked for by variables of the test's own")]
async fn every_due_time_has_one_fate_whoever_dies() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<i64>().ok());
    let days = number("SCHEDULE_MODEL_DAYS").unwrap_or(DAYS);
    let seed = number("SCHEDULE_MODEL_SEED").unwrap_or(20_261_128);
    let mut rng = StdRng::seed_from_u64(seed.unsigned_abs());
    let mut model = Model::start().await;
    let made = [
        schedule(1, json!({"cron": "*/7 * * * *", "time_zone": "UTC"}), Misfire::All),
        schedule(2, json!({"cron": "*/5 * * * *", "time_zone": "UTC"}), Misfire::Skip),
        schedule(3, json!({"cron": "*/3 * * * *", "time_zone": "Europe/Berlin"}), Misfire::Once),
        schedule(4, json!({"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}), Misfire::Once),
        schedule(5, json!({"every_seconds": 900, "anchor": 0}), Misfire::Skip),
    ];
    for schedule in &made {
        model.harness.tasks.schedules().create(schedule).await.unwrap();
    }
    while model.clock.now_ms() < ms(START) + days * DAY_MS {
        model.step(&mut rng).await;
    }
    // What was claimed by the dead is submitted by the living.
    for _ in 0..2 {
        model.clock.advance(10_000);
        model.schedulers[0].look().await.unwrap();
        model.looks.insert(model.clock.now_ms());
    }
    for schedule in &made {
        model.check(schedule).await;
    }
}
