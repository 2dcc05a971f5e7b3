// SPDX-License-Identifier: BSD-2-Clause
//! Calls of the board's firmware.

/// The board's firmware.
pub trait Firmware {
    /// Makes a firmware call on the monitor's behalf (DEN0028F): X0 to X7 in, X0 to X3 out.
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4];
}
