//! Runs a probe: there is nothing to run.

use super::Run;
use crate::job_context::JobContext;
use crate::outcome::Outcome;
use candlemill_shared::job::{Probe, Probed};

impl Run for Probe {
    async fn run(self, _: JobContext) -> Outcome<Probed> {
        Outcome::Done(Probed {})
    }

    fn at_once(&self, _: &Probed) -> Option<Outcome<Probed>> {
        Some(Outcome::Done(Probed {}))
    }
}
