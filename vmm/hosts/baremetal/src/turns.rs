// SPDX-License-Identifier: BSD-2-Clause
//! The monitor's lock: a guest that does nothing but trap on one processor keeps no other from its
//! interrupts.

use core::arch::asm;
use core::sync::atomic::{AtomicU8, Ordering};

use spin::RelaxStrategy;
use spin::mutex::{SpinMutex, SpinMutexGuard};
use vmm_core::ids::Vcpu;

/// How often a processor that had the lock last looks whether one that waits has taken it: some
/// microseconds.
const COURTESY: u16 = 1000;

/// Lets others run where processors take turns, as in an emulator that counts instructions.
pub struct Relax;

impl RelaxStrategy for Relax {
    fn relax() {
        // SAFETY: a hint.
        unsafe { asm!("yield", options(nomem, nostack)) };
    }
}

/// A spin lock whose last owner steps back for those that wait, but not for ever. (Why not by the
/// order of asking: in an emulator with fewer cores than processors the next in line is often one
/// that does not run, and all stand still until it does. Linux with four virtual CPUs on two cores
/// did not start in five minutes.)
pub struct Turns<T> {
    lock: SpinMutex<T, Relax>,
    waiting: AtomicU8,
    last: AtomicU8,
}

impl<T> Turns<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { lock: SpinMutex::new(value), waiting: AtomicU8::new(0), last: AtomicU8::new(0) }
    }

    /// Waits for the lock. `me` asks.
    pub fn lock(&self, me: Vcpu) -> SpinMutexGuard<'_, T, Relax> {
        // The two numbers order nothing: what is read late costs a turn.
        for _ in 0..COURTESY {
            let mine = self.last.load(Ordering::Relaxed) == me.0;
            if !mine || self.waiting.load(Ordering::Relaxed) == 0 {
                break;
            }
            Relax::relax();
        }
        let guard = self.lock.try_lock().unwrap_or_else(|| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let guard = self.lock.lock();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            guard
        });
        self.last.store(me.0, Ordering::Relaxed);
        guard
    }
}
