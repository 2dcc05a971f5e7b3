// SPDX-License-Identifier: BSD-2-Clause
//! `ci/boot`: prepares an image, boots it as often as asked, says how it went.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conformance::{self, Guest};
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::made;
use crate::options::{BootOptions, DemoOptions, HostName, Machine};
use crate::report::{self, Report, Run, SCHEMA};
use crate::session::{Nonce, Outcome, Script, Session};
use crate::show;
use crate::terminal::Terminal;

/// Runs the command; the exit code is that of the first run that failed.
///
/// # Errors
/// Something is missing or does not build.
pub fn run(root: &Path, options: &BootOptions) -> Result<u8> {
    if let (Some(folder), "") = (&options.machine.from, options.machine.board.as_str()) {
        let machine = made::machine(&options.machine, folder)?;
        return run(root, &BootOptions { machine, ..options.clone() });
    }
    if options.interactive && !std::io::stdin().is_terminal() {
        let text = "there is no terminal to hand the console to: use --run (ci/demo: --check)";
        return Err(Error::Usage(text.into()));
    }
    if let Some(note) = image::kernel_note(root, &options.machine)? {
        crate::show::err(format_args!("note: {note}"));
    }
    let guest = match options.machine.guest.as_deref() {
        None => None,
        Some("all") if options.gdb.is_some() => {
            return Err(Error::Usage("--gdb looks at one guest: name it with --guest".into()));
        }
        Some("all") => return conformance::run(root, options),
        Some(name) => Some(Guest::find(root, name)?),
    };
    let machine = match &guest {
        Some(guest) => guest.machine(&options.machine),
        None => {
            let mut machine = options.machine.clone();
            image::choose_config(root, &mut machine)?;
            machine
        }
    };
    let mut image = Image::prepare(root, &machine)?;
    if let Some(port) = options.gdb {
        image.emulator.wait_for_gdb(port);
        show::err(format_args!("{}", gdb_advice(&image, port)));
    }
    let script = || guest.as_ref().map_or_else(|| linux(options), |guest| guest.script(options));
    let mut report = empty(&image, &machine);
    for number in 1..=options.repeat {
        let run = match options.interactive {
            true => interactive(&image, &machine, script())?,
            false => once(&image, &machine, script(), number)?,
        };
        let run = in_time(run, options.init_within);
        show(&run, number, options.repeat);
        if report.exit_code == 0 {
            report.exit_code = run.exit_code;
        }
        report.runs.push(run);
    }
    if let Some(path) = &options.report {
        report.write(path)?;
    }
    Ok(report.exit_code)
}

/// `ci/demo`. Whoever had the console is told where to go on.
///
/// # Errors
/// As [`run`].
pub fn demo(root: &Path, options: &DemoOptions) -> Result<u8> {
    let code = run(root, &options.boot().map_err(Error::Usage)?)?;
    if code == 0 && !options.check {
        show::err(format_args!("{}", SEEN.trim_end()));
    }
    Ok(code)
}

/// What was seen, what to try next, where to read.
const SEEN: &str = "
Seen: Debian's own arm64 kernel, unchanged, under the monitor. Lines that begin with @ are the monitor's.
Next: ci/boot qemu --host baremetal --gic 3 --cpus 4 --interactive, then ci/test. On seL4: README.md, 'Try it'.
Read: docs/architecture.md follows one exit all the way; docs/debugging.md stops it with gdb.
";

/// What to paste into another terminal.
fn gdb_advice(image: &Image, port: u16) -> String {
    let program = image.monitor.as_ref().map(|path| format!(" {}", path.display()));
    format!(
        "Nothing runs before gdb says 'continue'. In another terminal:\n    \
         gdb-multiarch -ex 'target remote 127.0.0.1:{port}'{}",
        program.unwrap_or_default()
    )
}

/// What a run of Linux is to do. Without commands it is powered off at its shell, unless a text is
/// awaited.
#[must_use]
pub fn linux(options: &BootOptions) -> Script {
    Script {
        shell: options.expect.is_none() || !options.run.is_empty(),
        steps: options.run.clone(),
        expect: options.expect.clone(),
        must_print: None,
        reports: options.machine.host != HostName::Bare,
        allow: options.allow.clone(),
        silence: options.silence(),
        total: options.total(),
    }
}

/// A report without runs.
#[must_use]
pub fn empty(image: &Image, machine: &Machine) -> Report {
    Report {
        schema: SCHEMA,
        board: image.facts.board.clone(),
        host: machine.host.name(),
        config: machine.config().name(),
        gic: image.facts.gic,
        profile: image.profile.clone(),
        guest: machine.guest.clone().unwrap_or_else(|| "linux".into()),
        append: machine.append.clone(),
        ram_mib: image.facts.ram_mib,
        cpus: image.facts.cpus,
        icount: machine.icount,
        sizes: image.sizes.clone(),
        runs: Vec::new(),
        exit_code: 0,
    }
}

/// Boots once under a script.
///
/// # Errors
/// The emulator cannot be started, or the transcript cannot be written.
pub fn once(image: &Image, machine: &Machine, script: Script, number: u32) -> Result<Run> {
    run_once(image, machine, script, number, None)
}

fn run_once(
    image: &Image,
    machine: &Machine,
    mut script: Script,
    number: u32,
    terminal: Option<&Terminal>,
) -> Result<Run> {
    let transcript = transcript(image, machine, number)?;
    script.allow.extend(image.allow.iter().cloned());
    let mut session = Session::new(script, Nonce::random());
    let spent = image.emulator.run(&mut session, &transcript, terminal)?;
    let unknown = Outcome::EmulatorFailed("it ended without an outcome".into());
    let outcome = session.outcome().unwrap_or(&unknown);
    let outcome = with_console(outcome, &session.guest(), &image.facts.console);
    Ok(Run::new(&session, &outcome, spent, &transcript))
}

/// The outcome; where nothing came from the guest, with the consoles that it has and was asked for.
fn with_console(outcome: &Outcome, guest: &str, console: &str) -> Outcome {
    match outcome {
        Outcome::NoProgress(why) if guest.trim().is_empty() && !console.is_empty() => {
            Outcome::NoProgress(format!("{why}; {console}"))
        }
        other => other.clone(),
    }
}

/// The run, failed if Linux's first program came later than `limit`, or never.
fn in_time(run: Run, limit: Option<f64>) -> Run {
    let Some(limit) = limit.filter(|_| run.exit_code == 0) else { return run };
    let late = run.init_seconds.iter().find(|at| **at > limit);
    let why = match (late, run.init_seconds.is_empty()) {
        (Some(at), _) => format!("its first program came at {at:.3} s, not within {limit} s"),
        (None, true) => "no line says when its first program came (--init-within)".into(),
        (None, false) => return run,
    };
    let outcome = Outcome::GuestFailed(why);
    Run {
        outcome: report::word(&outcome),
        message: outcome.words(),
        exit_code: outcome.code(),
        ..run
    }
}

/// Where the transcript of a run goes: into this checkout, one file for each kind of run. The lock of
/// the image keeps others of that kind away.
fn transcript(image: &Image, machine: &Machine, number: u32) -> Result<PathBuf> {
    let folder = &image.transcripts;
    fs::create_dir_all(folder).map_err(|e| Error::file("make", folder, &e))?;
    let guest = machine.guest.as_deref().unwrap_or("linux");
    Ok(folder.join(format!("{}-{guest}-{number}.log", image::name(machine, &image.facts))))
}

/// The outputs of the commands go to standard output, everything else to standard error.
fn show(run: &Run, number: u32, of: u32) {
    for done in run.commands.iter().filter(|done| !done.output.is_empty()) {
        let output = done.output.strip_suffix('\n').unwrap_or(&done.output);
        show::out(format_args!("{}", show::harmless(output)));
    }
    for line in &run.monitor {
        show::err(format_args!("@ {}", show::line(line)));
    }
    let which = if of > 1 { format!("run {number} of {of}: ") } else { String::new() };
    if matches!(run.exit_code, 1 | 124 | 125) {
        for line in &run.tail {
            show::err(format_args!("| {}", show::line(line)));
        }
    }
    let init = run.init_seconds.first().map(|at| format!(", init at {at:.3} s of guest time"));
    let (init, message) = (init.unwrap_or_default(), show::line(&run.message));
    let (seconds, path) = (run.seconds, run.transcript.display());
    show::err(format_args!("{which}{message} after {seconds:.1} s{init}; transcript: {path}"));
}

/// Hands the console over, without limits of time. Leaving the emulator by hand is no failure.
fn interactive(image: &Image, machine: &Machine, script: Script) -> Result<Run> {
    let under = match machine.host {
        HostName::Microkit => "as a Linux guest on seL4, under a monitor written in Rust",
        HostName::Baremetal => {
            "as a Linux guest under a monitor written in Rust, here without seL4"
        }
        HostName::Bare => "without a monitor",
    };
    show::err(format_args!("{}, {under}.", image.facts.title));
    show::err(format_args!("To leave: type 'poweroff', or Ctrl-A x at any time."));
    let script = Script { shell: false, silence: Duration::MAX, total: Duration::MAX, ..script };
    let terminal = Terminal::take()?;
    run_once(image, machine, script, 1, Some(&terminal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(init_seconds: Vec<f64>, exit_code: u8) -> Run {
        Run { message: "it ended".into(), exit_code, init_seconds, ..Run::default() }
    }

    #[test]
    fn a_late_first_program_fails_the_run_and_so_does_none() {
        let code = |times: &[f64], limit| in_time(run(times.to_vec(), 0), limit).exit_code;
        assert_eq!(code(&[0.5], Some(0.5)), 0);
        assert_eq!(code(&[0.4, 0.6], Some(0.5)), 1);
        assert_eq!(code(&[], Some(0.5)), 1);
        assert_eq!(code(&[], None), 0);
        assert_eq!(in_time(run(vec![], 124), Some(0.5)).exit_code, 124);
        let text = in_time(run(vec![0.6], 0), Some(0.5)).message;
        assert_eq!(text, "the guest failed: its first program came at 0.600 s, not within 0.5 s");
    }
}
