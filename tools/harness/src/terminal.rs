// SPDX-License-Identifier: BSD-2-Clause
//! The terminal of whoever sits at the guest's console. It is raw while the guest has it, and as it
//! was before afterwards, however the run ends.

use std::io::{Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Result};

/// What ends the harness from outside. Ctrl-C is none of them: a raw terminal sends it on.
const SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];
/// QEMU's escape character (Ctrl-A), and the key behind it that ends the emulator.
const ESCAPE: u8 = 0x01;
const LEAVE: u8 = b'x';

/// Takes back what a guest may have left a terminal in: CAN ends an open sequence; letters from the first
/// character set, in no colour; a cursor that shows, keys that say what they are, no reports of a mouse or
/// of pasted text, and the usual screen (xterm's control sequences; others ignore them).
const PLAIN: &[u8] = b"\x18\x1b(B\x0f\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?9;1000;1002;1003;1005;1006;2004l\x1b[?47l\r\n";

/// A terminal in the guest's hands.
#[derive(Debug)]
pub struct Terminal {
    settings: String,
    signal: Arc<AtomicUsize>,
    left: Arc<AtomicBool>,
}

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    /// Standard input is no terminal, or `stty` is missing.
    pub fn take() -> Result<Self> {
        let settings = stty(&["-g"])?;
        let signal = Arc::new(AtomicUsize::new(0));
        for number in SIGNALS {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)
                .map_err(|e| Error::Usage(format!("cannot watch for signal {number}: {e}")))?;
        }
        // From here on its end puts the settings back.
        let terminal = Self { settings: settings.trim().to_owned(), signal, left: Arc::default() };
        stty(&["raw", "-echo"])?;
        Ok(terminal)
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<u8> {
        u8::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|&signal| signal != 0)
    }

    /// Whether Ctrl-A x was typed.
    #[must_use]
    pub fn left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Sends on what is typed, in a thread of its own.
    pub fn relay(&self, mut input: ChildStdin) {
        let left = Arc::clone(&self.left);
        thread::spawn(move || {
            let mut keys = Keys::default();
            let mut typed = [0; 4096];
            while let Ok(count @ 1..) = std::io::stdin().lock().read(&mut typed) {
                let typed = typed.get(..count).unwrap_or_default();
                if keys.leave(typed) {
                    left.store(true, Ordering::Relaxed);
                }
                if input.write_all(typed).and_then(|()| input.flush()).is_err() {
                    break;
                }
            }
        });
    }

    /// Shows what the guest says, unchanged: a terminal is what it wants.
    pub fn show(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        // A terminal that has gone shows nothing; its SIGHUP ends the run.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Of a terminal that has gone nothing is to be put back.
        self.show(PLAIN);
        let _ = stty(&[&self.settings]);
    }
}

/// Settings of the terminal behind standard input (stty(1)); returns what it prints.
fn stty(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("stty");
    let output = command.args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        _ => {
            Err(Error::Usage("stty cannot set this terminal: use --run (ci/demo: --check)".into()))
        }
    }
}

/// Keys with a meaning for QEMU's multiplexer.
#[derive(Debug, Default)]
struct Keys {
    escaped: bool,
}

impl Keys {
    /// Whether the emulator is to end.
    fn leave(&mut self, typed: &[u8]) -> bool {
        let mut leave = false;
        for &key in typed {
            leave |= self.escaped && key == LEAVE;
            self.escaped = !self.escaped && key == ESCAPE;
        }
        leave
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_a_x_leaves_and_ctrl_a_twice_is_text() {
        assert!(Keys::default().leave(b"ls\n\x01x"));
        assert!(!Keys::default().leave(b"x\x01\x01x\x01bx"));
        let mut keys = Keys::default();
        assert!(!keys.leave(b"\x01") && keys.leave(b"x"));
    }
}
