// SPDX-License-Identifier: BSD-2-Clause
//! The monitor's JSON lines, version 1 (the report channel of vmm-core).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the lines that this harness reads.
pub const VERSION: u32 = 1;

/// One event: `start`, `mark`, `reset`, `stop` or `off`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the line.
    pub v: u32,
    /// What happened.
    pub event: String,
    /// Generic timer's counter when it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticks: Option<u64>,
    /// Frequency of that counter, in hertz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hz: Option<u64>,
    /// `mark`: the number that the guest stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// `stop`: kind of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `off`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Exit counters by cause, since the monitor's start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
    /// Everything else that the line says.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

impl Event {
    /// Reads the JSON of one line; `None` if it is not an event.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// A counter; zero where the monitor does not have it.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or_default()
    }

    /// Seconds on the generic timer's counter.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds needs no 64 bits")]
    pub fn seconds(&self) -> Option<f64> {
        match (self.ticks, self.hz) {
            (Some(ticks), Some(hz)) if hz > 0 => Some(ticks as f64 / hz as f64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = r#"{"v":1,"event":"mark","ticks":62500000,"hz":62500000,"value":3,"counters":{"mmio_read":6,"mmio_write":165},"cpu":0}"#;

    #[test]
    fn every_field_is_read() {
        let event = Event::parse(MARK).unwrap();
        assert_eq!((event.v, event.value), (VERSION, Some(3)));
        assert_eq!(event.counter("mmio_write"), 165);
        assert_eq!(event.rest["cpu"], 0);
    }

    #[test]
    fn a_missing_counter_is_zero() {
        assert_eq!(Event::parse(MARK).unwrap().counter("smc"), 0);
    }

    #[test]
    fn seconds_come_from_the_counter() {
        assert_eq!(Event::parse(MARK).unwrap().seconds(), Some(1.0));
    }

    #[test]
    fn a_frequency_of_zero_gives_no_seconds() {
        let event = Event { ticks: Some(5), hz: Some(0), ..Event::default() };
        assert_eq!(event.seconds(), None);
    }

    #[test]
    fn negative_numbers_are_no_event() {
        assert_eq!(Event::parse(r#"{"v":-1,"event":"off"}"#), None);
    }

    #[test]
    fn writing_and_reading_gives_the_same() {
        let event = Event::parse(MARK).unwrap();
        let again = serde_json::to_string(&event).unwrap();
        assert_eq!(Event::parse(&again), Some(event));
    }
}
