// SPDX-License-Identifier: BSD-2-Clause
//! The end: powering off, and what is said when the monitor itself cannot go on.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use vmm_core::arm::numbers::id::SYSTEM_OFF;
use vmm_core::host::FaultKind;

use crate::kernel::Kernel;
use crate::{log, uart};

/// Turns the machine off.
pub fn power_off() -> ! {
    Kernel::default().smc([SYSTEM_OFF.into(), 0, 0, 0, 0, 0, 0, 0]);
    // The firmware refused. The guest is stopped: nothing can happen any more.
    loop {
        sel4_microkit::ipc::recv();
    }
}

/// Says why the monitor does not start, and turns the machine off. No guest has run.
pub fn refuse(why: fmt::Arguments<'_>) -> ! {
    report(FaultKind::BadImage, why);
    power_off()
}

/// Makes a panic (a defect of the monitor: no guest reaches one) end like every other stop.
pub fn on_panic() {
    sel4_microkit::panicking::set_hook(&|info: &PanicInfo<'_>| {
        report(FaultKind::MonitorPanic, format_args!("{info}"));
        power_off()
    });
}

/// One stop line, on the UART; on a debug kernel's console where there is no UART yet.
fn report(kind: FaultKind, why: fmt::Arguments<'_>) {
    ::log::error!("{why}");
    // Writing to the console never fails.
    let _ = vmm_core::report::refuse(&mut Console, kind, why);
    log::print_held(uart::print);
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        uart::print(text);
        Ok(())
    }
}
