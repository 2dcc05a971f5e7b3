// SPDX-License-Identifier: BSD-2-Clause
//! The timer that wakes a parked virtual CPU at its deadline.
//!
//! While a virtual CPU does not run, the kernel keeps its virtual timer masked, so the monitor
//! needs one of its own: the EL1 physical timer where the kernel exports it to user level, or an
//! i.MX GPT that the protection domain owns.

use core::arch::asm;
use core::ptr::NonNull;

use vmm_core::plan::IdleKind;

use crate::counter;

/// A timer whose interrupt is one of the protection domain's channels.
pub enum IdleTimer {
    /// CNTP of this exception level's own (`KernelArmExportPTMRUser`).
    Cntp,
    /// An i.MX GPT.
    Gpt(Gpt),
}

impl IdleTimer {
    /// The timer of this kind, stopped; `None` where there is none, or where it does not keep time.
    pub fn open(kind: IdleKind, registers: Option<NonNull<u32>>) -> Option<Self> {
        let mut timer = match kind {
            IdleKind::Cntp => Self::Cntp,
            IdleKind::ImxGpt => Self::Gpt(Gpt::open(registers?)?),
            IdleKind::None => return None,
        };
        timer.disarm();
        Some(timer)
    }

    /// Makes the interrupt fire once [`counter::now`] reaches `deadline`, at once if it has.
    /// It may fire early where the deadline is far off.
    pub fn arm(&mut self, deadline: u64) {
        match self {
            Self::Cntp => {
                // SAFETY: writes the compare value of a timer that belongs to this protection
                // domain, then ENABLE (Arm DDI 0487, D24.10.17): no memory is touched.
                unsafe {
                    asm!(
                        "msr cntp_cval_el0, {}", "msr cntp_ctl_el0, {}", "isb",
                        in(reg) deadline, in(reg) 1_u64, options(nomem, nostack, preserves_flags)
                    );
                }
            }
            Self::Gpt(gpt) => gpt.arm(deadline),
        }
    }

    /// Stops it, and lowers its interrupt line.
    pub fn disarm(&mut self) {
        match self {
            Self::Cntp => {
                // SAFETY: as above; ENABLE off.
                unsafe {
                    asm!("msr cntp_ctl_el0, xzr", "isb", options(nomem, nostack, preserves_flags));
                }
            }
            Self::Gpt(gpt) => gpt.disarm(),
        }
    }
}

/// An i.MX general-purpose timer, counting its 32.768 kHz source (i.MX 8M Dual/8M QuadLite/8M Quad
/// Reference Manual, chapter 12.1).
pub struct Gpt {
    registers: NonNull<u32>,
    hertz: u64,
}

/// Frequency of the low-frequency reference.
const GPT_HERTZ: u64 = 32_768;

/// Ticks of one trial of the timer's clock (8 ms), and how far off they may be.
const TRIAL: u32 = 256;
const TRIAL_ERROR: u64 = 25;

/// Offsets of GPT registers, in 32-bit words.
mod gpt {
    /// Control.
    pub const CR: usize = 0;
    /// Prescaler.
    pub const PR: usize = 1;
    /// Status; write ones to clear.
    pub const SR: usize = 2;
    /// Interrupt enable.
    pub const IR: usize = 3;
    /// First compare value.
    pub const OCR1: usize = 4;
    /// Counter.
    pub const CNT: usize = 9;

    /// CR: enabled.
    pub const CR_EN: u32 = 1;
    /// CR: enabled, counter starts from zero, keeps counting in wait, doze and stop modes,
    /// low-frequency reference, free-running.
    pub const CR_RUN: u32 = CR_EN | 1 << 1 | 0b111 << 3 | 4 << 6 | 1 << 9;
    /// SR and IR: first compare.
    pub const COMPARE_1: u32 = 1;
    /// SR: everything.
    pub const ALL: u32 = 0x3f;
}

impl Gpt {
    /// Starts the timer and holds it against the generic timer's counter: its clock comes from a
    /// clock controller that the monitor does not own.
    fn open(registers: NonNull<u32>) -> Option<Self> {
        let mut timer = Self { registers, hertz: counter::frequency() };
        timer.write(gpt::CR, 0);
        timer.write(gpt::IR, 0);
        timer.write(gpt::PR, 0);
        timer.write(gpt::SR, gpt::ALL);
        // The source is chosen while the timer is off (12.1.5.1, CLKSRC).
        timer.write(gpt::CR, gpt::CR_RUN & !gpt::CR_EN);
        timer.write(gpt::CR, gpt::CR_RUN);
        // An emulator may hold the monitor up between two reads, so that one trial fails; a wrong
        // clock fails them all.
        let trials = [(); 4].map(|()| timer.trial());
        if trials.into_iter().flatten().any(|due| due.abs_diff(TRIAL.into()) <= TRIAL_ERROR) {
            // From now on it fires at each compare value, which only `arm` changes.
            timer.write(gpt::SR, gpt::ALL);
            timer.write(gpt::IR, gpt::COMPARE_1);
            return Some(timer);
        }
        log::warn!("idle timer: {TRIAL} ticks where {trials:?} are due: virtual CPUs do not park");
        None
    }

    /// How many ticks are due while the timer counts [`TRIAL`]; `None` if it stands still.
    fn trial(&self) -> Option<u64> {
        let from = self.read(gpt::CNT);
        let start = self.reaches(from.wrapping_add(1))?;
        let end = self.reaches(from.wrapping_add(1 + TRIAL))?;
        Some(self.gpt_ticks(end.saturating_sub(start)))
    }

    /// Ticks of this timer, rounded down, in so many of the generic timer's.
    fn gpt_ticks(&self, ticks: u64) -> u64 {
        let product = u128::from(ticks).saturating_mul(u128::from(GPT_HERTZ));
        // A counter without a frequency never gets on: no tick is due.
        let quotient = product.checked_div(u128::from(self.hertz)).unwrap_or(0);
        u64::try_from(quotient).unwrap_or(u64::MAX)
    }

    /// [`counter::now`] when the timer reaches `count`; `None` if it does not within a tenth of a
    /// second.
    fn reaches(&self, count: u32) -> Option<u64> {
        let give_up = counter::now().saturating_add(self.hertz / 10);
        loop {
            let now = counter::now();
            if now > give_up {
                return None;
            }
            if self.read(gpt::CNT).wrapping_sub(count) < 1 << 31 {
                return Some(now);
            }
        }
    }

    fn arm(&mut self, deadline: u64) {
        let ticks = self.gpt_ticks(deadline.saturating_sub(counter::now()));
        // Rounded up, so that the deadline has passed; far ones come early, long before the
        // counter wraps.
        let mut ahead = u32::try_from(ticks).unwrap_or(u32::MAX).min(1 << 30).saturating_add(1);
        loop {
            let compare = self.read(gpt::CNT).wrapping_add(ahead);
            self.write(gpt::OCR1, compare);
            // It fires when the two are equal: if the counter went past meanwhile, once more.
            let left = compare.wrapping_sub(self.read(gpt::CNT));
            if (1..1 << 31).contains(&left) || self.read(gpt::SR) & gpt::COMPARE_1 != 0 {
                break;
            }
            ahead = ahead.saturating_add(1);
        }
    }

    /// Lowers its line. The counter meets the compare value again only when it has wrapped.
    fn disarm(&mut self) {
        self.write(gpt::SR, gpt::ALL);
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: `registers` is the GPT's page, mapped as device memory for this protection
        // domain alone; the offsets above lie in it and reading them has no side effects.
        unsafe { self.registers.as_ptr().wrapping_add(register).read_volatile() }
    }

    fn write(&mut self, register: usize, value: u32) {
        // SAFETY: as above; the timer moves no memory.
        unsafe { self.registers.as_ptr().wrapping_add(register).write_volatile(value) }
    }
}
