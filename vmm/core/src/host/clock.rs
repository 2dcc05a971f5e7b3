// SPDX-License-Identifier: BSD-2-Clause
//! The time that passes, and the time of day.

/// Time.
pub trait Clock {
    /// Frequency of the generic timer's counter, in hertz.
    fn frequency(&self) -> u64;

    /// Seconds since 1970 of the clock that the plan names (its region `rtc`); zero where it has none.
    fn wall_clock(&mut self) -> u32;

    /// The generic timer's counter (CNTPCT_EL0), in ticks.
    fn now(&mut self) -> u64;
}
