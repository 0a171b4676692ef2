//! The queue beside a model of it: whatever is done to it in whatever order, a task stands where the model says, is handed
//! out to one holder at a time, and comes out once.

use crate::harness::{Harness, fetch};
use candlemill_shared::job::Pool;
use candlemill_shared::task::{TaskId, TaskRecord};
use candlemill_shared::{Clock, Interval, SystemClock};
use candlemill_simulator::SimulatorConfig;
use candlemill_tasks::queue::{Delivery, Depth, Queue};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use std::collections::HashMap;
use std::time::Duration;

const TASKS: usize = 12;
const OWNERS: usize = 3;
/// Never runs out here.
const LONG: Duration = Duration::from_secs(600);
/// Has run out at the next tick.
const SHORT: Duration = Duration::from_millis(1);
const HOUR: i64 = 3_600_000;

/// What is done to the queue. An index picks one of all deliveries that were ever made.
#[derive(Debug, Clone)]
enum Operation {
    Enqueue(Vec<usize>),
    Claim {
        most: usize,
        dies: bool,
    },
    Renew(Index),
    Settle(Index),
    Retry {
        delivery: Index,
        now: bool,
    },
    Remove(usize),
    Tick,
    /// Redis comes back with nothing.
    Forget,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        4 => prop::collection::vec(0..TASKS, 1..6).prop_map(Operation::Enqueue),
        5 => (0..5_usize, any::<bool>()).prop_map(|(most, dies)| Operation::Claim { most, dies }),
        2 => any::<Index>().prop_map(Operation::Renew),
        3 => any::<Index>().prop_map(Operation::Settle),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(delivery, now)| Operation::Retry { delivery, now }),
        1 => (0..TASKS).prop_map(Operation::Remove),
        3 => Just(Operation::Tick),
        1 => Just(Operation::Forget),
    ];
    prop::collection::vec(operation, 1..50)
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Outside,
    Waits,
    Delayed { due: bool },
    Held { token: String, dies: bool },
}

struct Model {
    records: Vec<TaskRecord>,
    numbers: HashMap<TaskId, usize>,
    places: Vec<Place>,
    /// With whether its claimer still believes that it holds it.
    deliveries: Vec<(Delivery, bool)>,
}

impl Model {
    /// Tasks of three owners, who may run one, two and three of theirs at once; the lower the number, the older.
    fn new(harness: &Harness) -> Self {
        let record = |number: usize| {
            let owner = number % OWNERS;
            let created_at = i64::try_from(number).unwrap();
            let job = fetch("BTCUSDT", Interval::Minute1, created_at * HOUR, (created_at + 1) * HOUR);
            let running_at_once = u32::try_from(owner + 1).unwrap();
            TaskRecord { created_at, running_at_once, ..harness.record(&format!("owner-{owner}"), &job) }
        };
        let records: Vec<TaskRecord> = (0..TASKS).map(record).collect();
        let numbers = records.iter().enumerate().map(|(number, record)| (record.id, number)).collect();
        Self { records, numbers, places: vec![Place::Outside; TASKS], deliveries: Vec::new() }
    }

    fn owned(&self, owner: usize, fits: impl Fn(&Place) -> bool) -> Vec<usize> {
        (owner..TASKS).step_by(OWNERS).filter(|number| fits(&self.places[*number])).collect()
    }

    fn depth(&self) -> Depth {
        let count = |fits: fn(&Place) -> bool| self.places.iter().filter(|place| fits(place)).count() as u64;
        Depth {
            waiting: count(|place| *place == Place::Waits),
            delayed: count(|place| matches!(place, Place::Delayed { .. })),
            held: count(|place| matches!(place, Place::Held { .. })),
        }
    }

    fn pick(&self, delivery: &Index) -> usize {
        if self.deliveries.is_empty() { 0 } else { delivery.index(self.deliveries.len()) }
    }

    /// The delivery of that number, if its claimer still believes in it.
    fn believed(&self, delivery: usize) -> Option<(usize, Delivery)> {
        let (delivery, believed) = self.deliveries.get(delivery)?;
        believed.then(|| (self.numbers[&delivery.task], delivery.clone()))
    }

    async fn carry_out(&mut self, harness: &Harness, operation: &Operation) {
        let queue = harness.tasks.queue(Pool::Backfill);
        match operation {
            Operation::Enqueue(numbers) => self.enqueue(queue, numbers).await,
            Operation::Claim { most, dies } => drop(self.claim(queue, *most, *dies).await),
            Operation::Renew(delivery) => self.renew(queue, self.pick(delivery)).await,
            Operation::Settle(delivery) => self.let_go(queue, self.pick(delivery), None).await,
            Operation::Retry { delivery, now } => self.let_go(queue, self.pick(delivery), Some(*now)).await,
            Operation::Remove(number) => {
                queue.remove(&self.records[*number]).await.unwrap();
                self.places[*number] = Place::Outside;
            }
            Operation::Tick => self.tick(queue, SystemClock.now_ms()).await,
            Operation::Forget => {
                harness.forget_redis().await;
                self.places.fill(Place::Outside);
            }
        }
        assert_eq!(queue.depth().await.unwrap(), self.depth(), "after {operation:?}");
    }

    async fn enqueue(&mut self, queue: &Queue, numbers: &[usize]) {
        let mut put = 0;
        for number in numbers {
            if self.places[*number] == Place::Outside {
                self.places[*number] = Place::Waits;
                put += 1;
            }
        }
        let records: Vec<&TaskRecord> = numbers.iter().map(|number| &self.records[*number]).collect();
        assert_eq!(queue.enqueue(&records).await.unwrap(), put);
    }

    /// Each owner's oldest come first, never more than the owner may run, and as many in all as there are.
    async fn claim(&mut self, queue: &Queue, most: usize, dies: bool) -> usize {
        let claimed = queue.claim("w", most, if dies { SHORT } else { LONG }).await.unwrap();
        let mut runnable = 0;
        for owner in 0..OWNERS {
            let held = self.owned(owner, |place| matches!(place, Place::Held { .. })).len();
            let waits = self.owned(owner, |place| *place == Place::Waits);
            let may = waits.len().min((owner + 1).saturating_sub(held));
            runnable += may;
            let own: Vec<usize> = claimed
                .iter()
                .map(|delivery| self.numbers[&delivery.task])
                .filter(|number| number % OWNERS == owner)
                .collect();
            assert!(own.len() <= may, "owner {owner} got {own:?} and may have {may}");
            assert_eq!(own, waits[..own.len()], "the oldest of {waits:?}");
        }
        assert_eq!(claimed.len(), runnable.min(most));
        let count = claimed.len();
        for delivery in claimed {
            assert!(
                self.deliveries.iter().all(|(other, _)| other.token != delivery.token),
                "a token is given out once"
            );
            self.places[self.numbers[&delivery.task]] = Place::Held { token: delivery.token.clone(), dies };
            self.deliveries.push((delivery, true));
        }
        count
    }

    async fn renew(&mut self, queue: &Queue, number: usize) {
        let Some((task, delivery)) = self.believed(number) else { return };
        let lost = queue.renew(std::slice::from_ref(&delivery), LONG).await.unwrap();
        let mine = match &self.places[task] {
            Place::Held { token, .. } => *token == delivery.token,
            Place::Delayed { .. } => false,
            // Nobody else has it, and its holder lives.
            Place::Outside | Place::Waits => true,
        };
        if mine {
            self.places[task] = Place::Held { token: delivery.token, dies: false };
        } else {
            self.deliveries[number].1 = false;
        }
        assert_eq!(lost.is_empty(), mine);
    }

    /// Settles a task, or lets it wait for its next attempt, which is due now or much later.
    async fn let_go(&mut self, queue: &Queue, number: usize, retry: Option<bool>) {
        let Some((task, delivery)) = self.believed(number) else { return };
        self.deliveries[number].1 = false;
        let record = &self.records[task];
        let run_at = retry.map(|now| if now { 1 } else { SystemClock.now_ms() + HOUR });
        let settled = match run_at {
            Some(run_at) => queue.reschedule(record, &delivery.token, run_at).await.unwrap(),
            None => queue.settle(record, &delivery.token).await.unwrap(),
        };
        let holds = matches!(&self.places[task], Place::Held { token, .. } if *token == delivery.token);
        assert_eq!(settled, holds || self.places[task] == Place::Outside);
        if holds {
            self.places[task] = retry.map_or(Place::Outside, |due| Place::Delayed { due });
        }
    }

    async fn tick(&mut self, queue: &Queue, now_ms: i64) {
        tokio::time::sleep(SHORT * 3).await;
        let ticked = queue.tick(now_ms, LONG).await.unwrap();
        let (mut due, mut abandoned) = (0, 0);
        let all_due = now_ms > SystemClock.now_ms() + HOUR;
        for place in &mut self.places {
            match place {
                Place::Delayed { due: is_due } if *is_due || all_due => due += 1,
                Place::Held { dies: true, .. } => abandoned += 1,
                _ => continue,
            }
            *place = Place::Waits;
        }
        assert_eq!((ticked.due, ticked.abandoned), (due, abandoned));
    }

    /// Lets everything run to its end.
    async fn drain(&mut self, harness: &Harness) {
        let queue = harness.tasks.queue(Pool::Backfill);
        self.tick(queue, SystemClock.now_ms() + 2 * HOUR).await;
        loop {
            for number in 0..self.deliveries.len() {
                self.let_go(queue, number, None).await;
            }
            // What no claimer believes to hold any more, because it was told that it was lost.
            self.tick(queue, SystemClock.now_ms()).await;
            if self.claim(queue, TASKS, false).await == 0 {
                break;
            }
        }
        assert_eq!(queue.depth().await.unwrap(), Depth::default());
        let mut redis = harness.redis().await;
        let left: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
        for key in left {
            let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut redis).await.unwrap();
            assert_eq!(kind, "string", "{key} should be gone with the last task");
        }
    }
}

#[test]
fn the_queue_does_what_its_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let harness = runtime.block_on(Harness::start(SimulatorConfig::default()));
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    runner
        .run(&operations(), |operations| {
            runtime.block_on(async {
                harness.forget_redis().await;
                let mut model = Model::new(&harness);
                for operation in &operations {
                    model.carry_out(&harness, operation).await;
                }
                model.drain(&harness).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(async { drop(harness) });
}
