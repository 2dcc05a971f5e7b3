// SPDX-License-Identifier: BSD-2-Clause
//! What comes over a serial line, whatever it is: the monitor's lines are told from the guest's
//! however the bytes are cut, a run ends in one outcome, and guestplan reads any report or says
//! why not.

use std::time::Duration;

use judge::console::Console;
use judge::session::{Moment, Nonce, Outcome, Request, Script, Session, Step};
use vmm_plan::Board;
use vmm_plan::report::Report;
use vmm_report::Event;

use crate::boards::QEMU;
use crate::input::Input;

/// The serial line: all at once and byte by byte give the same.
fn console(bytes: &[u8]) {
    let (mut whole, mut pieces) = (Console::default(), Console::default());
    let mut at_once = whole.feed(bytes);
    at_once.extend(whole.finish());
    let mut one_by_one: Vec<_> = bytes.chunks(1).flat_map(|byte| pieces.feed(byte)).collect();
    one_by_one.extend(pieces.finish());
    assert_eq!(at_once, one_by_one);
    assert_eq!(whole.guest(), pieces.guest());
    assert!(whole.guest().len() <= bytes.len());
}

/// A run that is fed the bytes in pieces while time passes.
fn session(shape: u8, bytes: &[u8]) {
    let script = Script {
        shell: shape & 1 == 1,
        steps: vec![Step::read("true").unwrap(); usize::from(shape >> 1 & 3)],
        expect: (shape & 8 != 0).then(|| regex::bytes::Regex::new("^42$").unwrap()),
        must_print: (shape & 16 != 0).then(|| "login".into()),
        reports: shape & 32 != 0,
        allow: Vec::new(),
        silence: Duration::from_secs(30),
        total: Duration::from_secs(600),
    };
    let mut session = Session::new(script, Nonce(7));
    let mut now = Moment::default();
    let mut ended = false;
    for piece in bytes.split_inclusive(|byte| *byte == 0) {
        now.wall += Duration::from_millis(100 * piece.len() as u64);
        let mut requests = session.output(now, piece);
        now.wall += Duration::from_millis(400);
        requests.extend(session.tick(now));
        ended |= requests.contains(&Request::End);
        assert!(!ended || session.outcome().is_some());
    }
    session.exited(if shape & 64 == 0 { Some(0) } else { None }, "");
    let outcome = session.outcome().expect("a run that is over has an outcome");
    assert!(!outcome.words().is_empty());
    assert!(matches!(outcome.code(), 0 | 1 | 2 | 124 | 125));
    if *outcome == Outcome::PoweredOff {
        assert_eq!(outcome.code(), 0);
    }
}

/// An event is read, or is none; what is read is written and read again the same.
fn event(text: &str) {
    let Some(event) = Event::parse(text) else { return };
    assert!(event.seconds().is_none_or(f64::is_finite));
    let again = serde_json::to_string(&event).unwrap();
    assert_eq!(Event::parse(&again), Some(event));
}

/// A report is drawn, or refused.
fn report(text: &str) {
    let Ok(mut report) = serde_json::from_str::<Report>(text) else { return };
    // Transcripts are files, and a fuzzer's names are nobody's files.
    report.runs.iter_mut().for_each(|run| run.transcript.clear());
    let board = Board::parse("qemu_virt_aarch64", QEMU).unwrap();
    assert!(report.text(Some(&board)).contains("GICv"));
    assert!(report.svg(None).starts_with("<svg"));
    assert_eq!(report.summary(None).exits.len(), report.runs.len());
}

/// The target. The first byte is the run's shape; the rest is read as all that it might be.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let Some(shape) = input.byte() else { return };
    console(input.0);
    session(shape, input.0);
    if let Ok(text) = std::str::from_utf8(input.0) {
        event(text);
        report(text);
    }
}
