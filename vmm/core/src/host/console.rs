// SPDX-License-Identifier: BSD-2-Clause
//! The one voice of a monitor.

/// The guest's UART, while the guest is stopped.
pub trait Console {
    /// Writes text to the UART by polling. Called only while the guest is stopped.
    fn print(&mut self, text: &str);
}
