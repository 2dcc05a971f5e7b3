// SPDX-License-Identifier: BSD-2-Clause
//! The generic timer's virtual counter and timer (Arm DDI 0487, D12). All times are in ticks.

use core::arch::asm;

use crate::{read_register, write_register};

/// CNTV_CTL_EL0.ENABLE.
pub const ENABLE: u64 = 1 << 0;
/// CNTV_CTL_EL0.IMASK: the timer's interrupt stays low.
pub const MASK: u64 = 1 << 1;
/// CNTV_CTL_EL0.ISTATUS: the compare value is reached.
pub const STATUS: u64 = 1 << 2;

/// Ticks per second.
#[must_use]
pub fn frequency() -> u64 {
    read_register!("cntfrq_el0")
}

/// The virtual counter, not read ahead of its turn.
#[must_use]
pub fn now() -> u64 {
    let ticks: u64;
    // SAFETY: reads a counter.
    unsafe { core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks) };
    ticks
}

/// Milliseconds as ticks.
#[must_use]
pub fn milliseconds(number: u64) -> u64 {
    frequency() * number / 1000
}

/// Ticks as microseconds, rounded down.
#[must_use]
pub fn microseconds(ticks: u64) -> u64 {
    ticks * 1_000_000 / frequency()
}

/// Lets the virtual timer's interrupt go high once the counter reaches `compare`.
pub fn arm(compare: u64) {
    write_register!("cntv_cval_el0", compare);
    write_register!("cntv_ctl_el0", ENABLE);
}

/// Turns the virtual timer off; its interrupt goes low.
pub fn disarm() {
    write_register!("cntv_ctl_el0", 0);
}

/// A time limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit(u64);

impl Limit {
    /// A limit this many milliseconds from now.
    #[must_use]
    pub fn milliseconds(number: u64) -> Self {
        Self(now() + milliseconds(number))
    }

    /// Whether it has passed. Who asks polls: another CPU may be what it waits for, and where CPUs
    /// take turns, as in an emulator that counts instructions, it is that one's turn.
    #[must_use]
    pub fn is_over(self) -> bool {
        // SAFETY: a hint.
        unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) };
        now() >= self.0
    }
}
