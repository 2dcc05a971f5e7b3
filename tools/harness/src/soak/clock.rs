// SPDX-License-Identifier: BSD-2-Clause
//! The guest's clock against this computer's, over a serial line.

use crate::session::CommandResult;

/// What asks for the guest's clock.
pub const UPTIME: &str = "cat /proc/uptime";
/// Most that the guest's clock may be off, as a share of the time.
const DRIFT: f64 = 0.001;
/// What two readings of `/proc/uptime` do not tell, in seconds.
const RESOLUTION: f64 = 0.02;

/// The guest's clock, read at some moment between two of this computer's, all in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    asked: f64,
    answered: f64,
    guest: f64,
}

/// How far the guest's clock is ahead over a stretch, in seconds, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Begin, by this computer.
    pub from: f64,
    /// Length, by this computer.
    pub length: f64,
    /// Seconds that the guest is ahead.
    pub ahead: f64,
    /// By how much that may be wrong: how long the two answers took.
    pub uncertainty: f64,
}

/// All readings.
pub fn readings(commands: &[CommandResult]) -> Vec<Reading> {
    let asked = commands.iter().filter(|done| done.command == UPTIME);
    let reading = |done: &CommandResult| {
        let guest = done.output.split_whitespace().next()?.parse().ok()?;
        let (answered, asked) = (done.at_seconds, done.at_seconds - done.seconds);
        Some(Reading { asked, answered, guest })
    };
    asked.filter_map(reading).collect()
}

impl Drift {
    /// Between two readings.
    pub fn new(first: Reading, last: Reading) -> Self {
        let middle = |reading: Reading| f64::midpoint(reading.asked, reading.answered);
        let took = |reading: Reading| reading.answered - reading.asked;
        let length = middle(last) - middle(first);
        Self {
            from: first.answered,
            length,
            ahead: (last.guest - first.guest) - length,
            uncertainty: f64::midpoint(took(first), took(last)),
        }
    }

    /// Whether the clock is certainly off by more than it may be.
    pub fn is_too_much(self) -> bool {
        self.ahead.abs() - self.uncertainty > DRIFT * self.length + RESOLUTION
    }
}

/// The drift over the whole time, and over each stretch; none with fewer than two readings.
pub fn drifts(readings: &[Reading]) -> Vec<Drift> {
    let whole = readings.first().zip(readings.last()).filter(|_| readings.len() > 1);
    let each = readings.iter().zip(readings.iter().skip(1));
    whole.into_iter().chain(each).map(|(first, last)| Drift::new(*first, *last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(answered: f64, took: f64, guest: f64) -> CommandResult {
        CommandResult {
            command: UPTIME.into(),
            output: format!("{guest:.2} 9.99\n"),
            at_seconds: answered,
            seconds: took,
            ..CommandResult::default()
        }
    }

    /// Beginnings of the stretches with too much drift.
    fn wrong(commands: &[CommandResult]) -> Vec<f64> {
        let drifts = drifts(&readings(commands));
        drifts.into_iter().filter(|drift| drift.is_too_much()).map(|drift| drift.from).collect()
    }

    #[test]
    fn a_clock_that_runs_true_is_right_however_slow_the_answers() {
        let commands =
            [reading(10.0, 0.02, 1.0), reading(41.0, 0.99, 31.5), reading(1810.5, 0.6, 1801.0)];
        assert_eq!(readings(&commands).len(), 3);
        assert_eq!(wrong(&commands), [0.0; 0]);
    }

    #[test]
    fn a_clock_that_stood_still_is_wrong_there_and_over_all() {
        let commands = [reading(0.1, 0.1, 0.0), reading(30.1, 0.1, 30.0), reading(60.1, 0.1, 59.5)];
        assert_eq!(wrong(&commands), [0.1, 30.1]);
    }

    #[test]
    fn a_slow_clock_shows_over_the_whole_time_alone() {
        let times = (0..120).map(|n| f64::from(n) * 30.0);
        let commands: Vec<_> = times.map(|t| reading(t, 0.1, t * 0.998)).collect();
        assert_eq!(wrong(&commands), [0.0]);
    }

    #[test]
    fn one_reading_tells_nothing() {
        assert_eq!(drifts(&readings(&[reading(1.0, 0.1, 1.0)])), []);
        assert_eq!(drifts(&[]), []);
    }
}
