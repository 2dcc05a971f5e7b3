// SPDX-License-Identifier: BSD-2-Clause
//! The console: the UART that the device tree's `/chosen` names, written to by polling.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::mmio::Device;

/// A UART.
#[derive(Clone, Copy, Debug)]
pub enum Console {
    /// Arm PrimeCell PL011 (Arm DDI 0183G, 3.3).
    Pl011(Device),
    /// NXP i.MX UART (i.MX 8M Dual/8M QuadLite/8M Quad Reference Manual, 16.2).
    Imx(Device),
}

/// Address of the console, for what cannot be handed one (a panic); zero until it is known.
/// Plain loads and stores: one CPU runs, and nothing here needs an exclusive access.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static IS_IMX: AtomicBool = AtomicBool::new(false);

impl Console {
    /// The UART with one of these `compatible` names, at `device`.
    pub fn new<'a>(mut compatible: impl Iterator<Item = &'a str>, device: Device) -> Option<Self> {
        compatible.find_map(|name| match name {
            "arm,pl011" => Some(Self::Pl011(device)),
            "fsl,imx6q-uart" | "fsl,imx8mq-uart" | "fsl,imx8mp-uart" => Some(Self::Imx(device)),
            _ => None,
        })
    }

    /// Makes this UART the one that [`line()`] and failures are written to. Turns the transmitter
    /// on, which firmware may have left off; the rate is as it is.
    pub fn make_default(self) {
        let turn_on = |device: Device, offset, bits| {
            device.write(offset, device.read(offset) | bits);
        };
        match self {
            Self::Pl011(device) => turn_on(device, 0x30, 0x301), // UARTCR: RXE, TXE, UARTEN
            Self::Imx(device) => {
                turn_on(device, 0x80, 0x1); // UCR1: UARTEN
                turn_on(device, 0x84, 0x7); // UCR2: TXEN, RXEN, SRST (0 resets)
            }
        }
        let (device, is_imx) = match self {
            Self::Pl011(device) => (device, false),
            Self::Imx(device) => (device, true),
        };
        IS_IMX.store(is_imx, Ordering::Relaxed);
        ADDRESS.store(device.address(0), Ordering::Relaxed);
    }

    fn default() -> Option<Self> {
        let address = ADDRESS.load(Ordering::Relaxed);
        // SAFETY: the address comes from the `Device` of a `Console`.
        let device = unsafe { Device::new(address) };
        match (address, IS_IMX.load(Ordering::Relaxed)) {
            (0, _) => None,
            (_, false) => Some(Self::Pl011(device)),
            (_, true) => Some(Self::Imx(device)),
        }
    }

    fn put(self, byte: u8) {
        match self {
            Self::Pl011(device) => {
                while device.read(0x18) & (1 << 5) != 0 {} // UARTFR.TXFF
                device.write(0x00, byte.into()); // UARTDR
            }
            Self::Imx(device) => {
                while device.read(0xb4) & (1 << 4) != 0 {} // UTS.TXFULL
                device.write(0x40, byte.into()); // UTXD
            }
        }
    }

    /// Waits until everything written has left the UART.
    pub fn drain(self) {
        match self {
            Self::Pl011(device) => while device.read(0x18) & (1 << 3) != 0 {}, // UARTFR.BUSY
            Self::Imx(device) => while device.read(0x98) & (1 << 3) == 0 {},   // USR2.TXDC
        }
    }

    /// Lets the UART hold its interrupt line high for as long as there is room to send, or takes
    /// that back. Needs [`Console::drain`] after a line was written.
    pub fn set_transmit_interrupt(self, on: bool) {
        let (device, offset, bit) = match self {
            Self::Pl011(device) => (device, 0x38, 1 << 5), // UARTIMSC.TXIM
            Self::Imx(device) => (device, 0x80, 1 << 6),   // UCR1.TXMPTYEN
        };
        let others = device.read(offset) & !bit;
        device.write(offset, if on { others | bit } else { others });
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

/// Writes one line to the console, if it is known yet.
pub fn line(text: fmt::Arguments<'_>) {
    if let Some(mut console) = Console::default() {
        // A UART written by polling has no error to hand on.
        let _ = writeln!(console, "{text}");
    }
}
