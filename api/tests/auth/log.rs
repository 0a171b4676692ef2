//! What is logged of failures.

use crate::replica::{NO_REDIS, PRO, Replica, USER, answers, mint, supabase};
use candlemill_simulator::{Fault, FaultRule};
use serde_json::json;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Everything that is logged, with its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    fn of(&self, level: Level) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(own, _)| *own == level).map(|(_, text)| text.clone()).collect()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("candlemill_api")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_lasting_failure_is_told_once_and_no_secret_with_it() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let (simulator, supabase) = supabase().await;
    let replica = Replica::of(&simulator, NO_REDIS).await;
    let mut said = String::new();
    let mut tokens = Vec::new();
    let gateway = answers(401, &json!({"message": "Invalid API key", "hint": "…"}));
    for (fault, level, expected) in [
        (gateway.clone(), Level::ERROR, 1),
        (Fault::status(500), Level::WARN, 1),
        (Fault::Reset, Level::WARN, 2),
        (gateway, Level::ERROR, 2),
    ] {
        let rule = supabase.add_fault(FaultRule::on(USER, fault.clone()));
        for _ in 0..5 {
            tokens.push(mint(&supabase));
            let error = replica.caller(&tokens[tokens.len() - 1]).await.unwrap_err();
            said.push_str(&format!("{error} {error:?} "));
        }
        supabase.remove_fault(rule);
        tokens.push(mint(&supabase));
        assert_eq!(replica.code(&tokens[tokens.len() - 1]).await, "ok");
        assert_eq!(log.of(level).len(), expected, "{fault:?}: {:?}", log.of(level));
    }
    for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
        said.push_str(&log.of(level).join(" "));
    }
    said.push_str(&format!("{:?}", replica.auth));
    assert!(said.contains("SUPABASE_PUBLISHABLE_KEY"), "the log says what to look at: {said}");
    for secret in tokens.iter().flat_map(|token| token.split('.')).chain([simulator.publishable_key(), PRO]) {
        assert!(!said.contains(secret), "{secret} is told");
    }
}
