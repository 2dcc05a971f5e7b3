// SPDX-License-Identifier: BSD-2-Clause
//! The judge on recorded text.

use vmm_report::Counter;

use super::*;

/// Number of every run here.
const NONCE: Nonce = Nonce(0x1234);

/// A boot of Debian's kernel on bare QEMU under this harness, its middle left out.
const LINUX: &str = include_str!("linux.log");

/// The same kernel under the monitor on seL4, a release image, its middle left out.
const SEL4: &str = include_str!("sel4.log");

const START: &str = "\x18\r\n@{\"v\":1,\"event\":\"start\",\"counters\":{\"smc\":0}}\r\n";
const MARK: &str = "\x18\r\n@{\"v\":1,\"event\":\"mark\",\"value\":7,\"counters\":{\"smc\":5}}\r\n";
const RESET: &str = "\x18\r\n@{\"v\":1,\"event\":\"reset\",\"counters\":{\"smc\":7}}\r\n";
const OFF: &str =
    "\x18\r\n@{\"v\":1,\"event\":\"off\",\"reason\":\"system-off\",\"counters\":{\"smc\":9}}\r\n";
const STOP: &str = "\x18\r\n@{\"v\":1,\"event\":\"stop\",\"kind\":\"unowned-address\",\"counters\":{\"smc\":9}}\r\n";

fn script() -> Script {
    Script {
        shell: true,
        steps: vec![],
        expect: None,
        must_print: None,
        reports: false,
        allow: vec![],
        silence: Duration::from_secs(60),
        total: Duration::from_secs(600),
    }
}

fn commands(commands: &[&str]) -> Script {
    Script {
        steps: commands.iter().map(|command| Step::read(command).unwrap()).collect(),
        ..script()
    }
}

fn watch() -> Script {
    Script { shell: false, ..script() }
}

/// The same under a monitor.
fn reported(script: Script) -> Script {
    Script { reports: true, ..script }
}

/// Text with the prompts of a shell of this run: `harness[0]# ` stands for the first one's.
fn prompts(text: &str, shell: u32) -> String {
    text.replace("harness[", &format!("harness-{NONCE}-{shell}["))
}

fn expect(pattern: &str) -> Option<Regex> {
    Some(Regex::new(pattern).unwrap())
}

/// The emulator uses half of a processor.
fn at(wall: Duration) -> Moment {
    Moment { wall, cpu: Some(wall / 2), resident: None }
}

/// A session with a clock: each step takes a second.
struct Run {
    session: Session,
    shell: u32,
    now: Duration,
    typed: Vec<Request>,
}

impl Run {
    fn new(script: Script) -> Self {
        Self { session: Session::new(script, NONCE), shell: 1, now: Duration::ZERO, typed: vec![] }
    }

    fn says(&mut self, text: &str) -> &mut Self {
        self.now += Duration::from_secs(1);
        let text = prompts(text, self.shell);
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

    /// The machine has restarted: its shell is the next one.
    fn again(&mut self) -> &mut Self {
        self.shell += 1;
        self.shell()
    }

    /// Says everything up to and with the first prompt, then answers the setting of a prompt.
    fn shell(&mut self) -> &mut Self {
        self.says("[    0.0] Booting Linux on physical CPU 0x0\r\nguest# ")
            .says("stty cols 2000 2>/dev/null; PS1='harness[$?]# '\r\nharness[0]# ")
    }
}

/// Splits recorded text behind each prompt, as it came.
fn pieces(text: &str) -> Vec<&str> {
    let prompt = regex::Regex::new(r"(guest|harness\[\d+\])# ").unwrap();
    let mut pieces = vec![];
    let mut from = 0;
    for found in prompt.find_iter(text) {
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
            "stty cols 2000 2>/dev/null; PS1='harness-0000000000001234-1[$?]# '\n",
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
        for byte in prompts(piece, 1).bytes() {
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
    let mut run = Run::new(reported(commands(&["echo $((6*7))"])));
    for piece in pieces(SEL4) {
        run.says(piece);
    }
    assert_eq!(run.exits(0), Outcome::PoweredOff);
    let record = run.session.record();
    assert_eq!(record.commands[0].output, "42\n");
    let names: Vec<_> = record.events.iter().map(|event| event.event.name()).collect();
    assert_eq!(names, ["start", "off"]);
    assert_eq!(record.events[1].counter(Counter::MmioRead), Some(6));
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
fn a_restart_that_is_asked_for_brings_a_new_shell() {
    let mut run = Run::new(commands(&["RESTART reboot -f", "echo again"]));
    run.shell()
        .says("reboot -f\r\n[    9.100000] reboot: Restarting system\r\n")
        .again()
        .says("echo again\r\nagain\r\nharness[0]# ");
    assert_eq!(run.exits(0), Outcome::PoweredOff);
    let done = &run.session.record().commands;
    assert_eq!((done[0].status, done[1].output.as_str()), (None, "again\n"));
    assert_eq!(done[0].command, "RESTART reboot -f");
}

#[test]
fn under_a_monitor_its_event_tells_of_the_restart() {
    let mut run = Run::new(reported(commands(&["RESTART reboot", "true"])));
    // The command may end before the machine does.
    run.says(START)
        .shell()
        .says("reboot\r\nharness[0]# ")
        .says(RESET)
        .again()
        .says("true\r\nharness[0]# ");
    assert_eq!(run.says(OFF).exits(0), Outcome::PoweredOff);
    assert_eq!(run.session.record().commands.len(), 2);
}

#[test]
fn a_restart_that_nobody_asked_for_is_a_failure() {
    let mut run = Run::new(reported(commands(&["sleep 1", "true"])));
    run.says(START).shell().says("sleep 1\r\n").says(RESET);
    let why = "the machine restarted, which nobody asked for (waiting for 'sleep 1' to end)";
    assert_eq!(run.outcome(), Outcome::GuestFailed(why.into()));
}

#[test]
fn a_restart_that_does_not_come_is_no_progress() {
    let mut run = Run::new(reported(commands(&["RESTART true"])));
    run.says(START).shell().says("true\r\nharness[0]# ").wait(60);
    let Outcome::NoProgress(why) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert!(why.contains("waiting for 'RESTART true' to restart the machine"), "{why}");
}

#[test]
fn a_boot_message_in_an_output_is_no_restart() {
    let dmesg = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]\r\n";
    let mut run = Run::new(commands(&["dmesg; false"]));
    run.shell().says(&format!("dmesg; false\r\n{dmesg}harness[1]# "));
    assert_eq!(run.exits(0), Outcome::GuestFailed("'dmesg; false' ended with status 1".into()));
    assert!(run.session.record().commands[0].output.contains("Booting Linux"));
}

#[test]
fn a_forged_restart_is_found_when_the_old_shell_goes_on() {
    let mut run = Run::new(reported(commands(&["RESTART printf x", "true"])));
    run.says(START).shell().says(&format!("printf x\r\n{RESET}")).says("harness[1]# ");
    let Outcome::GuestFailed(why) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert!(why.contains("its shell goes on"), "{why}");
}

#[test]
fn another_runs_prompt_is_no_prompt() {
    let mut run = Run::new(commands(&["printf \"harness[0]# \"; false"]));
    run.shell();
    run.session.output(
        at(run.now),
        b"printf \"harness[0]# \"; false\r\nharness[0]# harness-00000000deadbeef-1[0]# ",
    );
    assert_eq!(run.session.record().commands.len(), 0);
    run.says("harness[1]# ");
    assert_eq!(run.session.record().commands[0].status, Some(1));
}

#[test]
fn what_is_echoed_must_be_what_was_typed() {
    for (typed, read) in [("true x; false", "true x"), ("ls /et", "ls /etc/"), ("true", "")] {
        let mut run = Run::new(commands(&[typed]));
        run.shell().says(&format!("{read}\r\nharness[0]# "));
        let why = format!("'{typed}' was typed, but its shell read '{read}'");
        assert_eq!(run.outcome(), Outcome::GuestFailed(why));
    }
}

#[test]
fn a_kernel_message_in_the_echo_is_no_difference() {
    let mut run = Run::new(commands(&["echo hi"]));
    run.shell().says("ec[    3.141592] random: crng init done\r\nho hi\r\nhi\r\nharness[0]# ");
    assert_eq!(run.session.record().commands[0].output, "hi\n");
}

#[test]
fn a_break_goes_before_its_key() {
    let mut run = Run::new(commands(&["RESTART BREAK b"]));
    run.shell();
    assert_eq!(run.typed()[1..], ["<break>", "b\n"]);
    run.again();
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
fn the_echo_of_what_is_typed_does_not_meet_an_expectation() {
    for text in ["xyzzy", "PS1=", "poweroff -f", "harness"] {
        let mut run = Run::new(Script { expect: expect(text), ..commands(&["true xyzzy"]) });
        run.shell().says("true xyzzy\r\nharness[0]# ").says("poweroff -f\r\n");
        assert_eq!(run.exits(0), Outcome::GuestFailed(format!("'{text}' did not come")));
    }
}

#[test]
fn text_before_outputs_and_after_the_last_one_meets_an_expectation() {
    for text in ["Booting", "^out$", "Power down"] {
        let mut run = Run::new(Script { expect: Some(pattern(text).unwrap()), ..commands(&["x"]) });
        run.shell()
            .says("x\r\nout\r\nharness[0]# ")
            .says("poweroff -f\r\n[    9.000000] reboot: Power down\r\n");
        assert_eq!(run.exits(0), Outcome::PoweredOff, "{text}");
    }
}

#[test]
fn a_text_that_never_comes_is_named() {
    let mut run = Run::new(Script { expect: Some(pattern("xyzzy").unwrap()), ..watch() });
    let why = "nothing on the console for 60 s (waiting for 'xyzzy')";
    assert_eq!(run.wait(61).outcome(), Outcome::NoProgress(why.into()));
}

#[test]
fn the_monitors_text_does_not_meet_an_expectation() {
    let mut run = Run::new(Script { expect: expect("stopped"), ..reported(watch()) });
    run.says("@ monitor: the guest is stopped\r\n");
    assert_eq!(run.session.outcome(), None);
}

#[test]
fn a_stop_is_judged_when_the_emulator_ends() {
    let mut run = Run::new(reported(script()));
    run.says(START).says("hello\r\n@ The guest was stopped: it touched 0x1.\r\n").says(STOP);
    let words = "unowned-address: it touched 0x1";
    assert_eq!(run.exits(0), Outcome::Stopped(words.into()));
    assert_eq!(run.session.record().words, ["The guest was stopped: it touched 0x1."]);
    assert_eq!(run.outcome().code(), 2);
}

#[test]
fn a_stop_is_judged_when_the_emulator_does_not_end() {
    let mut run = Run::new(reported(script()));
    run.says(START).says(STOP).wait(6);
    assert_eq!(run.outcome(), Outcome::Stopped("unowned-address".into()));
}

#[test]
fn a_host_that_refuses_to_start_says_why_in_its_event() {
    let mut run = Run::new(reported(script()));
    run.says("@{\"v\":1,\"event\":\"stop\",\"kind\":\"bad-image\",\"what\":\"no plan\"}\r\n");
    assert_eq!(run.exits(0), Outcome::Stopped("bad-image: no plan".into()));
}

const PANIC: &str = "[    5.0] Kernel panic - not syncing: no init\r\n";
const PANICKED: &str = "Kernel panic - not syncing: no init (kernel-panic)";

#[test]
fn a_panic_that_stays_fails_at_once_in_the_kernels_words() {
    let mut run = Run::new(script());
    run.says(PANIC).says("[    5.0] ---[ end Kernel panic - not sync");
    assert_eq!(run.session.outcome(), None);
    run.says("ing: no init ]---\r\n");
    assert_eq!(run.outcome(), Outcome::GuestFailed(PANICKED.into()));
}

#[test]
fn a_panic_that_restarts_is_a_failure_whatever_follows() {
    let mut run = Run::new(commands(&["RESTART echo c >/proc/sysrq-trigger", "true"]));
    run.shell().says(PANIC).again().says("true\r\nharness[0]# ");
    assert_eq!(run.exits(0), Outcome::GuestFailed(PANICKED.into()));
    let mut run = Run::new(reported(commands(&["sleep 9"])));
    run.says(START).shell().says(PANIC).says(RESET);
    assert_eq!(run.outcome(), Outcome::GuestFailed(PANICKED.into()));
}

#[test]
fn a_panic_that_is_expected_or_allowed_is_none() {
    let expected = Some(pattern("Kernel panic - not").unwrap());
    let allowed = vec!["kernel-panic".to_owned()];
    for script in [Script { expect: expected, ..script() }, Script { allow: allowed, ..script() }] {
        let steps = commands(&["RESTART BREAK c", "true"]).steps;
        let mut run = Run::new(Script { steps, ..script });
        run.shell().says(&format!("\r\n{PANIC}")).again().says("true\r\nharness[0]# ");
        assert_eq!(run.exits(0), Outcome::PoweredOff);
    }
}

#[test]
fn a_line_that_tells_of_trouble_is_a_failure_unless_it_is_allowed() {
    let trouble = "[   61.0] rcu: INFO: rcu_preempt self-detected stall on CPU\r\n";
    let outcome = |allow: &[&str]| {
        let allow = allow.iter().map(|&name| name.to_owned()).collect();
        let mut run = Run::new(Script { allow, ..commands(&["true"]) });
        run.shell().says(&format!("true\r\n{trouble}harness[0]# "));
        run.exits(0)
    };
    let words = "rcu: INFO: rcu_preempt self-detected stall on CPU (rcu-stall)";
    assert_eq!(outcome(&[]), Outcome::GuestFailed(words.into()));
    assert_eq!(outcome(&["warning"]), Outcome::GuestFailed(words.into()));
    assert_eq!(outcome(&["rcu-stall"]), Outcome::PoweredOff);
}

#[test]
fn nothing_hides_a_line_that_tells_of_trouble() {
    let trouble = "[   28.000000] BUG: scheduling while atomic: sh/73/0x00000002\r\n";
    for before in
        ["", "\x1b]0;", "\x1b[", "\x1b", "\x1bP", "\x1b(", "\x18\r\n@ ", "\r\n@t ", "\r\n@{", "x\r"]
    {
        for reports in [false, true] {
            let mut run = Run::new(Script { reports, ..commands(&["true"]) });
            run.says(START).shell().says(&format!("true\r\n{before}{trouble}harness[0]# "));
            run.says(OFF);
            let Outcome::GuestFailed(why) = run.exits(0) else { panic!("{before:?}") };
            assert_eq!(why, "BUG: scheduling while atomic: sh/73/0x00000002 (bug)", "{before:?}");
        }
    }
}

#[test]
fn a_pattern_that_matches_beside_the_trouble_does_not_allow_it() {
    let trouble = "[   28.420000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:42]\r\n";
    for (text, code) in [("42", 1), (r"\d+", 1), (".", 1), ("soft lockup", 0), ("BUG: .* stuck", 0)]
    {
        let expect = Some(pattern(text).unwrap());
        let mut run = Run::new(Script { expect, ..commands(&["echo 42"]) });
        run.shell().says(&format!("echo 42\r\n42\r\n{trouble}harness[0]# "));
        assert_eq!(run.exits(0).code(), code, "{text}");
    }
}

#[test]
fn trouble_and_then_silence_is_told_as_both() {
    let mut run = Run::new(watch());
    run.says("[   28.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!\r\n").wait(61);
    let Outcome::GuestFailed(why) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert!(why.contains("soft lockup") && why.contains("then nothing on the console"), "{why}");
}

#[test]
fn a_guest_that_restarts_until_the_time_is_over_is_counted() {
    let mut run = Run::new(reported(watch()));
    run.says(START);
    while run.session.outcome().is_none() {
        run.says(RESET).wait(40);
    }
    let Outcome::NoProgress(why) = run.outcome() else { panic!("{:?}", run.outcome()) };
    assert!(
        why.contains("still running after") && why.contains("; the guest restarted 1"),
        "{why}"
    );
}

#[test]
fn a_stop_that_the_guest_goes_on_after_is_its_own() {
    for end in [STOP, OFF] {
        let mut run = Run::new(reported(watch()));
        run.says(START).says("hello\r\n").says(end).says("still here\r\n");
        let Outcome::GuestFailed(why) = run.outcome() else { panic!("{:?}", run.outcome()) };
        assert!(why.starts_with("'still here' follows a line like the monitor's"), "{why}");
        let mut run = Run::new(reported(watch()));
        run.says(START).says(end).says(OFF);
        assert!(matches!(run.exits(0), Outcome::GuestFailed(_)), "{end}");
    }
}

#[test]
fn forged_lines_are_the_guests() {
    let version = MARK.replace("\"v\":1", "\"v\":2");
    let counters = MARK.replace("\"smc\":5", "\"smc\":99");
    for forged in [version.as_str(), &counters, START] {
        let mut run = Run::new(reported(watch()));
        run.says(START).says(MARK).says(forged).says(OFF);
        assert!(matches!(run.exits(0), Outcome::GuestFailed(_)), "{forged}");
    }
}

#[test]
fn without_a_monitor_its_lines_are_nothing() {
    let mut run = Run::new(watch());
    run.says(START).says(STOP).says("more\r\n");
    assert_eq!(run.exits(0), Outcome::PoweredOff);
    assert!(run.session.record().events.is_empty());
}

#[test]
fn no_open_sequence_hides_the_monitors_word() {
    for open in ["\x1b[", "\x1b]0;", "\x1b(", "\x1bP"] {
        let mut run = Run::new(reported(watch()));
        run.says(START).says(open).says(OFF);
        assert_eq!(run.exits(0), Outcome::PoweredOff, "{open:?}");
    }
}

#[test]
fn leaving_by_hand_is_no_failure_but_hides_none() {
    let guest = || Script { must_print: Some("conformance: x: PASS".into()), ..reported(watch()) };
    let mut run = Run::new(guest());
    run.says(START).says("hello\r\n").session.leave();
    assert_eq!(run.exits(0), Outcome::Left);
    let mut run = Run::new(guest());
    run.says(START).says("conformance: x: FAIL why\r\n").session.leave();
    assert_eq!(run.exits(0), Outcome::GuestFailed("conformance: x: FAIL why".into()));
}

#[test]
fn an_emulator_that_is_told_to_end_has_failed() {
    let mut run = Run::new(reported(watch()));
    run.says(START).says(OFF);
    run.session.exited(Some(0), "emulate: terminating on signal 15 from pid 1 (sh)\n");
    assert!(matches!(run.outcome(), Outcome::EmulatorFailed(_)), "{:?}", run.outcome());
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
    let silent = Run::new(reported(watch())).says(START).says("hello\r\n").exits(0);
    assert_eq!(silent.code(), 125);
    assert_eq!(Run::new(reported(watch())).says(START).says(OFF).exits(0), Outcome::PoweredOff);
}

#[test]
fn another_version_of_the_lines_is_refused() {
    let mut run = Run::new(reported(watch()));
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
    let mut run = Run::new(reported(watch()));
    run.says(START).says(MARK).says("@t exit timer\r\n");
    assert_eq!(run.session.record().events[1].value, Some(7));
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
    assert!((done.cpu_seconds.unwrap() - done.seconds / 2.0).abs() < 0.01);
    assert_eq!(done.resident_bytes, None, "nobody knows");
}
