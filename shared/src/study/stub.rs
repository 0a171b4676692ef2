//! To be replaced.
use super::*;
impl SmaCrossover {
    pub fn faults(&self) -> Vec<(&'static str, String)> { Vec::new() }
    pub fn min_candles(&self) -> u64 { 0 }
}
impl MeanReversion {
    pub fn faults(&self) -> Vec<(&'static str, String)> { Vec::new() }
    pub fn min_candles(&self) -> u64 { 0 }
}
