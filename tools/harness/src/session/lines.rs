// SPDX-License-Identifier: BSD-2-Clause
//! Which of the lines that look like the monitor's can be its own. The guest has the same UART, so
//! it can print one; but it cannot keep the monitor's own from coming, and those contradict it.
//!
//! The monitor prints `start` before the guest runs, and that is its first line unless it refuses to
//! start. Its counters and its clock never go back. Nothing of the guest follows `stop` or `off`.

use vmm_report::{Event, EventKind, VERSION};

/// What contradicts a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The monitor itself is of another version, or none.
    Monitor(String),
    /// The guest printed it.
    Guest(String),
}

/// What the monitor has said so far.
#[derive(Debug, Default)]
pub struct Lines {
    last: Option<Event>,
}

impl Lines {
    /// Whether nothing can follow: the kind of the event that was the last one.
    #[must_use]
    pub fn ended(&self) -> Option<EventKind> {
        self.last.as_ref().map(|last| last.event).filter(|kind| kind.is_last())
    }

    /// Takes an event.
    ///
    /// # Errors
    /// It cannot be the monitor's.
    pub fn take(&mut self, event: &Event) -> Result<(), Doubt> {
        match &self.last {
            None => first(event).map_err(Doubt::Monitor)?,
            Some(last) => {
                let name = event.event;
                let forged = |why: String| {
                    Doubt::Guest(format!("it printed a line like the monitor's '{name}': {why}"))
                };
                later(last, event).map_err(forged)?;
            }
        }
        self.last = Some(event.clone());
        Ok(())
    }
}

/// No guest has run before the first event.
fn first(event: &Event) -> Result<(), String> {
    let (have, read) = (event.v, VERSION);
    if have != read {
        return Err(format!(
            "the monitor's lines have version {have}, this harness reads {read}: build both from one revision"
        ));
    }
    if !matches!(event.event, EventKind::Start | EventKind::Stop) {
        return Err(format!("the monitor's first line is '{}', not 'start'", event.event));
    }
    Ok(())
}

fn later(last: &Event, event: &Event) -> Result<(), String> {
    if last.event.is_last() {
        return Err(format!("one of them, and '{}' before it, is the guest's own", last.event));
    }
    if event.v != last.v {
        return Err(format!("it has version {}, the first one had {}", event.v, last.v));
    }
    if event.event == EventKind::Start {
        return Err("the monitor starts once".into());
    }
    if event.event == EventKind::Stop && event.what.is_some() {
        // A monitor that cannot go on counts no more.
        return Ok(());
    }
    if last.hz != event.hz {
        return Err("its clock has another frequency".into());
    }
    let counted = last.counters.iter().map(|(name, before)| (name.as_str(), *before));
    for (name, before) in last.ticks.map(|ticks| ("ticks", ticks)).into_iter().chain(counted) {
        let now = if name == "ticks" { event.ticks } else { event.counters.get(name).copied() };
        match now {
            None => return Err(format!("it has no {name}")),
            Some(now) if now < before => {
                return Err(format!("its {name} went from {before} to {now}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, rest: &str) -> Event {
        Event::parse(&format!("{{\"v\":1,\"event\":\"{name}\"{rest}}}")).unwrap()
    }

    /// What is said of the last of some events.
    fn last(events: &[(&str, &str)]) -> Result<(), Doubt> {
        let mut lines = Lines::default();
        let mut said = Ok(());
        for (name, rest) in events {
            assert_eq!(said, Ok(()), "before {name}");
            said = lines.take(&event(name, rest));
        }
        said
    }

    fn is_forged(events: &[(&str, &str)]) -> bool {
        matches!(last(events), Err(Doubt::Guest(_)))
    }

    const AT_5: &str = r#","ticks":50,"hz":10,"counters":{"smc":5}"#;
    const AT_6: &str = r#","ticks":60,"hz":10,"counters":{"smc":6}"#;

    #[test]
    fn an_ordinary_run_is_believed() {
        let run = [("start", AT_5), ("mark", AT_5), ("reset", AT_6), ("off", AT_6)];
        assert_eq!(last(&run), Ok(()));
        assert_eq!(last(&[("start", AT_5), ("stop", AT_6)]), Ok(()));
        assert_eq!(last(&[("stop", r#","kind":"bad-image","what":"w""#)]), Ok(()));
        assert_eq!(last(&[("start", AT_5), ("stop", r#","what":"a panic""#)]), Ok(()));
    }

    #[test]
    fn nothing_follows_the_end() {
        for end in ["stop", "off"] {
            for next in ["stop", "off", "mark", "reset", "start"] {
                assert!(is_forged(&[("start", AT_5), (end, AT_6), (next, AT_6)]), "{end} {next}");
            }
        }
    }

    #[test]
    fn the_monitor_starts_once() {
        assert!(is_forged(&[("start", AT_5), ("start", AT_6)]));
    }

    #[test]
    fn counters_and_the_clock_do_not_go_back() {
        for worse in [
            r#","ticks":60,"hz":10,"counters":{"smc":5}"#,
            r#","ticks":60,"hz":10,"counters":{}"#,
            r#","ticks":59,"hz":10,"counters":{"smc":6}"#,
            r#","hz":10,"counters":{"smc":6}"#,
            r#","ticks":60,"hz":11,"counters":{"smc":6}"#,
            r#","ticks":60,"counters":{"smc":6}"#,
        ] {
            assert!(is_forged(&[("start", AT_5), ("mark", AT_6), ("mark", worse)]), "{worse}");
        }
    }

    #[test]
    fn another_version_is_the_monitors_at_first_and_the_guests_later() {
        let other = Event { v: 2, ..event("start", AT_5) };
        assert!(
            matches!(Lines::default().take(&other), Err(Doubt::Monitor(why)) if why.contains("version 2"))
        );
        let mut lines = Lines::default();
        lines.take(&event("start", AT_5)).unwrap();
        let other = Event { v: 2, ..event("mark", AT_6) };
        assert!(matches!(lines.take(&other), Err(Doubt::Guest(_))));
    }

    #[test]
    fn a_monitor_that_does_not_start_is_none() {
        assert!(matches!(last(&[("off", AT_5)]), Err(Doubt::Monitor(_))));
    }
}
