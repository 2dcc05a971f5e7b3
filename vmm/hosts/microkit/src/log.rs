// SPDX-License-Identifier: BSD-2-Clause
//! Where the monitor's `log` goes. A debug kernel has a console: each record is a line there. A
//! release kernel has none: records wait in a small ring, to be printed with a stop report.

use core::fmt::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};
use vmm_core::report::{BEGIN, WORDS};

struct Backend;

static BACKEND: Backend = Backend;

/// Makes this the program's logger.
pub fn init() {
    // A second logger is refused; there is only this one.
    let _ = log::set_logger(&BACKEND);
    log::set_max_level(LevelFilter::Info);
}

impl Log for Backend {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let _ = write!(Sink, "{BEGIN}{WORDS}{}: {}\r\n", record.level(), record.args());
    }

    fn flush(&self) {}
}

struct Sink;

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        put(text);
        Ok(())
    }
}

sel4::sel4_cfg_if! {
    if #[sel4_cfg(PRINTING)] {
        fn put(text: &str) {
            text.bytes().for_each(sel4::debug_put_char);
        }

        /// Prints what the ring holds; nothing, since records went to the console.
        pub const fn print_held(_print: fn(&str)) {}
    } else {
        use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

        /// Bytes that the ring holds.
        const ROOM: usize = 2048;

        static RING: [AtomicU8; ROOM] = [const { AtomicU8::new(0) }; ROOM];

        /// Bytes ever written.
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);

        fn put(text: &str) {
            for byte in text.bytes() {
                let at = WRITTEN.fetch_add(1, Ordering::Relaxed);
                if let Some(cell) = RING.get(at & (ROOM - 1)) {
                    cell.store(byte, Ordering::Relaxed);
                }
            }
        }

        /// Prints what the ring holds, oldest first, and empties it.
        pub fn print_held(print: fn(&str)) {
            let end = WRITTEN.swap(0, Ordering::Relaxed);
            for at in end.saturating_sub(ROOM)..end {
                let byte = RING.get(at & (ROOM - 1)).map_or(0, |cell| cell.load(Ordering::Relaxed));
                let character = if byte.is_ascii() { char::from(byte) } else { '?' };
                print(character.encode_utf8(&mut [0; 4]));
            }
        }
    }
}
