// SPDX-License-Identifier: BSD-2-Clause
//! What is written reads back: writer and readers mean the same line.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vmm_report::{
    BEGIN, Counter, EVENT, Event, EventKind, FaultKind, Field, Line, TRACE, VERSION, WORDS,
};

/// The line that `say` makes, without what every line has in common.
fn line(
    event: EventKind,
    say: impl FnOnce(Line<'_>) -> Result<Line<'_>, std::fmt::Error>,
) -> Event {
    let mut out = String::new();
    say(Line::new(&mut out, event).unwrap()).unwrap().end().unwrap();
    let json = out.strip_prefix(EVENT).and_then(|line| line.strip_suffix("\r\n"));
    Event::parse(json.unwrap()).unwrap_or_else(|| panic!("{out}"))
}

/// No more than what every line says.
fn nothing(line: Line<'_>) -> Result<Line<'_>, std::fmt::Error> {
    Ok(line)
}

/// Fields that the reader knows by themselves; all others are in [`Event::rest`].
fn value(event: &Event, field: Field) -> Option<serde_json::Value> {
    let typed = serde_json::to_value(event).unwrap();
    typed.get(field.name()).filter(|_| !event.rest.contains_key(field.name())).cloned()
}

#[test]
fn each_kind_of_line_has_its_beginning() {
    assert_eq!((BEGIN, EVENT, WORDS, TRACE, VERSION), ("\x18\r\n", "@", "@ ", "@t ", 1));
}

#[test]
fn an_event_is_one_line_of_json() {
    let mut out = String::new();
    let line = Line::new(&mut out, EventKind::Stop).unwrap();
    let line = line.text(Field::Kind, FaultKind::NoSyndrome).unwrap().number(Field::Vcpu, 1_u32);
    let line = line.unwrap().hex(Field::Ipa, 0x30a2_0000).unwrap().flag(Field::Entropy, true);
    let line = line.unwrap().list(Field::Latency, &[0, 7, 0]).unwrap();
    let counts = [(Counter::Smc, 3), (Counter::DeviceInterrupt, u64::MAX)];
    line.counters(counts.into_iter()).unwrap().end().unwrap();
    assert_eq!(
        out,
        "@{\"v\":1,\"event\":\"stop\",\"kind\":\"no-syndrome\",\"vcpu\":1,\"ipa\":\"0x30a20000\",\
         \"entropy\":true,\"latency\":[0,7],\"counters\":{\"smc\":3,\"line\":18446744073709551615}}\r\n"
    );
}

#[test]
fn the_reader_knows_by_name_what_it_needs() {
    for (field, number) in [(Field::Ticks, 5_u64), (Field::Hz, 6), (Field::Value, 7)] {
        let event = line(EventKind::Mark, |line| line.number(field, number));
        assert_eq!(value(&event, field), Some(number.into()), "{field}");
    }
    for field in [Field::Kind, Field::What, Field::Reason] {
        let event = line(EventKind::Stop, |line| line.text(field, "why"));
        assert_eq!(value(&event, field), Some("why".into()), "{field}");
    }
    let event = line(EventKind::Off, |line| line.list(Field::Latency, &[1, 2, 0]));
    assert_eq!(event.latency, [1, 2]);
    let event = line(EventKind::Off, |line| line.counters([(Counter::Wfi, 4)].into_iter()));
    assert_eq!((event.counter(Counter::Wfi), event.counter(Counter::Wfe)), (Some(4), None));
    assert_eq!((event.v, event.event), (VERSION, EventKind::Off));
    assert!(event.rest.is_empty());
}

/// What it does not need by name it keeps.
#[test]
fn the_reader_keeps_the_rest() {
    let event =
        line(EventKind::Start, |line| line.text(Field::Board, "b")?.number(Field::Gic, 3_u32));
    assert_eq!((&event.rest["board"], &event.rest["gic"]), (&"b".into(), &3.into()));
}

#[test]
fn every_name_is_there_once_and_reads_back() {
    fn check<T: Copy + Ord>(all: &[T], name: fn(T) -> &'static str) {
        let names: BTreeSet<_> = all.iter().map(|one| name(*one)).collect();
        assert_eq!(names.len(), all.len());
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        assert!(names.iter().all(|name| !name.is_empty() && name.bytes().all(plain)));
    }
    check(EventKind::ALL, EventKind::name);
    check(FaultKind::ALL, FaultKind::name);
    check(Field::ALL, Field::name);
    check(Counter::ALL, Counter::name);
    for kind in EventKind::ALL {
        assert_eq!(line(*kind, nothing).event, *kind);
    }
    for kind in FaultKind::ALL {
        let read: FaultKind = serde_json::from_value(kind.name().into()).unwrap();
        assert_eq!(read, *kind);
    }
}

#[test]
fn exits_are_the_sum_of_their_causes_and_nothing_without_one() {
    let counts = || Counter::ALL.iter().map(|counter| (*counter, 2));
    assert_eq!(line(EventKind::Mark, |line| line.counters(counts())).exits(), Some(20));
    for left_out in Counter::ALL {
        let some = counts().filter(|(counter, _)| counter != left_out);
        let exits = line(EventKind::Mark, |line| line.counters(some)).exits();
        assert_eq!(exits.is_none(), left_out.is_exit(), "{left_out}");
    }
}

#[test]
fn seconds_come_from_the_counter() {
    let at = |ticks: u64, hz: u64| {
        line(EventKind::Mark, |line| line.number(Field::Ticks, ticks)?.number(Field::Hz, hz))
            .seconds()
    };
    assert_eq!(at(62_500_000, 62_500_000), Some(1.0));
    assert_eq!(at(5, 0), None);
    assert_eq!(line(EventKind::Mark, nothing).seconds(), None);
}

#[test]
fn what_is_no_event_is_not_read() {
    for json in [
        "",
        "{}",
        "{\"event\":\"off\"}",
        "{\"v\":-1,\"event\":\"off\"}",
        "{\"v\":1,\"event\":\"end\"}",
    ] {
        assert_eq!(Event::parse(json), None, "{json}");
    }
    assert!(Event::parse("{\"v\":1,\"event\":\"off\"}").is_some());
}

proptest! {
    /// A text that would need escapes stays one, and stays ASCII.
    #[test]
    fn any_text_stays_within_its_line(text in any::<String>(), number in any::<u64>()) {
        let event = line(EventKind::Stop, |line| {
            line.text(Field::What, &text)?.number(Field::Ticks, number)
        });
        let what = event.what.unwrap();
        prop_assert_eq!(what.chars().count(), text.chars().count());
        prop_assert!(what.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(event.ticks, Some(number));
    }

    #[test]
    fn an_event_that_is_written_reads_the_same(ticks in any::<Option<u64>>(), counts in any::<[u64; 24]>()) {
        let event = line(EventKind::Mark, |line| {
            let line = line.counters(Counter::ALL.iter().copied().zip(counts))?;
            match ticks {
                Some(ticks) => line.number(Field::Ticks, ticks),
                None => Ok(line),
            }
        });
        let again = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(Event::parse(&again), Some(event));
    }
}
