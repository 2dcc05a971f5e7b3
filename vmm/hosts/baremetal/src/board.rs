// SPDX-License-Identifier: BSD-2-Clause
//! The board that this program is built for: `NAME`, what it is linked into (`MONITOR`), where the
//! loader puts the plan block (`PLAN`), the board's `MEMORY`, and the UART for words before there is
//! a plan (`CONSOLE`, `CONSOLE_BASE`).

use core::ops::Range;

use vmm_core::uart::Uart;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

/// Where device registers are, besides what is memory: as far as a guest's addresses go.
pub const DEVICES_END: u64 = 1 << 32;
