// SPDX-License-Identifier: BSD-2-Clause
//! What the monitor says, on the guest's own UART: the schema of its lines, once for the monitor
//! that writes them (no std, no allocation) and for everyone who reads them (feature `read`).
//!
//! Each line stands behind [`BEGIN`] and ends with a carriage return and a line feed:
//!
//! - [`EVENT`] and JSON: something happened. `{"v":1,"event":E,...,"ticks":T,"hz":F,"latency":[...],
//!   "counters":{...}}`, where E is a name of [`EventKind`] and the others are names of [`Field`].
//!   Numbers are decimal, addresses are texts in hexadecimal. A `stop` of a monitor that cannot start
//!   its guest, or cannot go on, has `what`, the reason in words, instead of times and counters.
//! - [`WORDS`] and text for a person.
//! - [`TRACE`] and a step of a trace.
#![cfg_attr(not(any(test, feature = "read")), no_std)]
#![forbid(unsafe_code)]

mod names;
#[cfg(feature = "read")]
mod read;
mod write;

pub use names::{Counter, EventKind, FaultKind, Field};
#[cfg(feature = "read")]
pub use read::Event;
pub use write::Line;

/// Version of the lines: it changes when a reader of the older ones would misread the new ones.
pub const VERSION: u32 = 1;

/// How everything that the monitor prints begins: the guest may be in the middle of a line, and of
/// an escape sequence, which would swallow what comes next. CAN ends a sequence wherever it stands
/// (VT100 User Guide, 'Control Characters').
pub const BEGIN: &str = "\x18\r\n";

/// Before the JSON of an event.
pub const EVENT: &str = "@";

/// Before words for a person.
pub const WORDS: &str = "@ ";

/// Before a step of a trace.
pub const TRACE: &str = "@t ";
