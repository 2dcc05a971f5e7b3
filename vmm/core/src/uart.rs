// SPDX-License-Identifier: BSD-2-Clause
//! UARTs that the monitor writes to by polling: which register says that there is room, which one
//! takes the byte, and how long to wait. The host does the two volatile accesses.

use core::sync::atomic::{AtomicBool, Ordering};

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Byte offset of the word that tells UARTs apart ([`Uart::of_part`]): UARTPeriphID0.
pub const PART: usize = 0xfe0;

/// The registers of a UART, and the time.
pub trait Registers {
    /// Reads the 32-bit register at a byte offset.
    fn load(&self, offset: usize) -> u32;
    /// Writes it.
    fn store(&self, offset: usize, value: u32);
    /// The generic timer's counter, in ticks.
    fn now(&self) -> u64;
    /// Its frequency, in hertz.
    fn frequency(&self) -> u64;
}

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
    /// The UART with this number.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        Self::try_read_from_bytes(&number.to_le_bytes()).ok()
    }

    /// What a UART is that no plan names, by the word at [`PART`]: a PL011 has its part number there
    /// (Arm DDI 0183G, 3.3.15), in an i.MX UART nothing is there.
    #[must_use]
    pub const fn of_part(word: u32) -> Self {
        if word == 0x11 { Self::Pl011 } else { Self::Imx }
    }

    /// Sends text as it is, waiting for each byte's room at most a tenth of a second (a byte takes
    /// 1 ms at 9600 baud), and a second in all: the guest sets the UART's speed, and nobody below the
    /// monitor's priority runs meanwhile. `dead` is set while the UART takes nothing, because the
    /// guest turned it off: what follows is dropped rather than waited for.
    pub fn send(self, registers: &impl Registers, dead: &AtomicBool, text: &str) {
        let last = registers.now().saturating_add(registers.frequency());
        for byte in text.bytes() {
            let patience =
                if dead.load(Ordering::Relaxed) { 0 } else { registers.frequency() / 10 };
            let began = registers.now();
            if began > last {
                return;
            }
            let give_up = began.saturating_add(patience);
            while !self.has_room(registers.load(self.status_offset())) {
                if registers.now() > give_up {
                    dead.store(true, Ordering::Relaxed);
                    return;
                }
            }
            dead.store(false, Ordering::Relaxed);
            registers.store(self.data_offset(), byte.into());
        }
    }

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
    use std::cell::{Cell, RefCell};
    use std::vec::Vec;

    use super::*;

    /// A UART whose FIFO has room for a while, and a clock that ticks at each look.
    struct Wire {
        room: Cell<u32>,
        sent: RefCell<Vec<u8>>,
        ticks: Cell<u64>,
    }

    impl Registers for Wire {
        fn load(&self, offset: usize) -> u32 {
            assert_eq!(offset, 0x18);
            if self.room.get() > 0 { 0 } else { 0x20 }
        }
        fn store(&self, offset: usize, value: u32) {
            assert_eq!(offset, 0);
            self.room.set(self.room.get() - 1);
            self.sent.borrow_mut().push(value as u8);
        }
        fn now(&self) -> u64 {
            self.ticks.set(self.ticks.get() + 1);
            self.ticks.get()
        }
        fn frequency(&self) -> u64 {
            1000
        }
    }

    #[test]
    fn a_uart_that_takes_nothing_is_waited_for_once() {
        let (room, sent, ticks) = (Cell::new(3), RefCell::default(), Cell::new(0));
        let (wire, dead) = (Wire { room, sent, ticks }, AtomicBool::new(false));
        Uart::Pl011.send(&wire, &dead, "abcdef");
        assert_eq!(*wire.sent.borrow(), b"abc");
        assert!((100..120).contains(&wire.ticks.get()), "a tenth of a second");
        Uart::Pl011.send(&wire, &dead, "ghi");
        assert!(wire.ticks.get() < 130, "not once more");
        wire.room.set(9);
        Uart::Pl011.send(&wire, &dead, "jk");
        assert_eq!(*wire.sent.borrow(), b"abcjk");
        assert!(!dead.load(Ordering::Relaxed));
    }

    /// A UART that has room for a byte each 95 ms, which is 105 baud.
    struct Slow(Cell<u64>);

    impl Registers for Slow {
        fn load(&self, _: usize) -> u32 {
            self.0.set(self.0.get() + 95);
            0
        }
        fn store(&self, _: usize, _: u32) {}
        fn now(&self) -> u64 {
            self.0.get()
        }
        fn frequency(&self) -> u64 {
            1000
        }
    }

    #[test]
    fn a_slow_uart_is_given_up_within_a_second() {
        let (slow, dead) = (Slow(Cell::new(0)), AtomicBool::new(false));
        Uart::Pl011.send(&slow, &dead, &"x".repeat(400));
        assert!((900..1200).contains(&slow.0.get()), "{} ms", slow.0.get());
    }

    #[test]
    fn numbers_and_part_numbers_name_a_uart() {
        for kind in [Uart::Pl011, Uart::Imx] {
            assert_eq!(Uart::new(kind as u32), Some(kind));
        }
        assert_eq!((Uart::new(0), Uart::new(3)), (None, None));
        assert_eq!((Uart::of_part(0x11), Uart::of_part(0)), (Uart::Pl011, Uart::Imx));
    }

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
