// SPDX-License-Identifier: BSD-2-Clause
//! What all conformance guests share: entry, console, device tree, interrupt controller, timer
//! and firmware calls, each as small as the guests need it.
//!
//! A guest is one program in `src/bin/` that checks one behaviour of the machine it runs on. It
//! prints `conformance: NAME: PASS` or `conformance: NAME: FAIL reason` and powers off. What has
//! to happen is declared in `guests.toml`.
//!
//! The MMU stays off (but see [`tables`]): data accesses are Device-nGnRnE (Arm DDI 0487, D8.2.12), so the target's
//! `strict-align` is needed, and it is on by default for `aarch64-unknown-none`.
#![no_std]

pub mod console;
pub mod exception;
pub mod gic;
pub mod mmio;
pub mod offline;
pub mod platform;
pub mod registers;
mod runtime;
pub mod smccc;
pub mod smp;
pub mod state;
pub mod tables;
pub mod timer;

pub use console::line;
pub use platform::Platform;
pub use runtime::{Entry, image, report_failure};

/// Declares a guest: `guest!(run)` with `fn run(platform: &mut Platform)`. The guest passes when
/// `run` returns. `guest!(run, irq)` has interrupts that reach the vector handled by `fn irq()`;
/// without it, such an interrupt fails the guest. `guest!(run, others = other)` has
/// `fn other(cpu: usize, platform: &mut Platform)` run on CPUs that [`smp::turn_on`] starts.
#[macro_export]
macro_rules! guest {
    ($run:path) => {
        $crate::guest!($run, others = unwanted_cpu);

        fn unwanted_cpu(cpu: usize, _: &mut $crate::Platform) {
            $crate::fail!("CPU {cpu} was started, and nobody asked for it");
        }
    };
    ($run:path, others = $others:path) => {
        fn unwanted_interrupt() {
            $crate::fail!("an interrupt came through the vector while IRQs were masked");
        }
        $crate::guest!($run, unwanted_interrupt, $others);
    };
    ($run:path, $irq:path) => {
        fn unwanted_cpu(cpu: usize, _: &mut $crate::Platform) {
            $crate::fail!("CPU {cpu} was started, and nobody asked for it");
        }
        $crate::guest!($run, $irq, unwanted_cpu);
    };
    ($run:path, $irq:path, $others:path) => {
        /// The guest's name, for the runtime's report.
        #[unsafe(no_mangle)]
        static GUEST_NAME: &str = env!("CARGO_BIN_NAME");

        /// What the runtime calls.
        #[unsafe(no_mangle)]
        fn guest_run(platform: &mut $crate::Platform) {
            let run: fn(&mut $crate::Platform) = $run;
            run(platform);
        }

        /// What CPUs besides the first call; one that comes back is turned off.
        #[unsafe(no_mangle)]
        fn guest_secondary(cpu: usize, platform: &mut $crate::Platform) {
            let others: fn(usize, &mut $crate::Platform) = $others;
            others(cpu, platform);
        }

        /// What the IRQ vector calls.
        #[unsafe(no_mangle)]
        extern "C" fn guest_irq() {
            let irq: fn() = $irq;
            irq();
        }
    };
}

/// Fails the guest with a formatted reason of one line.
#[macro_export]
macro_rules! fail {
    ($($reason:tt)+) => { $crate::report_failure(format_args!($($reason)+)) };
}

/// Fails the guest with a formatted reason unless the condition holds.
#[macro_export]
macro_rules! require {
    ($holds:expr, $($reason:tt)+) => {
        if !$holds {
            $crate::fail!($($reason)+);
        }
    };
}
