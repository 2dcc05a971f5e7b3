// SPDX-License-Identifier: BSD-2-Clause
//! `ci/boot BOARD --guest all`: every conformance guest, judged by what `guests.toml` declares.

use std::path::Path;

use serde::Deserialize;
use vmm_plan::wish::Unowned;
use vmm_report::{Event, EventKind, FaultKind};

use crate::boot;
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::options::{BootOptions, Config, HostName, Machine};
use crate::program::{self, Sdk};
use crate::report::Run;
use crate::session::Script;

/// What has to happen.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// The guest prints that it passed, and powers off.
    Pass,
    /// The monitor stops it.
    Stopped,
}

/// One guest's declaration (`guest/conformance/guests.toml` says what the fields mean).
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// Name of the program.
    pub name: String,
    /// What it checks.
    pub checks: String,
    /// What has to happen.
    pub expect: Expect,
    /// Kind of the fault, if it is to be stopped.
    pub kind: Option<FaultKind>,
    /// Only with this version of the interrupt controller.
    pub gic: Option<u8>,
    /// What it is to meet where nobody owns the address, if not what the board file says.
    pub unowned: Option<Unowned>,
    /// Virtual CPUs that it needs, at least 1.
    #[serde(default = "one")]
    pub cpus: u32,
    /// Numbers of the mark events, in order.
    #[serde(default)]
    pub marks: Vec<u64>,
    /// Whether it uses debug exceptions, which a kernel of seL4 without HardwareDebugAPI does not
    /// survive.
    #[serde(default)]
    pub debugs: bool,
    /// Number of reset events.
    #[serde(default)]
    pub resets: usize,
    /// Versions of the interrupt controller on which it passes on seL4.
    #[serde(default = "both")]
    pub sel4: Vec<u8>,
    /// Whether it passes on seL4 only where the kernel has one core.
    #[serde(default)]
    pub one_core: bool,
    /// Fault kind with which it is stopped on seL4, where it passes elsewhere.
    pub sel4_kind: Option<FaultKind>,
    /// Boot arguments that it gets on seL4.
    pub sel4_args: Option<String>,
    /// Versions of QEMU's own interrupt controller on which it passes without a monitor.
    #[serde(default)]
    pub bare: Vec<u8>,
}

const fn one() -> u32 {
    1
}

fn both() -> Vec<u8> {
    vec![2, 3]
}

impl Guest {
    /// Reads all declarations.
    ///
    /// # Errors
    /// The file is missing or does not parse.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            guest: Vec<Guest>,
        }
        let path = root.join("guest/conformance/guests.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file("read", &path, &e))?;
        let file: File =
            toml::from_str(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
        Ok(file.guest)
    }

    /// Finds one by its name.
    ///
    /// # Errors
    /// There is none; the text lists those that are there.
    pub fn find(root: &Path, name: &str) -> Result<Self> {
        let all = Self::all(root)?;
        let names: Vec<_> = all.iter().map(|guest| guest.name.as_str()).collect();
        let text = format!("there is no guest '{name}'; there are: all, {}", names.join(", "));
        all.into_iter().find(|guest| guest.name == name).ok_or(Error::Usage(text))
    }

    /// The machine as it needs it: with no fewer virtual CPUs than it declares. What was built for
    /// all guests is in folders by their names.
    #[must_use]
    pub fn machine(&self, asked: &Machine) -> Machine {
        let all = asked.guest.as_deref() == Some("all");
        Machine {
            from: asked
                .from
                .as_ref()
                .map(|from| if all { from.join(&self.name) } else { from.clone() }),
            guest: Some(self.name.clone()),
            cpus: Some(asked.cpus.unwrap_or(1).max(self.cpus)),
            append: self.append(asked),
            unowned: self.unowned.or(asked.unowned),
            ..asked.clone()
        }
    }

    /// Boot arguments: those asked for, then its own.
    fn append(&self, asked: &Machine) -> String {
        match &self.sel4_args {
            Some(own) if asked.host == HostName::Microkit => {
                format!("{} {own}", asked.append).trim_start().to_owned()
            }
            _ => asked.append.clone(),
        }
    }

    /// What has to happen on this host, and the fault's kind if it is to be stopped.
    fn outcome(&self, host: HostName) -> (Expect, Option<FaultKind>) {
        match self.sel4_kind {
            Some(kind) if host == HostName::Microkit => (Expect::Stopped, Some(kind)),
            _ => (self.expect, self.kind),
        }
    }

    /// What a run of it is to do.
    #[must_use]
    pub fn script(&self, options: &BootOptions) -> Script {
        let line = format!("conformance: {}: PASS", self.name);
        let host = options.machine.host;
        Script {
            shell: false,
            steps: Vec::new(),
            expect: options.expect.clone(),
            must_print: Some(line).filter(|_| self.outcome(host).0 == Expect::Pass),
            reports: host != HostName::Bare,
            allow: options.allow.clone(),
            silence: options.silence(),
            total: options.total(),
        }
    }

    /// Whether it can run there.
    #[must_use]
    pub fn runs_on(&self, host: HostName, config: Config, gic: u8) -> bool {
        self.gic.is_none_or(|version| version == gic)
            && match host {
                HostName::Microkit => {
                    self.sel4.contains(&gic) && !(self.one_core && config.is_smp())
                }
                HostName::Baremetal => true,
                HostName::Bare => self.bare.contains(&gic),
            }
    }

    /// What differs from the declaration; `None` if all is as declared.
    #[must_use]
    pub fn complaint(&self, run: &Run, host: HostName) -> Option<String> {
        let all = |kind| run.events.iter().filter(move |event| event.event == kind);
        let stopped = all(EventKind::Stop).next().and_then(Event::fault_kind);
        let (expect, kind) = self.outcome(host);
        match expect {
            Expect::Pass if run.exit_code != 0 => return Some(run.message.clone()),
            Expect::Stopped if run.exit_code != 2 => {
                return Some(format!("it was to be stopped, but {}", run.message));
            }
            Expect::Stopped if stopped != kind => {
                let kind = kind.map_or("nothing", FaultKind::name);
                return Some(format!("the fault was to be {kind}, but {}", run.message));
            }
            Expect::Pass | Expect::Stopped => {}
        }
        if host == HostName::Bare {
            return None;
        }
        let marks: Vec<_> = all(EventKind::Mark).filter_map(|event| event.value).collect();
        if marks != self.marks {
            return Some(format!("its marks were to be {:?}, but are {marks:?}", self.marks));
        }
        let resets = all(EventKind::Reset).count();
        (resets != self.resets)
            .then(|| format!("it was to reset {} times, but did {resets} times", self.resets))
    }
}

/// Whether what is under the monitor survives a guest's debug exceptions: a kernel of seL4 does with
/// HardwareDebugAPI, else the guest's single steps are taken by the monitor, too.
///
/// # Errors
/// There is no SDK, no such board in it, or no description of its kernel.
pub fn survives_stepping(root: &Path, machine: &Machine) -> Result<bool> {
    match (machine.host, &machine.from) {
        (HostName::Microkit, Some(folder)) => {
            program::survives_stepping(&folder.join(image::KERNEL_FILE))
        }
        (HostName::Microkit, None) => {
            let board = image::board(root, machine)?;
            Sdk::find()?.survives_stepping(&board.microkit.board, machine.config())
        }
        (HostName::Baremetal | HostName::Bare, _) => Ok(true),
    }
}

/// Runs every guest that can run on this machine. The exit code is 0 if all ended as declared.
///
/// # Errors
/// Something is missing or does not build.
pub fn run(root: &Path, options: &BootOptions) -> Result<u8> {
    let host = options.machine.host;
    let gic = match (&options.machine.from, options.machine.gic) {
        (Some(_), Some(gic)) => gic,
        _ => image::gic(root, &options.machine)?,
    };
    let mut report = None;
    let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
    for guest in Guest::all(root)? {
        if !guest.runs_on(host, options.machine.config(), gic) {
            skipped = skipped.saturating_add(1);
            continue;
        }
        let machine = guest.machine(&options.machine);
        if guest.debugs && !survives_stepping(root, &machine)? {
            crate::show::out(format_args!(
                "{:<20} skipped: this SDK's kernel lacks HardwareDebugAPI and hangs",
                guest.name
            ));
            skipped = skipped.saturating_add(1);
            continue;
        }
        let image = Image::prepare(root, &machine)?;
        let report = report.get_or_insert_with(|| boot::empty(&image, &machine));
        report.guest = "all".into();
        for number in 1..=options.repeat {
            let run = boot::once(&image, &machine, guest.script(options), number)?;
            match guest.complaint(&run, host) {
                None => {
                    passed = passed.saturating_add(1);
                    let how = match guest.expect {
                        Expect::Pass => "pass",
                        Expect::Stopped => "stopped as declared",
                    };
                    crate::show::out(format_args!(
                        "{:<20} {how}, {:.1} s",
                        guest.name, run.seconds
                    ));
                }
                Some(complaint) => {
                    failed = failed.saturating_add(1);
                    report.exit_code = 1;
                    crate::show::out(format_args!("{:<20} FAILED: {complaint}", guest.name));
                    crate::show::out(format_args!(
                        "{:<20} transcript: {}",
                        "",
                        run.transcript.display()
                    ));
                }
            }
            report.runs.push(run);
        }
    }
    crate::show::out(format_args!("{passed} passed, {failed} failed, {skipped} skipped"));
    if let (Some(path), Some(report)) = (&options.report, &report) {
        report.write(path)?;
    }
    Ok(report.map_or(0, |report| report.exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(text: &str) -> Guest {
        toml::from_str(&format!("name = 'x'\nchecks = 'y'\n{text}")).unwrap()
    }

    fn run(exit_code: u8, events: &[&str]) -> Run {
        Run {
            message: "it ended".into(),
            exit_code,
            events: events.iter().map(|json| Event::parse(json).unwrap()).collect(),
            ..Run::default()
        }
    }

    const KIND: &str = r#"{"v":1,"event":"stop","kind":"no-syndrome"}"#;
    const MARK: &str = r#"{"v":1,"event":"mark","value":7}"#;
    const RESET: &str = r#"{"v":1,"event":"reset"}"#;

    fn complaint(declared: &str, run: &Run) -> Option<String> {
        guest(declared).complaint(run, HostName::Microkit)
    }

    #[test]
    fn the_tree_s_own_declarations_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let guests = Guest::all(&root).unwrap();
        assert!(guests.iter().any(|guest| guest.name == "hello"));
        assert!(Guest::find(&root, "hello").is_ok());
    }

    #[test]
    fn an_unknown_guest_is_refused_with_a_list() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let error = Guest::find(&root, "helo").unwrap_err();
        assert!(error.to_string().contains("all, hello"), "{error}");
    }

    #[test]
    fn a_pass_is_as_declared() {
        assert_eq!(complaint("expect = 'pass'", &run(0, &[])), None);
    }

    #[test]
    fn a_failure_is_quoted() {
        assert_eq!(complaint("expect = 'pass'", &run(1, &[])).as_deref(), Some("it ended"));
    }

    #[test]
    fn a_stop_must_be_of_the_declared_kind() {
        let declared = |kind| format!("expect = 'stopped'\nkind = '{kind}'");
        assert_eq!(complaint(&declared("no-syndrome"), &run(2, &[KIND])), None);
        assert!(complaint(&declared("unowned-address"), &run(2, &[KIND])).is_some());
    }

    #[test]
    fn a_guest_that_was_to_be_stopped_must_not_pass() {
        let text = complaint("expect = 'stopped'\nkind = 'no-syndrome'", &run(0, &[])).unwrap();
        assert!(text.starts_with("it was to be stopped"), "{text}");
    }

    #[test]
    fn a_guest_may_be_stopped_on_sel4_alone() {
        let guest = guest("expect = 'pass'\nsel4_kind = 'no-syndrome'\nsel4_args = 'lost=3'");
        assert_eq!(guest.complaint(&run(2, &[KIND]), HostName::Microkit), None);
        assert!(guest.complaint(&run(0, &[]), HostName::Microkit).is_some());
        assert_eq!(guest.complaint(&run(0, &[]), HostName::Baremetal), None);
        assert!(guest.complaint(&run(2, &[KIND]), HostName::Baremetal).is_some());
        let append = |host, append: &str| {
            guest.machine(&Machine { host, append: append.into(), ..Machine::default() }).append
        };
        assert_eq!(append(HostName::Microkit, "a=1"), "a=1 lost=3");
        assert_eq!(append(HostName::Microkit, ""), "lost=3");
        assert_eq!(append(HostName::Baremetal, "a=1"), "a=1");
    }

    #[test]
    fn marks_are_compared_in_order() {
        assert_eq!(complaint("expect = 'pass'\nmarks = [7]", &run(0, &[MARK])), None);
        assert!(complaint("expect = 'pass'\nmarks = [8]", &run(0, &[MARK])).is_some());
        assert!(complaint("expect = 'pass'", &run(0, &[MARK])).is_some());
    }

    #[test]
    fn resets_are_counted() {
        assert_eq!(complaint("expect = 'pass'\nresets = 1", &run(0, &[RESET])), None);
        assert!(complaint("expect = 'pass'\nresets = 1", &run(0, &[])).is_some());
    }

    #[test]
    fn without_a_monitor_nobody_reports_marks() {
        let guest = guest("expect = 'pass'\nmarks = [7]\nbare = [2]");
        assert_eq!(guest.complaint(&run(0, &[]), HostName::Bare), None);
    }

    #[test]
    fn a_guest_gets_the_processors_that_it_declares_or_more() {
        let cpus = |declared: &str, asked| {
            let asked = Machine { cpus: asked, ..Machine::default() };
            guest(&format!("expect = 'pass'\n{declared}")).machine(&asked).cpus
        };
        assert_eq!(cpus("", None), Some(1));
        assert_eq!(cpus("cpus = 2", None), Some(2));
        assert_eq!(cpus("cpus = 2", Some(4)), Some(4));
        assert_eq!(cpus("cpus = 4", Some(1)), Some(4));
    }

    #[test]
    fn the_interrupt_controller_decides_what_runs() {
        let on = |guest: &Guest, host, gic| guest.runs_on(host, Config::Release, gic);
        let any = guest("expect = 'pass'\nbare = [3]");
        assert!(on(&any, HostName::Microkit, 2) && on(&any, HostName::Baremetal, 3));
        assert!(!on(&any, HostName::Bare, 2) && on(&any, HostName::Bare, 3));
        assert!(!on(&guest("expect = 'pass'\ngic = 3"), HostName::Microkit, 2));
        let ranked = guest("expect = 'pass'\nsel4 = [2]");
        assert!(!on(&ranked, HostName::Microkit, 3) && on(&ranked, HostName::Baremetal, 3));
    }

    #[test]
    fn what_differs_on_several_cores_is_left_out_there() {
        let guest = guest("expect = 'pass'\none_core = true");
        assert!(guest.runs_on(HostName::Microkit, Config::Release, 2));
        assert!(!guest.runs_on(HostName::Microkit, Config::SmpRelease, 2));
        assert!(guest.runs_on(HostName::Baremetal, Config::SmpRelease, 2));
    }
}
