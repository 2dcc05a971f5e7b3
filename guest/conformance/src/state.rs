// SPDX-License-Identifier: BSD-2-Clause
//! What one life of a processor could leave to the next: patterns in system registers that only the
//! processor's own programs write.

use crate::{read_register, require, write_register};

/// Reads all of them by name.
macro_rules! registers {
    ($($name:literal)+) => {
        const NAMES: &[&str] = &[$($name),+];

        fn read() -> Values {
            [$(read_register!($name)),+]
        }

        fn write(values: &Values) {
            let mut values = values.iter();
            $(write_register!($name, *values.next().unwrap());)+
        }
    };
}

// None is used by a guest with its MMU off, between its entry and what it runs.
registers! {
    "tpidr_el0" "tpidrro_el0" "tpidr_el1" "contextidr_el1" "ttbr0_el1" "ttbr1_el1" "tcr_el1"
    "mair_el1" "amair_el1" "afsr0_el1" "afsr1_el1" "esr_el1" "far_el1" "par_el1" "elr_el1"
    "spsr_el1" "sp_el0" "cntkctl_el1" "cntv_cval_el0"
}

/// A value for each register.
pub type Values = [u64; NAMES.len()];

/// Writes a pattern to every register; what they hold of it.
#[must_use]
pub fn leave() -> Values {
    // Different in each byte and in each register; no EL3, and no EL2 that is not there, in SPSR.
    let pattern: Values = core::array::from_fn(|n| 0x1122_3344_5566_7700 + (n as u64 + 1) * 0x0101);
    write(&pattern);
    read()
}

/// Fails the guest where a register still holds what [`leave`] said, unless that is zero.
pub fn expect_forgotten(left: &Values) {
    for ((name, then), now) in NAMES.iter().zip(left).zip(read()) {
        require!(*then == 0 || now != *then, "{name} still holds {now:#x} of the last life");
    }
}
