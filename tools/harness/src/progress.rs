// SPDX-License-Identifier: BSD-2-Clause
//! A moving line for what takes long: for how long, what is being done, its last words. A terminal
//! alone sees it.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the line moves.
const STEP: Duration = Duration::from_secs(1);

/// Columns of the line: the least that every terminal has.
const WIDTH: usize = 79;

/// Runs a command to its end and keeps its output; meanwhile a terminal on standard error sees
/// for how long, `activity`, and the last line that the command wrote.
///
/// # Errors
/// It cannot be started or waited for.
pub fn output(mut command: Command, activity: &str) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let last = Arc::new(Mutex::new(String::new()));
    let (done, running) = mpsc::channel::<()>();
    let ticker = io::stderr().is_terminal().then(|| {
        let (activity, last) = (activity.to_owned(), Arc::clone(&last));
        thread::spawn(move || tick(&activity, &last, &running))
    });
    let words = child.stderr.take();
    let reader = thread::spawn(move || words.map(|words| read(words, &last)).unwrap_or_default());
    let mut stdout = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        // What cannot be read is missing from an error's text, no more.
        let _ = pipe.read_to_end(&mut stdout);
    }
    let stderr = reader.join().unwrap_or_default();
    let status = child.wait();
    drop(done);
    if let Some(ticker) = ticker {
        // It has nothing to say about how it ended.
        let _ = ticker.join();
    }
    Ok(Output { status: status?, stdout, stderr })
}

/// Reads to the end, and keeps the last line where the ticker finds it.
fn read(from: impl Read, last: &Mutex<String>) -> Vec<u8> {
    let mut from = BufReader::new(from);
    let mut all = Vec::new();
    loop {
        let begin = all.len();
        match from.read_until(b'\n', &mut all) {
            Ok(1..) => {}
            _ => return all,
        }
        let line = String::from_utf8_lossy(all.get(begin..).unwrap_or_default()).trim().to_owned();
        if !line.is_empty() {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }
}

fn tick(activity: &str, last: &Mutex<String>, running: &Receiver<()>) {
    let started = Instant::now();
    let mut shown = false;
    while running.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
        let last = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        write(&line(activity, started.elapsed(), &last));
        shown = true;
    }
    if shown {
        write("");
    }
}

/// Replaces the line. A terminal that is gone is nobody's fault.
fn write(text: &str) {
    let mut terminal = io::stderr();
    let _ = write!(terminal, "\r\u{1b}[K{text}").and_then(|()| terminal.flush());
}

fn line(activity: &str, elapsed: Duration, last: &str) -> String {
    let colon = if last.is_empty() { "" } else { ": " };
    let text = format!("{} s, {activity}{colon}{last}", elapsed.as_secs());
    text.chars().filter(|c| !c.is_control()).take(WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_s_output_is_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo one >&2; echo two >&2; exit 3"]);
        let output = output(command, "a test").unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"one\ntwo\n"[..]));
    }

    #[test]
    fn more_than_a_pipe_holds_is_read() {
        let mut command = Command::new("sh");
        command.args(["-c", "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero"]);
        let output = output(command, "a test").unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, 300_000));
    }

    #[test]
    fn a_command_that_is_not_there_is_an_error() {
        assert!(output(Command::new("/no/such/program"), "a test").is_err());
    }

    #[test]
    fn the_last_line_is_the_one_that_is_shown() {
        let last = Mutex::new(String::new());
        assert_eq!(
            read(&b"   Compiling a\n   Compiling b\n\n"[..], &last),
            b"   Compiling a\n   Compiling b\n\n"
        );
        let last = last.into_inner().unwrap();
        let elapsed = Duration::from_millis(12_900);
        assert_eq!(
            line("building x, then: y", elapsed, &last),
            "12 s, building x, then: y: Compiling b"
        );
        assert_eq!(line("building x", elapsed, ""), "12 s, building x");
    }

    #[test]
    fn a_line_fits_a_terminal_and_moves_no_cursor() {
        let text = line("building x", Duration::ZERO, &"\u{1b}[31mé".repeat(100));
        assert_eq!(text.chars().count(), WIDTH);
        assert!(!text.contains('\u{1b}'));
    }
}
