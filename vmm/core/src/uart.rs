// SPDX-License-Identifier: BSD-2-Clause
//! UARTs that the monitor writes to by polling, as data: which register says that there is room,
//! and which one takes the byte. The host does the two volatile accesses.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// A kind of UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u32)]
pub enum Uart {
    /// Arm PrimeCell PL011 (Arm DDI 0183G, 3.3).
    Pl011 = 1,
    /// NXP i.MX UART (i.MX 8M Dual/8M QuadLite/8M Quad Reference Manual, 16.2).
    Imx = 2,
}

impl Uart {
    /// Byte offset of the 32-bit register that takes a byte to send: UARTDR, UTXD.
    #[must_use]
    pub const fn data_offset(self) -> usize {
        match self {
            Self::Pl011 => 0x00,
            Self::Imx => 0x40,
        }
    }

    /// Byte offset of the 32-bit status register: UARTFR, UTS.
    #[must_use]
    pub const fn status_offset(self) -> usize {
        match self {
            Self::Pl011 => 0x18,
            Self::Imx => 0xb4,
        }
    }

    /// Whether the transmit FIFO has room: UARTFR.TXFF (bit 5), UTS.TXFULL (bit 4) is clear.
    #[must_use]
    pub const fn has_room(self, status: u32) -> bool {
        match self {
            Self::Pl011 => status & (1 << 5) == 0,
            Self::Imx => status & (1 << 4) == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_lie_where_the_manuals_say() {
        assert_eq!((Uart::Pl011.data_offset(), Uart::Pl011.status_offset()), (0x00, 0x18));
        assert_eq!((Uart::Imx.data_offset(), Uart::Imx.status_offset()), (0x40, 0xb4));
    }

    #[test]
    fn a_full_fifo_has_no_room() {
        assert!(!Uart::Pl011.has_room(0x20));
        assert!(Uart::Pl011.has_room(0x90));
        assert!(!Uart::Imx.has_room(0x10));
        assert!(Uart::Imx.has_room(0x60));
    }
}
