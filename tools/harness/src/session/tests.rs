// SPDX-License-Identifier: BSD-2-Clause
//! The judge on recorded text.

use super::*;

/// A boot of Debian's kernel on bare QEMU under this harness, its middle left out.
const LINUX: &str = include_str!("linux.log");

/// The same kernel under the monitor on seL4, a release image, its middle left out.
const SEL4: &str = include_str!("sel4.log");

const OFF: &str = "@{\"v\":1,\"event\":\"off\",\"reason\":\"system-off\",\"counters\":{}}\r\n";
const STOP: &str = "@{\"v\":1,\"event\":\"stop\",\"kind\":\"unowned-address\"}\r\n";

fn script() -> Script {
    Script {
        shell: true,
        commands: vec![],
        expect: None,
        must_print: None,
        reports: false,
        silence: Duration::from_secs(60),
        total: Duration::from_secs(600),
    }
}

fn commands(commands: &[&str]) -> Script {
    Script { commands: commands.iter().map(|&command| command.to_owned()).collect(), ..script() }
}

fn watch() -> Script {
    Script { shell: false, ..script() }
}

fn expect(pattern: &str) -> Option<Regex> {
    Some(Regex::new(pattern).unwrap())
}

/// The emulator uses half of a processor.
fn at(wall: Duration) -> Moment {
    Moment { wall, cpu: wall / 2, resident: 0 }
}

/// A session with a clock: each step takes a second.
struct Run {
    session: Session,
    now: Duration,
    typed: Vec<Request>,
}

impl Run {
    fn new(script: Script) -> Self {
        Self { session: Session::new(script), now: Duration::ZERO, typed: vec![] }
    }

    fn says(&mut self, text: &str) -> &mut Self {
        self.now += Duration::from_secs(1);
        let requests = self.session.output(at(self.now), text.as_bytes());
        self.typed.extend(requests);
        self.wait(1)
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds * 10 {
            self.now += Duration::from_millis(100);
            let requests = self.session.tick(at(self.now));
            self.typed.extend(requests);
        }
        self
    }

    fn exits(&mut self, code: i32) -> Outcome {
        self.session.exited(Some(code), "");
        self.outcome()
    }

    fn outcome(&self) -> Outcome {
        self.session.outcome().cloned().expect("an outcome")
    }

    fn typed(&self) -> Vec<&str> {
        let texts = self.typed.iter().filter_map(|request| match request {
            Request::Type(text) => Some(text.as_str()),
            Request::Break => Some("<break>"),
            Request::End => None,
        });
        texts.collect()
    }

    /// Says everything up to and with the first prompt, then answers the setting of a prompt.
    fn shell(&mut self) -> &mut Self {
        self.says("[    0.0] Booting Linux on physical CPU 0x0\r\nguest# ")
            .says("stty cols 2000 2>/dev/null; PS1='harness[$?]# '\r\nharness[0]# ")
    }
}

/// Splits recorded text behind each prompt, as it came.
fn pieces(text: &str) -> Vec<&str> {
    let prompts = regex::Regex::new(r"(guest|harness\[\d+\])# ").unwrap();
    let mut pieces = vec![];
    let mut from = 0;
    for found in prompts.find_iter(text) {
        pieces.push(&text[from..found.end()]);
        from = found.end();
    }
    pieces.push(&text[from..]);
    pieces
}

#[test]
fn a_recorded_boot_is_driven_to_its_end() {
    let mut run =
        Run::new(commands(&["echo $((6*7))", "uname -a; printf \"no newline\"", "false"]));
    for piece in pieces(LINUX) {
        run.says(piece);
    }
    assert_eq!(run.exits(0), Outcome::GuestFailed("'false' ended with status 1".into()));
    assert_eq!(
        run.typed(),
        [
            "stty cols 2000 2>/dev/null; PS1='harness[$?]# '\n",
            "echo $((6*7))\n",
            "uname -a; printf \"no newline\"\n",
            "false\n",
            "poweroff -f\n"
        ]
    );
    let done = &run.session.record().commands;
    assert_eq!((done[0].command.as_str(), done[0].output.as_str()), ("echo $((6*7))", "42\n"));
    assert_eq!(done[0].status, Some(0));
    assert!(
        done[1].output.starts_with("Linux (none) 6.1.") && done[1].output.ends_with("\nno newline")
    );
    assert_eq!((done[2].output.as_str(), done[2].status), ("", Some(1)));
}

#[test]
fn a_recorded_boot_byte_by_byte_ends_the_same() {
    let mut run = Run::new(commands(&["echo $((6*7))"]));
    for piece in pieces(LINUX) {
        for byte in piece.bytes() {
            run.now += Duration::from_millis(1);
            let requests = run.session.output(at(run.now), &[byte]);
            run.typed.extend(requests);
        }
        run.wait(1);
    }
    run.exits(0);
    assert_eq!(run.session.record().commands[0].output, "42\n");
}

#[test]
fn a_recorded_boot_on_sel4_is_driven_to_its_end() {
    let mut run = Run::new(Script { reports: true, ..commands(&["echo $((6*7))"]) });
    for piece in pieces(SEL4) {
        run.says(piece);
    }
    assert_eq!(run.exits(0), Outcome::PoweredOff);
    let record = run.session.record();
    assert_eq!(record.commands[0].output, "42\n");
    let names: Vec<_> = record.events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names, ["start", "off"]);
    assert_eq!(record.events[1].counter("mmio_read"), 6);
    assert_eq!(record.events[1].reason.as_deref(), Some("system-off"));
    assert!(!run.session.guest().contains("@{"));
}

#[test]
fn without_commands_the_guest_is_powered_off_at_its_shell() {
    let mut run = Run::new(script());
    assert_eq!(run.shell().exits(0), Outcome::PoweredOff);
    assert_eq!(run.typed().last(), Some(&"poweroff -f\n"));
}

#[test]
fn nothing_is_typed_before_the_prompt_stands() {
    let mut run = Run::new(script());
    run.session.output(at(Duration::from_millis(100)), b"guest# ");
    assert_eq!(run.session.tick(at(Duration::from_millis(200))), []);
    assert_eq!(run.session.tick(at(Duration::from_millis(400))).len(), 1);
}

#[test]
fn a_root_prompt_of_another_shell_will_do() {
    let mut run = Run::new(script());
    run.says("/ # ");
    assert_eq!(run.typed().len(), 1);
}

#[test]
fn at_a_login_the_harness_is_root() {
    let mut run = Run::new(script());
    run.says("\r\nguest login: ").says("root\r\n# ");
    assert_eq!(run.typed()[0], "root\n");
    assert!(run.typed()[1].contains("PS1="));
}

#[test]
fn a_long_line_that_ends_like_a_prompt_is_none() {
    let mut run = Run::new(script());
    run.says(&format!("{}# ", "x".repeat(80)));
    assert_eq!(run.typed(), [""; 0]);
}

#[test]
fn a_prompt_that_kernel_messages_ran_over_is_asked_for_again() {
    let mut run = Run::new(script());
    run.says("guest# [    1.2] random: crng init done\r\n").wait(6);
    assert_eq!(run.typed(), ["\n"]);
    run.says("\r\nguest# ");
    assert_eq!(run.typed().len(), 2);
}

#[test]
fn kernel_messages_behind_a_prompt_do_not_hide_it() {
    let mut run = Run::new(commands(&["echo hi"]));
    run.shell().says("echo hi\r\nhi\r\nharness[0]# [    3.1] late message\r\n");
    assert_eq!(run.session.record().commands[0].output, "hi\n");
}

#[test]
fn the_echo_of_the_prompt_is_no_prompt() {
    let mut run = Run::new(commands(&["true"]));
    run.says("guest# ").says("stty cols 2000 2>/dev/null; PS1='harness[$?]# '\r\n");
    assert_eq!(run.typed().len(), 1);
}

#[test]
fn a_failing_command_fails_the_run_but_not_the_next_command() {
    let mut run = Run::new(commands(&["false", "true"]));
    run.shell().says("false\r\nharness[1]# ").says("true\r\nharness[0]# ");
    assert_eq!(run.exits(0), Outcome::GuestFailed("'false' ended with status 1".into()));
    assert_eq!(run.session.record().commands.len(), 2);
}

#[test]
fn power_off_before_a_command_is_done_is_a_failure() {
    let mut run = Run::new(commands(&["sleep 9"]));
    let outcome = run.shell().exits(0);
    assert_eq!(outcome, Outcome::GuestFailed("it powered off before 'sleep 9' was done".into()));
}

#[test]
fn a_reboot_ends_its_command_and_brings_a_new_shell() {
    let mut run = Run::new(commands(&["reboot -f", "echo again"]));
    run.shell()
        .says("reboot -f\r\n[    9.1] reboot: Restarting system\r\n")
        .shell()
        .says("echo again\r\nagain\r\nharness[0]# ");
    assert_eq!(run.exits(0), Outcome::PoweredOff);
    let done = &run.session.record().commands;
    assert_eq!((done[0].status, done[1].output.as_str()), (None, "again\n"));
}

#[test]
fn a_reset_event_counts_as_a_reboot_once() {
    let mut run = Run::new(commands(&["reboot -f", "true"]));
    run.shell()
        .says("reboot -f\r\n@{\"v\":1,\"event\":\"reset\"}\r\n")
        .shell()
        .says("true\r\nharness[0]# ");
    assert_eq!(run.exits(0), Outcome::PoweredOff);
    assert_eq!(run.session.record().commands.len(), 2);
}

#[test]
fn a_break_goes_before_its_key() {
    let mut run = Run::new(commands(&["BREAK b"]));
    run.shell();
    assert_eq!(run.typed()[1..], ["<break>", "b\n"]);
    run.shell();
    assert_eq!(run.exits(0), Outcome::PoweredOff);
}

#[test]
fn an_expected_text_ends_the_run() {
    let mut run = Run::new(Script { expect: expect("log[i1]n:"), ..watch() });
    run.says("Debian\r\nlogin:");
    assert_eq!(run.outcome(), Outcome::Expected);
    assert_eq!(run.typed[0], Request::End);
}

#[test]
fn an_expected_text_across_pieces_is_found() {
    let mut run = Run::new(Script { expect: expect("login:"), ..watch() });
    run.says("lo").says("gi").says("n:");
    assert_eq!(run.outcome(), Outcome::Expected);
}

#[test]
fn a_missing_text_fails_the_run() {
    let mut run = Run::new(Script { expect: expect("xyzzy"), ..watch() });
    run.says("hello\r\n");
    assert_eq!(run.exits(0), Outcome::GuestFailed("'xyzzy' did not come".into()));
}

#[test]
fn with_commands_the_expected_text_does_not_end_the_run() {
    let mut run = Run::new(Script { expect: expect("hi"), ..commands(&["echo hi"]) });
    run.shell().says("echo hi\r\nhi\r\nharness[0]# ");
    assert_eq!(run.session.outcome(), None);
    assert_eq!(run.exits(0), Outcome::PoweredOff);
}

#[test]
fn the_monitors_text_does_not_meet_an_expectation() {
    let mut run = Run::new(Script { expect: expect("stopped"), ..watch() });
    run.says("@ monitor: the guest is stopped\r\n");
    assert_eq!(run.session.outcome(), None);
}

#[test]
fn a_stop_is_judged_when_the_emulator_ends() {
    let mut run = Run::new(script());
    run.says("hello\r\n@ The guest was stopped: it touched 0x1.\r\n").says(STOP);
    let words = "unowned-address: it touched 0x1";
    assert_eq!(run.exits(0), Outcome::Stopped(words.into()));
    assert_eq!(run.session.record().words, ["The guest was stopped: it touched 0x1."]);
    assert_eq!(run.outcome().code(), 2);
}

#[test]
fn a_stop_is_judged_when_the_emulator_does_not_end() {
    let mut run = Run::new(script());
    run.says(STOP).wait(6);
    assert_eq!(run.outcome(), Outcome::Stopped("unowned-address".into()));
}

#[test]
fn a_host_that_refuses_to_start_says_why_in_its_event() {
    let mut run = Run::new(script());
    run.says("@{\"v\":1,\"event\":\"stop\",\"kind\":\"bad-image\",\"what\":\"no plan\"}\r\n");
    assert_eq!(run.exits(0), Outcome::Stopped("bad-image: no plan".into()));
}

#[test]
fn a_panic_that_stays_fails_at_once_in_the_kernels_words() {
    let mut run = Run::new(script());
    run.says("[    1.0] ---[ end Kernel panic - not sync");
    assert_eq!(run.session.outcome(), None);
    run.says("ing: no init ]---\r\n");
    let words = "Kernel panic - not syncing: no init";
    assert_eq!(run.outcome(), Outcome::GuestFailed(words.into()));
}

#[test]
fn a_panic_that_restarts_is_a_reboot() {
    let mut run = Run::new(commands(&["echo c >/proc/sysrq-trigger", "true"]));
    run.shell()
        .says(
            "[    5.0] Kernel panic - not syncing: sysrq\r\n[    5.1] Rebooting in 1 seconds..\r\n",
        )
        .shell()
        .says("true\r\nharness[0]# ");
    assert_eq!(run.exits(0), Outcome::PoweredOff);
}

#[test]
fn silence_is_no_progress_and_says_what_was_awaited() {
    let mut run = Run::new(commands(&["sleep 999"]));
    run.shell().says("sleep 999\r\n").wait(61);
    let why = "nothing on the console for 60 s (waiting for 'sleep 999' to end)";
    assert_eq!(run.outcome(), Outcome::NoProgress(why.into()));
    assert_eq!(run.outcome().code(), 124);
}

#[test]
fn endless_output_is_no_progress_in_the_end() {
    let mut run = Run::new(watch());
    while run.session.outcome().is_none() {
        run.says("again\r\n");
    }
    assert!(matches!(run.outcome(), Outcome::NoProgress(_)));
    assert!(run.now <= Duration::from_secs(603));
}

#[test]
fn an_emulator_that_fails_is_125() {
    let mut run = Run::new(script());
    assert_eq!(run.exits(1), Outcome::EmulatorFailed("exit code 1".into()));
    assert_eq!(run.outcome().code(), 125);
}

#[test]
fn an_emulator_that_is_killed_is_125() {
    let mut run = Run::new(script());
    run.session.exited(None, "");
    assert!(run.outcome().words().contains("killed by a signal"), "{:?}", run.outcome());
    assert_eq!(run.outcome().code(), 125);
}

#[test]
fn an_emulator_that_refuses_is_quoted() {
    let mut run = Run::new(script());
    run.session.exited(Some(1), "emulate: warning: old\nemulate: no such machine\n");
    let words = "exit code 1: emulate: no such machine";
    assert_eq!(run.outcome(), Outcome::EmulatorFailed(words.into()));
}

#[test]
fn a_monitor_must_report_the_power_off() {
    let script = || Script { reports: true, ..watch() };
    let silent = Run::new(script()).says("hello\r\n").exits(0);
    assert_eq!(silent.code(), 125);
    assert_eq!(Run::new(script()).says(OFF).exits(0), Outcome::PoweredOff);
}

#[test]
fn another_version_of_the_lines_is_refused() {
    let mut run = Run::new(watch());
    run.says("@{\"v\":2,\"event\":\"start\"}\r\n");
    let Outcome::EmulatorFailed(why) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert!(why.contains("version 2"), "{why}");
}

#[test]
fn a_conformance_guest_that_fails_is_quoted() {
    let line = "conformance: wfi-timer: FAIL 3 ms late";
    let outcome = Run::new(watch()).says(&format!("{line}\r\n{OFF}")).exits(0);
    assert_eq!(outcome, Outcome::GuestFailed(line.into()));
}

#[test]
fn a_line_that_must_be_printed_is_looked_for_whole() {
    let script = || Script { must_print: Some("conformance: hello: PASS".into()), ..watch() };
    let outcome = Run::new(script()).says("conformance: hello: PASS\r\n").exits(0);
    assert_eq!(outcome, Outcome::PoweredOff);
    let outcome = Run::new(script()).says("xconformance: hello: PASS\r\n").exits(0);
    assert_eq!(outcome, Outcome::GuestFailed("it did not print 'conformance: hello: PASS'".into()));
}

#[test]
fn marks_and_traces_are_kept() {
    let mut run = Run::new(watch());
    run.says("@{\"v\":1,\"event\":\"mark\",\"value\":7}\r\n@t exit timer\r\n");
    assert_eq!(run.session.record().events[0].value, Some(7));
    assert_eq!(run.session.record().trace, ["exit timer"]);
}

#[test]
fn the_first_line_is_timed() {
    let mut run = Run::new(watch());
    run.says("@ monitor first\r\n").says("hel").says("lo\r\n");
    assert_eq!(run.session.record().first_line, Some(Duration::from_secs(5)));
}

#[test]
fn every_outcome_has_words() {
    let words = Outcome::Stopped("no-syndrome".into()).words();
    assert_eq!(words, "the monitor stopped the guest: no-syndrome");
    assert_eq!(Outcome::PoweredOff.words(), "the guest powered off");
    assert_eq!(Outcome::Expected.words(), "the expected text came");
}

#[test]
fn commands_are_timed() {
    let mut run = Run::new(commands(&["sleep 3"]));
    run.shell().wait(3).says("sleep 3\r\nharness[0]# ");
    let done = &run.session.record().commands[0];
    assert!((4.0..5.5).contains(&done.seconds), "{}", done.seconds);
    assert!((done.cpu_seconds - done.seconds / 2.0).abs() < 0.01);
}
