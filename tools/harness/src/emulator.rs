// SPDX-License-Identifier: BSD-2-Clause
//! Runs an emulator: its serial line is its standard input and output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::session::{Moment, Outcome, Request, Session};
use crate::show;
use crate::terminal::Terminal;

/// How often the session is told the time.
const TICK: Duration = Duration::from_millis(50);

/// Ctrl-A, which QEMU's multiplexer takes: `b` behind it sends BREAK, itself one Ctrl-A.
const ESCAPE: &str = "\u{1}";

/// A command line for an emulator.
#[derive(Clone, Debug, PartialEq)]
pub struct Emulator {
    /// Program.
    pub program: PathBuf,
    /// Arguments, without those for the serial line.
    pub arguments: Vec<String>,
    /// What befalls it: for `ci/drills`.
    pub mishap: Option<Mishap>,
}

/// What may befall an emulator from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing is at the other end of its serial line.
    Unplugged,
    /// It is killed once the guest's first line has come.
    Killed,
}

impl Emulator {
    /// Has it wait for gdb on a port of the loopback address before anything runs.
    pub fn wait_for_gdb(&mut self, port: u16) {
        self.arguments.extend(["-S".into(), "-gdb".into(), format!("tcp:127.0.0.1:{port}")]);
    }

    /// The command. If the harness dies by whatever cause, the kernel ends the emulator too:
    /// `setpriv` comes with util-linux, which every Linux system has.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.arguments);
        let line = match self.mishap {
            Some(Mishap::Unplugged) => "null,id=console,mux=on",
            _ => "stdio,id=console,mux=on,signal=off",
        };
        // No monitor: whoever types must not reach its commands.
        command.args(["-chardev", line, "-serial", "chardev:console", "-monitor", "none"]);
        command
    }

    fn failed(&self, verb: &str, error: &io::Error) -> Error {
        Error::Emulator(format!("cannot {verb} {}: {error}", self.program.display()))
    }

    /// Runs the emulator under a session until it ends or the session ends it. Everything that
    /// comes over the line also goes to `transcript`, and to a terminal, which types then.
    ///
    /// # Errors
    /// The program cannot be started, the transcript cannot be written, or a signal ends the run.
    pub fn run(
        &self,
        session: &mut Session,
        transcript: &Path,
        terminal: Option<&Terminal>,
    ) -> Result<Duration> {
        let mut log = File::create(transcript).map_err(|e| Error::file("write", transcript, &e))?;
        let started = Instant::now();
        let mut running = self.start(terminal).map_err(|e| self.failed("start", &e))?;
        let mut closed = false;
        while !closed {
            let requests = match running.output.recv_timeout(TICK) {
                Ok(mut bytes) => {
                    bytes.extend(running.output.try_iter().flatten());
                    log.write_all(&bytes).map_err(|e| Error::file("write", transcript, &e))?;
                    if let Some(terminal) = terminal {
                        terminal.show(&bytes);
                    }
                    session.output(running.now(started), &bytes)
                }
                Err(RecvTimeoutError::Timeout) => vec![],
                Err(RecvTimeoutError::Disconnected) => {
                    closed = true;
                    vec![]
                }
            };
            if let Some(terminal) = terminal {
                if let Some(signal) = terminal.signal() {
                    return Err(Error::Signal(signal));
                }
                if terminal.left() {
                    session.leave();
                }
            }
            let now = running.now(started);
            for request in requests.into_iter().chain(session.tick(now)) {
                closed |= request == Request::End;
                running.carry_out(&request);
            }
            if self.mishap == Some(Mishap::Killed) && session.record().first_line.is_some() {
                // As by another hand: the session learns of it as of any other death.
                let _ = running.child.kill();
            }
        }
        let status = running.child.wait().map_err(|e| self.failed("wait for", &e))?;
        let spent = started.elapsed();
        let said = running.messages();
        session.exited(status.code(), &said);
        if let Some(Outcome::EmulatorFailed(_)) = session.outcome() {
            said.lines().for_each(|line| show::err(format_args!("  {}", show::line(line))));
        }
        Ok(spent)
    }

    fn start(&self, terminal: Option<&Terminal>) -> io::Result<Running> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or_else(|| io::Error::other("no input"))?;
        let mut line = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut messages = child.stderr.take().ok_or_else(|| io::Error::other("no messages"))?;
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = line.read(&mut buffer) {
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                if sender.send(bytes).is_err() {
                    break;
                }
            }
        });
        let messages = thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is no message.
            let _ = messages.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let input = match terminal {
            Some(terminal) => {
                terminal.relay(input);
                None
            }
            None => Some(writer(input)),
        };
        Ok(Running { child, input, output, messages: Some(messages) })
    }
}

/// Writes in a thread of its own: a guest that does not read must not hold up its judge.
fn writer(mut input: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, texts) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        for text in texts {
            // An emulator that has ended reads no more; its exit tells the rest.
            if input.write_all(&text).and_then(|()| input.flush()).is_err() {
                break;
            }
        }
    });
    sender
}

/// A started emulator; ends with its owner.
struct Running {
    child: Child,
    input: Option<Sender<Vec<u8>>>,
    output: Receiver<Vec<u8>>,
    messages: Option<JoinHandle<String>>,
}

impl Running {
    fn now(&self, started: Instant) -> Moment {
        let process = self.child.id();
        Moment {
            wall: started.elapsed(),
            cpu: processor_time(process),
            resident: resident(process),
        }
    }

    fn carry_out(&mut self, request: &Request) {
        let text = match request {
            Request::Type(text) => text.replace(ESCAPE, &ESCAPE.repeat(2)),
            Request::Break => format!("{ESCAPE}b"),
            Request::End => {
                // An emulator that has ended already cannot be ended.
                let _ = self.child.kill();
                return;
            }
        };
        if let Some(input) = &self.input {
            // As in the writer.
            let _ = input.send(text.into_bytes());
        }
    }

    /// What it wrote besides its serial line; complete once it has ended.
    fn messages(&mut self) -> String {
        self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has used: fields 14 and 15 of `/proc/PID/stat`, in hundredths of a
/// second (proc_pid_stat(5); USER_HZ is 100 on every Linux architecture).
fn processor_time(process: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    let ticks = times.next()??.saturating_add(times.next()??);
    Some(Duration::from_millis(ticks.saturating_mul(10)))
}

/// Bytes of memory that a process holds: `VmRSS` of `/proc/PID/status`, in KiB (proc_pid_status(5)).
fn resident(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Finds a program in `PATH`.
///
/// # Errors
/// It is not there.
pub fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    let exists = |candidate: &PathBuf| candidate.is_file();
    found.into_iter().find(exists).ok_or_else(|| {
        Error::Usage(format!(
            "there is no program '{program}' in PATH: run ci/setup, or install it"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::session::{Nonce, Script, Step};

    #[test]
    fn this_process_has_used_some_time() {
        // A busy computer gives it little: what counts is that it shows at all.
        let begin = Instant::now();
        let used = || processor_time(std::process::id()).is_some_and(|time| time > Duration::ZERO);
        while !used() {
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
    }

    #[test]
    fn a_process_that_is_not_there_has_no_time_and_no_memory() {
        assert_eq!(processor_time(u32::MAX), None);
        assert_eq!(resident(u32::MAX), None);
    }

    #[test]
    fn this_process_holds_some_memory() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100 * 1024));
    }

    /// A program in an emulator's place: a shell script.
    fn scripted(script: &str) -> Emulator {
        let arguments = vec!["-c".into(), script.into()];
        Emulator { program: "/bin/sh".into(), arguments, mishap: None }
    }

    fn run(emulator: &Emulator, step: &str, silence: u64, name: &str) -> Outcome {
        let script = Script {
            shell: true,
            steps: vec![Step::command(step)],
            expect: None,
            must_print: None,
            reports: false,
            allow: vec![],
            silence: Duration::from_secs(silence),
            total: Duration::from_secs(60),
        };
        let mut session = Session::new(script, Nonce(0x1234));
        let log = std::env::temp_dir().join(format!("harness-{}-{name}", std::process::id()));
        emulator.run(&mut session, &log, None).unwrap();
        std::fs::remove_file(log).unwrap();
        session.outcome().cloned().unwrap()
    }

    #[test]
    fn a_guest_that_does_not_read_hangs_nobody() {
        // Answers the setting of the prompt, then reads no more: far more than a pipe holds.
        let guest =
            "printf 'guest# '; read x; printf '\nharness-0000000000001234-1[0]# '; exec sleep 50";
        let outcome = run(&scripted(guest), &"x".repeat(1 << 20), 2, "unread");
        assert!(matches!(outcome, Outcome::NoProgress(_)), "{outcome:?}");
    }

    #[test]
    fn an_emulator_that_crashes_says_so() {
        let outcome = run(&scripted("kill -SEGV $$"), "true", 20, "crash");
        assert!(matches!(outcome, Outcome::EmulatorFailed(_)), "{outcome:?}");
    }

    #[test]
    fn no_command_line_reaches_the_emulators_monitor() {
        let emulator = scripted("");
        let arguments: Vec<_> = emulator.command().get_args().map(OsString::from).collect();
        assert!(!arguments.iter().any(|argument| argument == "-mon"), "{arguments:?}");
        let monitor = arguments.iter().position(|argument| argument == "-monitor").unwrap();
        assert_eq!(arguments[monitor + 1], "none");
    }

    #[test]
    fn gdb_is_waited_for_on_the_loopback_address() {
        let mut emulator = Emulator { program: "qemu".into(), arguments: vec![], mishap: None };
        emulator.wait_for_gdb(1234);
        assert_eq!(emulator.arguments, ["-S", "-gdb", "tcp:127.0.0.1:1234"]);
    }

    #[test]
    fn a_missing_program_is_refused_with_the_way_out() {
        let error = find("no-such-emulator").unwrap_err();
        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("ci/setup"), "{error}");
    }
}
