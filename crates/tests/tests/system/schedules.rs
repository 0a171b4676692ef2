//! Schedules from the request to the fire, on the whole product.

use crate::receiver::{Receiver, answer};
use candlemill_client::forms::{
    FetchRequest, FireFilter, FireView, ScheduleChange, ScheduleState, ScheduleView, WebhookRequest,
};
use candlemill_client::{Api, ApiError};
use candlemill_devkit::Stack;
use candlemill_shared::schedule::{FireState, ScheduleId};
use candlemill_shared::task::TaskState;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MAX_WAIT: Duration = Duration::from_secs(60);
/// The free tier has 120 requests a minute.
const LOOK: Duration = Duration::from_millis(600);

/// A schedule that fires every second; `more` replaces members.
fn every_second(more: Value) -> ScheduleChange {
    let mut wanted = json!({
        "name": "a test", "when": {"every": "1s"}, "delay_seconds": 0,
        "template": {"kind": "fetch", "symbol": "BTCUSDT", "interval": "1d", "range": {"last": "300d"}},
    });
    wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(wanted).unwrap()
}

async fn fires(api: &Api, id: ScheduleId) -> Vec<FireView> {
    api.fires(id, &FireFilter::default()).await.unwrap().fires
}

/// The fires of a schedule as soon as they are so.
async fn wait_for(api: &Api, id: ScheduleId, what: &str, fits: impl Fn(&[FireView]) -> bool) -> Vec<FireView> {
    let since = Instant::now();
    loop {
        let found = fires(api, id).await;
        if fits(&found) {
            return found;
        }
        assert!(since.elapsed() < MAX_WAIT, "{what}: {found:#?}");
        tokio::time::sleep(LOOK).await;
    }
}

fn ended(fires: &[FireView], state: FireState) -> usize {
    fires.iter().filter(|fire| fire.state == state).count()
}

fn code(refused: Result<ScheduleView, ApiError>) -> String {
    refused.unwrap_err().code().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_once_for_each_due_time_on_many_workers() {
    let mut stack = Stack::builder().workers(2).start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    let made = api.create_schedule(&every_second(json!({"overlap": "allow"}))).await.unwrap();
    assert_eq!((made.state, made.next_fires.len(), made.time_zone_data.as_str()), (ScheduleState::Active, 5, "2026f"));
    let id = made.schedule_id;
    wait_for(&api, id, "three successes", |fires| ended(fires, FireState::Succeeded) >= 3).await;
    // The scheduler dies; another one goes on.
    stack.workers[0].kill9().await.unwrap();
    let before = fires(&api, id).await.len();
    wait_for(&api, id, "fires after a death", |fires| fires.len() >= before + 3).await;
    let rests = ScheduleChange { paused: Some(true.into()), ..ScheduleChange::default() };
    assert_eq!(api.change_schedule(id, &rests).await.unwrap().state, ScheduleState::Paused);
    let all = wait_for(&api, id, "all have ended", |fires| fires.iter().all(|fire| fire.ended_at.is_some())).await;
    // Each due second once, without a hole; what was late has a record of its own.
    let mut due: Vec<i64> =
        all.iter().filter(|fire| fire.state != FireState::Missed).map(|fire| fire.due_at.ms()).collect();
    due.sort_unstable();
    let missed: u64 = all.iter().filter_map(|fire| fire.missed).sum();
    assert!(due.windows(2).all(|pair| pair[0] < pair[1]), "{due:?}");
    let seconds = (due.last().unwrap() - due[0]) / 1_000 + 1;
    assert_eq!(u64::try_from(seconds).unwrap(), due.len() as u64 + missed, "{all:#?}");
    let tasks = api.tasks(&Default::default()).await.unwrap().tasks;
    let of_schedule: Vec<_> = tasks.iter().filter(|task| task.schedule_id == Some(id)).collect();
    assert_eq!(of_schedule.len(), all.iter().filter(|fire| fire.task_id.is_some()).count());
    // It rests, and what it passes over stays passed over.
    let count = all.len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let resumes = ScheduleChange { paused: Some(false.into()), ..ScheduleChange::default() };
    api.change_schedule(id, &resumes).await.unwrap();
    let after = wait_for(&api, id, "a fire after the rest", |fires| fires.len() > count).await;
    assert!(after.iter().all(|fire| fire.state != FireState::Missed), "{after:#?}");
    api.delete_schedule(id).await.unwrap();
    assert_eq!(code(api.schedule(id).await), "schedule_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_at_once_with_every_wrong_member() {
    let stack = Stack::builder().workers(1).start().await.unwrap();
    let (pro, free) = (stack.client("pro").await.unwrap(), stack.client("free").await.unwrap());
    let refused = async |api: &Api, body: Value| {
        let wanted: Result<ScheduleChange, _> = serde_json::from_value(body.clone());
        assert!(wanted.is_ok(), "{body}");
        let answer = api.request(reqwest::Method::POST, "/api/schedules").json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let problem: Value = answer.json().await.unwrap();
        let fields = problem["errors"].as_array().into_iter().flatten();
        let fields: Vec<String> = fields.map(|error| error["field"].as_str().unwrap().to_owned()).collect();
        (status, problem["code"].as_str().unwrap_or_default().to_owned(), fields.join(" "), problem)
    };
    let template = json!({"kind": "fetch", "symbol": "BTCUSDT", "interval": "1h", "range": {"just_closed": true}});
    let with = |when: Value| json!({"name": "n", "when": when, "template": template});
    let (status, code, fields, _) = refused(&pro, json!({})).await;
    assert_eq!((status, code.as_str(), fields.as_str()), (400, "invalid_request", "name when template"));
    for (when, field) in [
        (json!({"cron": "0 0 30 2 *"}), "when.cron"),
        (json!({"cron": "61 * * * *"}), "when.cron"),
        (json!({"cron": "* * * * *", "time_zone": "Mars/Olympus"}), "when.time_zone"),
        (json!({"cron": "* * * * *", "every": "1h"}), "when"),
        (json!({}), "when"),
        (json!({"every": "0s"}), "when.every"),
        (json!({"every": "1h", "time_zone": "UTC"}), "when.time_zone"),
        (json!({"every": "1h", "moon": 1}), "when"),
    ] {
        let (status, code, fields, problem) = refused(&pro, with(when)).await;
        assert_eq!((status, code.as_str(), fields.as_str()), (400, "invalid_request", field), "{problem}");
    }
    let policies = |more: Value| {
        let mut wanted = with(json!({"cron": "@hourly"}));
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wanted
    };
    for (more, field) in [
        (json!({"misfire": "all"}), "overlap"),
        (json!({"misfire": "all", "overlap": "queue_one"}), "overlap"),
        (json!({"when": {"every": "1m"}, "jitter_seconds": 61}), "jitter_seconds"),
        (json!({"alert_after": 2}), "alert_after"),
        (json!({"pause_after": 0}), "pause_after"),
        (json!({"end": "2020-01-01T00:00:00Z"}), "end"),
        (json!({"start": "2030-01-02T00:00:00Z", "end": "2030-01-01T00:00:00Z"}), "end"),
        (json!({"name": " "}), "name"),
        (json!({"note": "n".repeat(1_001)}), "note"),
    ] {
        let (_, _, fields, problem) = refused(&pro, policies(more)).await;
        assert_eq!(fields, field, "{problem}");
    }
    // What the tier does not allow.
    let (status, code, _, problem) = refused(&pro, with(json!({"cron": "*/10 * * * * *"}))).await;
    assert_eq!(
        (status, code.as_str(), problem["limit"].as_str()),
        (403, "tier_limit", Some("schedule_period_seconds"))
    );
    let (status, _, _, problem) = refused(&free, with(json!({"cron": "*/10 * * * *"}))).await;
    assert_eq!((status, problem["lifted_by"].as_str()), (403, Some("pro")), "{problem}");
    let mut wide = with(json!({"cron": "0 0 * * *"}));
    wide["template"]["range"] = json!({"last": "3000d"});
    wide["template"]["interval"] = json!("1m");
    let (status, _, _, problem) = refused(&free, wide).await;
    assert_eq!((status, problem["limit"].as_str()), (403, Some("longest_range_candles")), "{problem}");
    // A range that grows without end, and a schedule of schedules, have no form.
    for odd in [json!({"start": "2020-01-01"}), json!({"just_closed": false})] {
        let mut grows = with(json!({"cron": "0 0 * * *"}));
        grows["template"]["range"] = odd;
        assert_eq!(refused(&pro, grows).await.2, "template");
    }
    let mut nested = with(json!({"cron": "0 0 * * *"}));
    nested["template"] = json!({"kind": "schedule"});
    assert_eq!(refused(&pro, nested).await.2, "template");
    // Three of the free tier, no fourth.
    let daily: ScheduleChange = serde_json::from_value(with(json!({"cron": "@daily"}))).unwrap();
    for _ in 0..3 {
        free.create_schedule(&daily).await.unwrap();
    }
    let (_, code, _, problem) = refused(&free, with(json!({"cron": "@daily"}))).await;
    assert_eq!((code.as_str(), problem["limit"].as_str()), ("tier_limit", Some("schedules")));
    // Another user sees and touches none of it.
    let mine = pro.create_schedule(&daily).await.unwrap().schedule_id;
    for refused in [
        free.schedule(mine).await.err(),
        free.change_schedule(mine, &daily).await.err(),
        free.delete_schedule(mine).await.err(),
        free.run_schedule(mine, None).await.err(),
        free.fires(mine, &FireFilter::default()).await.err(),
    ] {
        assert_eq!(refused.unwrap().code(), Some("schedule_not_found"));
    }
    assert_eq!(code_of_path(&pro, "/api/schedules/nonsense").await, "invalid_schedule_id");
}

async fn code_of_path(api: &Api, path: &str) -> String {
    api.get::<Value>(path, &[]).await.unwrap_err().code().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_tells_the_fires_in_the_zone_and_what_daylight_saving_moves() {
    let stack = Stack::builder().workers(0).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let wanted = serde_json::from_value(json!({
        "name": "night", "when": {"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}, "start": "2027-03-27T00:00:00Z",
        "template": {"kind": "fetch", "symbol": "BTCUSDT", "interval": "1d", "range": {"just_closed": true}},
    }));
    let preview = api.preview_schedule(&wanted.unwrap()).await.unwrap();
    let fires: Vec<_> =
        preview.next_fires.iter().map(|fire| (fire.local.as_str(), fire.moved_by_daylight_saving)).collect();
    assert_eq!(
        fires[..3],
        [
            ("2027-03-27T02:30:00+01:00", false),
            ("2027-03-28T03:00:00+02:00", true),
            ("2027-03-29T02:30:00+02:00", false)
        ]
    );
    assert!(preview.words.contains("02:30") && preview.words.contains("Europe/Berlin"), "{}", preview.words);
    assert_eq!(api.schedules(&Default::default()).await.unwrap().schedules, [], "nothing is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_is_one_fire_for_each_key() {
    let stack = Stack::builder().workers(1).start().await.unwrap();
    let api = stack.client("pro").await.unwrap();
    let daily = serde_json::from_value(json!({
        "name": "by hand", "when": {"cron": "@yearly"}, "paused": true,
        "template": {"kind": "batch", "symbols": ["BTCUSDT", "ETHUSDT"], "interval": "1d", "range": {"last": "300d"}},
    }));
    let id = api.create_schedule(&daily.unwrap()).await.unwrap().schedule_id;
    let first = api.run_schedule(id, Some("key")).await.unwrap();
    let again = api.run_schedule(id, Some("key")).await.unwrap();
    assert_eq!((first.task_id, first.created, again.created), (again.task_id, true, false));
    let other = api.run_schedule(id, None).await.unwrap();
    assert_ne!(other.task_id, first.task_id);
    let found = wait_for(&api, id, "both have succeeded", |fires| ended(fires, FireState::Succeeded) == 2).await;
    assert!(found.iter().all(|fire| fire.manual && fire.range.is_some()), "{found:#?}");
    assert_eq!(api.task(first.task_id).await.unwrap().schedule_id, Some(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn since_the_last_success_goes_on_where_it_stopped() {
    let stack = Stack::builder().workers(1).start().await.unwrap();
    let api = stack.client("free").await.unwrap();
    // 72,866 hours are more than one task of the free tier fetches: the first fire takes the oldest.
    let wanted = serde_json::from_value(json!({
        "name": "hours", "when": {"cron": "@yearly"},
        "template": {"kind": "fetch", "symbol": "BTCUSDT", "interval": "1h",
            "range": {"since_last_success": {"start": "2018-01-01T00:00:00Z"}}},
    }));
    let id = api.create_schedule(&wanted.unwrap()).await.unwrap().schedule_id;
    let mut ends = Vec::new();
    for number in 1..=2 {
        api.run_schedule(id, None).await.unwrap();
        let found = wait_for(&api, id, "it has succeeded", |fires| ended(fires, FireState::Succeeded) == number).await;
        ends.push(found[0].range.unwrap());
    }
    assert_eq!(ends[0].start.to_string(), "2018-01-01T00:00:00Z");
    assert_eq!(ends[0].end, ends[1].start);
    assert_eq!((ends[0].end.ms() - ends[0].start.ms()) / 3_600_000, 50_000);
    let refused = api.run_schedule(id, None).await.unwrap_err();
    assert_eq!(refused.code(), Some("nothing_to_run"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_and_pause_it() {
    let receiver = Receiver::start(vec![answer(200)]).await;
    let secret = ("WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let mut builder = Stack::builder().workers(1);
    for (name, value) in [secret, ("WEBHOOK_ALLOW_HTTP", "true"), ("WEBHOOK_ALLOW_PRIVATE", "true")] {
        builder = builder.api_env(name, value).worker_env(name, value);
    }
    let stack = builder.start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    let url = WebhookRequest { url: receiver.url("/alerts") };
    // A symbol that the exchange does not have: nobody has asked it yet.
    let wanted = every_second(json!({
        "template": {"kind": "fetch", "symbol": "NOSUCHUSDT", "interval": "1d", "range": {"last": "10d"}},
        "webhook": url, "alert_after": 2, "pause_after": 3,
    }));
    let id = api.create_schedule(&wanted).await.unwrap().schedule_id;
    let since = Instant::now();
    let paused = loop {
        let found = api.schedule(id).await.unwrap();
        if found.state == ScheduleState::Paused {
            break found;
        }
        assert!(since.elapsed() < MAX_WAIT, "{found:?} {:?}", fires(&api, id).await);
        tokio::time::sleep(LOOK).await;
    };
    assert_eq!(serde_json::to_value(paused.paused_by).unwrap(), json!("failures"));
    assert!(paused.events.last().unwrap().what.contains("3 failed fires"), "{:?}", paused.events);
    let told = receiver.wait(1).await;
    let said = told[0].json();
    assert_eq!(
        (&said["type"], &said["failed_in_a_row"], &said["schedule_id"]),
        (&json!("schedule.failing"), &json!(2), &json!(id))
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.told().len(), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fire_waits_for_redis_and_for_room() {
    let mut stack = Stack::builder().workers(1).start().await.unwrap();
    let api = stack.client("enterprise").await.unwrap();
    let once = json!({"every": "1d", "anchor": candlemill_shared::Timestamp::from(in_ms(3_000))});
    let id = api.create_schedule(&every_second(json!({"when": once}))).await.unwrap().schedule_id;
    stack.redis().stop().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    stack.redis().restart().await.unwrap();
    let found =
        wait_for(&api, id, "it fires when Redis is back", |fires| ended(fires, FireState::Succeeded) == 1).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    // Half of the places are for schedules: one of the two of the free tier.
    let free = stack.client("free").await.unwrap();
    let waits: FetchRequest = serde_json::from_value(json!({
        "symbol": "ETHUSDT", "interval": "1d", "start": "2020-01-01T00:00:00Z", "run_at": candlemill_shared::Timestamp::from(in_ms(3_600_000)),
    }))
    .unwrap();
    let waiting = free.fetch(&waits, None).await.unwrap().task_id;
    let hourly = json!({"every": "1h", "anchor": candlemill_shared::Timestamp::from(in_ms(2_000))});
    let of_free = free.create_schedule(&every_second(json!({"when": hourly}))).await.unwrap().schedule_id;
    let found = wait_for(&free, of_free, "it waits", |fires| ended(fires, FireState::Waiting) == 1).await;
    assert_eq!(found[0].why.as_ref().unwrap().code, "quota");
    free.cancel(waiting).await.unwrap();
    let found = wait_for(&free, of_free, "it starts", |fires| ended(fires, FireState::Succeeded) == 1).await;
    assert_eq!(free.task(found[0].task_id.unwrap()).await.unwrap().state, TaskState::Succeeded);
}

fn in_ms(ms: i64) -> i64 {
    use candlemill_shared::Clock;
    candlemill_shared::SystemClock.now_ms() + ms
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_and_stop_everybodys_schedules() {
    const ADMIN_TOKEN: &str = "a-token-of-the-operators-0123456789";
    let stack = Stack::builder().workers(0).api_env("ADMIN_TOKEN", ADMIN_TOKEN).start().await.unwrap();
    let (api, operator) = (stack.client("pro").await.unwrap(), Api::new(stack.api_url(), ADMIN_TOKEN));
    let daily = serde_json::from_value(json!({
        "name": "daily", "when": {"cron": "@daily"},
        "template": {"kind": "fetch", "symbol": "BTCUSDT", "interval": "1d", "range": {"just_closed": true}},
    }));
    let id = api.create_schedule(&daily.unwrap()).await.unwrap().schedule_id;
    let all = operator.all_schedules(&Default::default()).await.unwrap().schedules;
    assert!(all.len() == 1 && all[0].schedule_id == id && all[0].owner.is_some(), "{all:?}");
    let own = api.schedules(&Default::default()).await.unwrap().schedules;
    assert_eq!((own.len(), &own[0].owner), (1, &None));
    assert_eq!(operator.pause_schedule(id).await.unwrap().state, ScheduleState::Paused);
    let resumes = ScheduleChange { paused: Some(false.into()), ..ScheduleChange::default() };
    assert_eq!(code(api.change_schedule(id, &resumes).await), "schedule_paused");
    let active = operator.resume_schedule(id).await.unwrap();
    assert_eq!(active.state, ScheduleState::Active);
    let told: Vec<&str> = active.events.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(told, ["created", "paused", "resumed"]);
    operator.delete_any_schedule(id).await.unwrap();
    assert_eq!(code(api.schedule(id).await), "schedule_not_found");
}
