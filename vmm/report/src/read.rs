// SPDX-License-Identifier: BSD-2-Clause
//! The reader's side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Counter, EventKind, FaultKind};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the line.
    pub v: u32,
    /// What happened.
    pub event: EventKind,
    /// Generic timer's counter when it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticks: Option<u64>,
    /// Frequency of that counter, in hertz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hz: Option<u64>,
    /// `mark`: the number that the guest stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// `stop`: name of a [`FaultKind`], or of one that a later monitor has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `stop` without times and counters: why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// `off`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Item n counts the exits that were answered in fewer than 2^n ticks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<u64>,
    /// Counts by name, since the monitor's start.
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

    /// Why the guest was stopped, if that has a name here.
    #[must_use]
    pub fn fault_kind(&self) -> Option<FaultKind> {
        FaultKind::from_name(self.kind.as_deref()?)
    }

    /// A counter, where the monitor has it.
    #[must_use]
    pub fn counter(&self, counter: Counter) -> Option<u64> {
        self.counters.get(counter.name()).copied()
    }

    /// Exits so far, whatever their cause; `None` if one cause is not counted.
    #[must_use]
    pub fn exits(&self) -> Option<u64> {
        let mut exits = Counter::ALL.iter().filter(|counter| counter.is_exit());
        exits.try_fold(0_u64, |sum, counter| Some(sum.saturating_add(self.counter(*counter)?)))
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
