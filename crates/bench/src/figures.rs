//! How figures are printed.

use anyhow::{Result, bail};
use std::time::Duration;

/// Says what machine the figures are of.
#[expect(clippy::print_stdout, reason = "figures are this program's output")]
pub(crate) fn machine() {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    println!("machine: {cores} cores, {model}");
}

/// Prints one figure.
#[expect(clippy::print_stdout, reason = "figures are this program's output")]
pub(crate) fn figure(name: &str, value: impl std::fmt::Display) {
    println!("{name:<52} {value}");
}

/// Prints how many came through a second.
pub(crate) fn per_second(name: &str, count: u32, took: Duration) {
    let seconds = took.as_secs_f64();
    figure(name, format!("{:.0}/s ({count} in {seconds:.2} s)", f64::from(count) / seconds));
}

/// Bytes in MiB.
#[expect(clippy::cast_precision_loss, reason = "bytes of memory lie far below 2^52")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Latencies of many requests.
#[derive(Debug, Default)]
pub(crate) struct Latencies(pub(crate) Vec<Duration>);

impl Latencies {
    /// The latency that this share of requests did not exceed.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    pub(crate) fn quantile(&mut self, share: f64) -> Result<Duration> {
        self.0.sort_unstable();
        if self.0.is_empty() {
            bail!("nothing was measured");
        }
        let index = ((self.0.len() as f64 * share).ceil() as usize).clamp(1, self.0.len()) - 1;
        Ok(self.0[index])
    }

    /// Prints p50, p99 and the longest.
    pub(crate) fn print(&mut self, name: &str) -> Result<()> {
        let (p50, p99, longest) = (self.quantile(0.5)?, self.quantile(0.99)?, self.quantile(1.0)?);
        figure(name, format!("p50 {p50:.2?}, p99 {p99:.2?}, longest {longest:.2?} of {}", self.0.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let mut latencies = Latencies((1..=100).map(Duration::from_millis).collect());
        assert_eq!(latencies.quantile(0.5).unwrap(), Duration::from_millis(50));
        assert_eq!(latencies.quantile(0.99).unwrap(), Duration::from_millis(99));
        assert_eq!(latencies.quantile(1.0).unwrap(), Duration::from_millis(100));
        assert!(Latencies::default().quantile(0.5).is_err());
    }
}
