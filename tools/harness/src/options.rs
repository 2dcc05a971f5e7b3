// SPDX-License-Identifier: BSD-2-Clause
//! The command line. A contract: see README.md beside this crate.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use regex::bytes::Regex;
use vmm_plan::firmware::CallRule;
use vmm_plan::wish::{Accept, Pass, Unowned};

use crate::fatal;
use crate::session::{Step, pattern};

/// Exit codes of what boots one guest; the other commands use the same numbers.
pub const EXIT_CODES: &str = "\
Exit codes, and what each promises:
  0    The machine was powered off by the monitor's word, and the status of every --run was read as 0
       behind the echo of just that command; a RESTART restarted the machine; --expect came, in no
       echo; no line of tools/harness/src/fatal.toml came that is not allowed. --guest: it printed PASS.
       With --expect and no --run: the text came. --interactive: powered off, or left with Ctrl-A x.
  1    The guest failed: a command, a panic or another such line, which is quoted, a missing text, a
       restart that nobody asked for, a line like the monitor's that cannot be its own. Or something
       does not build.
  2    The monitor stopped the guest; its report is printed.
  3    Usage, missing input, an error in the plan, or no network where something has to be fetched.
  124  No progress: silence, or the whole time is over; what was awaited is named.
  125  The emulator failed, or ended without the monitor's word.
  143  (129, 130) A signal ended --interactive.

No code tells who wrote a line. The console is the guest's: one that knows this harness can print what
looks like the monitor's lines, and what its shell is asked to print. A pass is the word of a guest
that does not mean to deceive; against one that does, see SECURITY.md.";

/// Exit codes of `ci/bench`.
const BENCH_CODES: &str = "\
Exit codes:
  0    Everything was measured that the table shows; with --judge: each target is met.
  1    With --judge: a target is missed, or what it needs was not measured; each is named.
       Without: a guest failed, or something does not build.
  2, 3, 124, 125   As those of ci/boot.";

/// Exit codes of `ci/drills` and `ci/soak`.
const ROWS_CODES: &str = "\
Exit codes:
  0    Every row that ran ended as it should.
  1    A row ended otherwise; it is named.
  3    Usage, missing input, or an error in the plan.";

/// Longest silence on the console unless another is given, in seconds.
const TIMEOUT: u64 = 60;

/// The longest that may be given.
const LONGEST: u64 = 86_400;

/// Where gdb is waited for unless another port is given.
const GDB_PORT: &str = "1234";

/// Everything that the scripts in `ci/` call.
#[derive(Debug, Parser)]
#[command(name = "harness", about, disable_help_subcommand = true)]
pub struct Cli {
    /// Root of the source tree.
    #[arg(long, hide = true, default_value = ".", global = true)]
    pub root: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Task,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Builds an image, boots it in an emulator and judges what comes over the serial line.
    #[command(override_usage = "ci/boot [OPTIONS] <BOARD>", after_help = EXIT_CODES)]
    Boot(Box<BootOptions>),
    /// Builds a board's image for ci/image and prints the folder that holds it.
    #[command(hide = true)]
    Build(BuildOptions),
    /// Measures the monitor against no monitor, on the same machine with the same images.
    #[command(override_usage = "ci/bench [OPTIONS] [BOARD]", after_help = BENCH_CODES)]
    Bench(BenchOptions),
    /// Lets things go wrong, one after the other, and compares how each ends with
    /// docs/failures.md. Prints the table.
    #[command(override_usage = "ci/drills [OPTIONS] [BOARD]", after_help = ROWS_CODES)]
    Drills(GuestConfig),
    /// Runs for long: a hostile guest, restarts in a row, idle and load.
    #[command(override_usage = "ci/soak [OPTIONS] [BOARD]", after_help = ROWS_CODES)]
    Soak(SoakOptions),
    /// Boots Linux under the monitor, without seL4, and hands its console over.
    #[command(override_usage = "ci/demo [OPTIONS]", after_help = EXIT_CODES)]
    Demo(DemoOptions),
}

/// What the monitor runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HostName {
    /// A protection domain of seL4 Microkit.
    #[default]
    Microkit,
    /// The small EL2 host, with no kernel under it.
    Baremetal,
    /// No monitor at all: the guest alone, for comparison.
    #[value(hide = true)]
    Bare,
}

impl HostName {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microkit => "microkit",
            Self::Baremetal => "baremetal",
            Self::Bare => "bare",
        }
    }
}

/// Configuration of the kernel under the monitor, and of the monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Config {
    /// As shipped.
    #[default]
    Release,
    /// With the kernel's own output.
    Debug,
    /// As shipped, on several cores.
    SmpRelease,
    /// On several cores, with the kernel's own output.
    SmpDebug,
}

impl Config {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
            Self::SmpRelease => "smp-release",
            Self::SmpDebug => "smp-debug",
        }
    }

    /// Whether the kernel runs on several cores.
    #[must_use]
    pub const fn is_smp(self) -> bool {
        matches!(self, Self::SmpRelease | Self::SmpDebug)
    }
}

/// Which machine and which guest.
#[derive(Clone, Debug, Default, Args)]
pub struct Machine {
    /// Folder under boards/, or its alias; --from needs none.
    #[arg(required_unless_present = "from", default_value = "", hide_default_value = true)]
    pub board: String,
    /// What the monitor runs on.
    #[arg(long, value_enum, default_value_t)]
    pub host: HostName,
    /// Configuration of kernel and monitor; without it release, or with --cpus smp-release where the
    /// SDK has a core for each virtual CPU and this computer does, too.
    #[arg(long, value_enum)]
    pub config: Option<Config>,
    /// Version of the interrupt controller; without it the first that the host can do.
    #[arg(long, value_name = "2|3", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub gic: Option<u8>,
    /// A guest of guest/conformance, or 'all': each one as its declaration asks.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["kernel", "initrd"])]
    pub guest: Option<String>,
    /// An arm64 Image, instead of Debian's kernel from ci/setup.
    #[arg(long, value_name = "F")]
    pub kernel: Option<PathBuf>,
    /// Its initial RAM file system; with --kernel there is none unless it is given.
    #[arg(long, value_name = "F", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// The guest's device tree, instead of the computed one.
    #[arg(long, value_name = "F")]
    pub dtb: Option<PathBuf>,
    /// Boot arguments of the guest's kernel.
    #[arg(long, value_name = "S", default_value = "", allow_hyphen_values = true)]
    pub append: String,
    /// Guest RAM in MiB; without it the board's default.
    #[arg(long, value_name = "MIB")]
    pub ram: Option<u64>,
    /// Virtual CPUs, 1 to what the board allows; without it one, or what a conformance guest asks
    /// for, which is the least that it gets.
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Cores of an SMP kernel that virtual CPUs run on, in turns where there are fewer; without it
    /// all that the kernel has. Those that work at a time should not be more than this computer's.
    #[arg(long, value_name = "N")]
    pub cores: Option<u32>,
    /// Turn of a virtual CPU where several share a core, in microseconds; without it 1000, with
    /// --icount 300.
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub turn: Option<u32>,
    /// Firmware call that the monitor hands on to the firmware, where the board allows it. Again
    /// for more.
    #[arg(long, value_name = "FUNCTION", value_parser = CallRule::forward)]
    pub forward: Vec<CallRule>,
    /// Device of the board's tree for the guest: NODE[,clocks=HZ[+HZ...]][,drop=NEED[+NEED...]]
    /// (vmm/plan/README.md). Again for more.
    #[arg(long, value_name = "NODE,...", value_parser = Pass::parse)]
    pub pass: Vec<Pass>,
    /// Finding about the plan that is to stop nothing: RULE, or 'RULE SUBJECT' for one alone.
    #[arg(long, value_name = "RULE", value_parser = Accept::parse)]
    pub accept: Vec<Accept>,
    /// Equal guest and physical addresses for guest RAM, as a device with DMA needs.
    #[arg(long)]
    pub identity: bool,
    /// No random numbers for the guest, as on a board without a seed.
    #[arg(long)]
    pub no_entropy: bool,
    /// Emulated time follows executed instructions: the same run gives the same times.
    #[arg(long)]
    pub icount: bool,
    /// Emulated machine (tools/machines/P.toml), instead of the board's usual one.
    #[arg(long, value_name = "P")]
    pub profile: Option<String>,
    /// What the guest meets where it touches an address that nobody owns: 'stop' ends it with a
    /// report, 'abort' is an external abort; without it what the board or the guest declares.
    #[arg(long, value_name = "stop|abort", value_parser = Unowned::parse)]
    pub unowned: Option<Unowned>,
    /// The monitor prints every exit and host call.
    #[arg(long)]
    pub trace: bool,
    /// Boots what was built already (tools/harness/README.md says what is in the folder), instead of
    /// building; with --guest all a folder for each guest in it.
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "board", "host", "gic", "kernel", "initrd", "dtb", "append", "ram", "cpus", "cores", "forward", "trace",
    ])]
    pub from: Option<PathBuf>,
    /// The emulator's program, instead of the machine's own.
    #[arg(long, value_name = "PROGRAM")]
    pub emulator: Option<PathBuf>,
}

impl Machine {
    /// Whether a debug kernel under the monitor prints on the guest's console.
    #[must_use]
    pub const fn prints(&self) -> bool {
        matches!((self.host, self.config()), (HostName::Microkit, Config::Debug | Config::SmpDebug))
    }
}

/// `ci/boot`.
#[derive(Clone, Debug, Args)]
pub struct BootOptions {
    /// Which machine and which guest.
    #[command(flatten)]
    pub machine: Machine,
    /// Types CMD at the guest's shell and prints its output; its exit status must be 0. Again for
    /// more. At most 1000 bytes of printable ASCII. 'BREAK k' sends a serial BREAK and the key k
    /// (Linux's magic SysRq). 'RESTART CMD', as in --run 'RESTART reboot -f': the machine must restart
    /// under it, and the next CMD is typed at the new shell.
    #[arg(long, value_name = "CMD", value_parser = Step::read, allow_hyphen_values = true)]
    pub run: Vec<Step>,
    /// Regular expression that the guest's text must match, the echo of what is typed aside.
    /// Without --run the run ends there. A line of trouble is no failure where it matches the words that
    /// tell of it ('Kernel panic').
    #[arg(long, value_name = "RE", value_parser = pattern, allow_hyphen_values = true)]
    pub expect: Option<Regex>,
    /// Linux must run its first program within so many seconds of its own clock (with --icount they
    /// are the same on every computer).
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with_all = ["interactive", "guest"])]
    pub init_within: Option<f64>,
    /// A kind of line in the guest's text that is no failure (tools/harness/src/fatal.toml: warning,
    /// kernel-panic, ...). Again for more.
    #[arg(long, value_name = "KIND", value_parser = fatal::name)]
    pub allow: Vec<String>,
    /// Boots N times; the first failure counts.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: u32,
    /// Hands the console over to this terminal (Ctrl-A x ends the emulator).
    #[arg(long, conflicts_with_all = ["run", "expect", "repeat"])]
    pub interactive: bool,
    /// Waits for gdb on a port of the loopback address (1234) before anything runs, and prints the
    /// command for it (docs/debugging.md). Nothing times out.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = GDB_PORT,
        value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "repeat")]
    pub gdb: Option<u16>,
    /// Longest silence on the console, in seconds; a run may take ten times as long in all.
    #[arg(long, value_name = "S", default_value_t = TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    pub timeout: u64,
    /// Writes a JSON report (its fields are in tools/harness/README.md).
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// What `ci/image` asks for.
#[derive(Clone, Debug, Args)]
pub struct BuildOptions {
    /// Folder under boards/, or its alias.
    pub board: String,
    /// Configuration of kernel and monitor.
    #[arg(long, value_enum, default_value_t)]
    pub config: Config,
    /// An arm64 Image, instead of Debian's kernel from ci/setup.
    #[arg(long, value_name = "F")]
    pub kernel: Option<PathBuf>,
    /// Its initial RAM file system; with --kernel there is none unless it is given.
    #[arg(long, value_name = "F", requires = "kernel")]
    pub initrd: Option<PathBuf>,
    /// Boot arguments of the guest's kernel.
    #[arg(long, value_name = "S", default_value = "", allow_hyphen_values = true)]
    pub append: String,
    /// Guest RAM in MiB; without it the board's default.
    #[arg(long, value_name = "MIB")]
    pub ram: Option<u64>,
    /// Virtual CPUs, 1 to what the board allows; without it one.
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Device of the board's tree for the guest: NODE[,clocks=HZ[+HZ...]][,drop=NEED[+NEED...]]
    /// (vmm/plan/README.md). Again for more.
    #[arg(long, value_name = "NODE,...", value_parser = Pass::parse)]
    pub pass: Vec<Pass>,
    /// Finding about the plan that is to stop nothing: RULE, or 'RULE SUBJECT' for one alone.
    #[arg(long, value_name = "RULE", value_parser = Accept::parse)]
    pub accept: Vec<Accept>,
    /// Equal guest and physical addresses for guest RAM, as a device with DMA needs.
    #[arg(long)]
    pub identity: bool,
}

/// `ci/bench`.
#[derive(Clone, Debug, Default, Args)]
pub struct BenchOptions {
    /// Folder under boards/, or its alias; without it every board.
    pub board: Option<String>,
    /// Only this host; without it all, microkit where MICROKIT_SDK is set.
    #[arg(long, value_enum)]
    pub host: Option<HostName>,
    /// Only this version of the interrupt controller.
    #[arg(long, value_name = "2|3", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub gic: Option<u8>,
    /// Another monitor's image for BOARD's Microkit loader, to measure beside this one.
    #[arg(long, value_name = "IMAGE")]
    pub peer: Option<PathBuf>,
    /// Shorter waits, and nothing of how the time to init grows.
    #[arg(long)]
    pub quick: bool,
    /// Exit code 1 if a target is missed, which is named.
    #[arg(long)]
    pub judge: bool,
    /// Writes numbers.md, numbers.svg and numbers.json there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Writes them to docs/, where README.md leads.
    #[arg(long)]
    pub readme: bool,
}

/// Where the usual guest runs.
#[derive(Clone, Debug, Default, Args)]
pub struct GuestConfig {
    /// Folder under boards/, or its alias.
    #[arg(default_value = "qemu_virt_aarch64")]
    pub board: String,
    /// What the monitor runs on.
    #[arg(long, value_enum, default_value_t)]
    pub host: HostName,
    /// Configuration of kernel and monitor.
    #[arg(long, value_enum, default_value_t)]
    pub config: Config,
    /// Version of the interrupt controller; without it the first that the host can do.
    #[arg(long, value_name = "2|3", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub gic: Option<u8>,
}

impl GuestConfig {
    /// The machine there, with the usual guest.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine {
            board: self.board.clone(),
            host: self.host,
            config: Some(self.config),
            gic: self.gic,
            ..Machine::default()
        }
    }
}

impl Machine {
    /// Configuration of kernel and monitor.
    #[must_use]
    pub const fn config(&self) -> Config {
        match self.config {
            Some(config) => config,
            None => Config::Release,
        }
    }
}

/// `ci/soak`. Zero leaves a part out.
#[derive(Clone, Debug, Args)]
pub struct SoakOptions {
    /// Where.
    #[command(flatten)]
    pub guest: GuestConfig,
    /// Minutes of the hostile guest, one seed after the other.
    #[arg(long, value_name = "MINUTES", default_value = "10", value_parser = minutes)]
    pub hostile: Duration,
    /// First seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Restarts of Linux in a row.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub reboots: u32,
    /// Minutes of idle and load in turn, in one boot of Linux.
    #[arg(long, value_name = "MINUTES", default_value = "30", value_parser = minutes)]
    pub load: Duration,
}

/// `ci/demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoOptions {
    /// Version of the interrupt controller.
    #[arg(long, value_name = "2|3", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub gic: u8,
    /// Without a person: types a command at the guest's shell, looks at the answer, powers off.
    #[arg(long)]
    pub check: bool,
}

impl DemoOptions {
    /// The boot that this stands for.
    ///
    /// # Errors
    /// Never in practice: the pattern is constant.
    pub fn boot(&self) -> Result<BootOptions, String> {
        let machine = Machine {
            board: "qemu_virt_aarch64".into(),
            host: HostName::Baremetal,
            gic: Some(self.gic),
            ..Machine::default()
        };
        let options = BootOptions { machine, ..BootOptions::default() };
        if !self.check {
            return Ok(BootOptions { interactive: true, ..options });
        }
        Ok(BootOptions {
            run: vec![Step::command("echo $((6*7))")],
            expect: Some(pattern("^42$")?),
            ..options
        })
    }
}

impl Default for BootOptions {
    fn default() -> Self {
        Self {
            machine: Machine::default(),
            run: Vec::new(),
            expect: None,
            init_within: None,
            allow: Vec::new(),
            repeat: 1,
            interactive: false,
            gdb: None,
            timeout: TIMEOUT,
            report: None,
        }
    }
}

impl BootOptions {
    /// Longest silence on the console.
    #[must_use]
    pub const fn silence(&self) -> Duration {
        Duration::from_secs(self.patience())
    }

    /// Longest run.
    #[must_use]
    pub const fn total(&self) -> Duration {
        Duration::from_secs(self.patience().saturating_mul(10))
    }

    /// Seconds. Whoever looks at registers takes as long as it takes.
    const fn patience(&self) -> u64 {
        if self.gdb.is_some() { LONGEST } else { self.timeout }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "seconds are a number from 0 to 86400".into())
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.0..=10_000.0).contains(minutes));
    let minutes: f64 = minutes.ok_or("minutes are a number from 0 to 10000")?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn boot(arguments: &[&str]) -> Result<BootOptions, clap::Error> {
        let all = ["harness", "boot"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|cli| match cli.command {
            Task::Boot(options) => *options,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_microkit_release() {
        let options = boot(&["qemu"]).unwrap();
        assert_eq!(options.machine.host, HostName::Microkit);
        assert_eq!(options.machine.config(), Config::Release);
        assert_eq!((options.repeat, options.timeout), (1, 60));
        assert_eq!(options.total(), Duration::from_secs(600));
    }

    #[test]
    fn commands_keep_their_order() {
        let options = boot(&["qemu", "--run", "a", "--run", "b c"]).unwrap();
        assert_eq!(options.run, [Step::command("a"), Step::command("b c")]);
    }

    #[test]
    fn boot_arguments_may_begin_with_a_dash() {
        assert_eq!(boot(&["qemu", "--append", "-- quiet"]).unwrap().machine.append, "-- quiet");
    }

    #[test]
    fn gic_is_2_or_3() {
        assert_eq!(boot(&["qemu", "--gic", "3"]).unwrap().machine.gic, Some(3));
        assert!(boot(&["qemu", "--gic", "4"]).is_err());
    }

    #[test]
    fn configurations_are_named_as_in_the_sdk() {
        for config in ["release", "debug", "smp-release", "smp-debug"] {
            let options = boot(&["qemu", "--config", config, "--cpus", "4"]).unwrap();
            assert_eq!(options.machine.config().name(), config);
            assert_eq!(options.machine.cpus, Some(4));
        }
        assert!(boot(&["qemu", "--cpus", "some"]).is_err());
    }

    #[test]
    fn a_conformance_guest_excludes_a_kernel() {
        let error = boot(&["qemu", "--guest", "hello", "--kernel", "Image"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn an_initrd_needs_its_kernel() {
        assert!(boot(&["qemu", "--initrd", "x.cpio"]).is_err());
    }

    #[test]
    fn a_command_of_two_lines_is_refused() {
        assert!(boot(&["qemu", "--run", "a\nb"]).is_err());
        assert!(boot(&["qemu", "--run", " "]).is_err());
    }

    #[test]
    fn a_command_longer_than_the_guests_editor_is_refused_with_the_limit() {
        let long = format!("true {}; false", "x".repeat(1100));
        let error = boot(&["qemu", "--run", &long]).unwrap_err().to_string();
        assert!(error.contains("at most 1000 bytes"), "{error}");
    }

    #[test]
    fn a_kind_of_line_is_allowed_by_its_name() {
        assert_eq!(boot(&["qemu", "--allow", "warning"]).unwrap().allow, ["warning"]);
        assert!(boot(&["qemu", "--allow", "warnings"]).is_err());
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        assert!(boot(&["qemu", "--expect", "("]).is_err());
    }

    #[test]
    fn patterns_match_by_line() {
        let options = boot(&["qemu", "--expect", "^42$"]).unwrap();
        assert!(options.expect.unwrap().is_match(b"a\n42\nb"));
    }

    #[test]
    fn the_help_lists_every_exit_code() {
        let help = boot(&["--help"]).unwrap_err().to_string();
        for code in ["0 ", "1 ", "2 ", "3 ", "124", "125", "143"] {
            assert!(help.contains(&format!("\n  {code}")), "{code} in {help}");
        }
        assert!(help.contains("No code tells who wrote a line"), "what is not promised: {help}");
    }

    #[test]
    fn usage_names_the_command_that_was_typed() {
        for name in ["boot", "bench", "drills", "soak", "demo"] {
            let help = Cli::try_parse_from(["harness", name, "--help"]).unwrap_err().to_string();
            assert!(help.contains(&format!("Usage: ci/{name} ")), "{help}");
            assert!(!help.contains("harness boot"), "{help}");
        }
        let error = boot(&["--no-such-option"]).unwrap_err().to_string();
        assert!(error.contains("Usage: ci/boot [OPTIONS] <BOARD>"), "{error}");
    }

    #[test]
    fn the_help_of_ci_demo_has_every_option() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let script = std::fs::read_to_string(root.join("ci/demo")).unwrap();
        let command = Cli::command();
        let demo = command.get_subcommands().find(|task| task.get_name() == "demo").unwrap();
        for option in demo.get_arguments().filter_map(|argument| argument.get_long()) {
            let known = script.contains(&format!("[--{option}"));
            assert!(
                known || matches!(option, "help" | "root"),
                "ci/demo does not explain --{option}"
            );
        }
    }

    #[test]
    fn gdb_has_a_port_and_all_the_time() {
        assert_eq!(boot(&["qemu"]).unwrap().gdb, None);
        let options = boot(&["qemu", "--gdb"]).unwrap();
        assert_eq!((options.gdb, options.silence()), (Some(1234), Duration::from_secs(LONGEST)));
        assert_eq!(boot(&["--gdb=4000", "qemu"]).unwrap().gdb, Some(4000));
        for bad in ["--gdb=0", "--gdb=65536", "--gdb=0.0.0.0:1"] {
            assert!(boot(&["qemu", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_demo_is_a_boot_without_sel4() {
        let options = DemoOptions { gic: 3, check: false }.boot().unwrap();
        assert!(options.interactive && options.machine.host == HostName::Baremetal);
        let options = DemoOptions { gic: 3, check: true }.boot().unwrap();
        assert!(!options.interactive && options.expect.is_some());
        assert_eq!(options.machine.gic, Some(3));
    }

    #[test]
    fn minutes_may_be_fractions_but_not_negative() {
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        assert_eq!(minutes("0"), Ok(Duration::ZERO));
        for bad in ["-1", "NaN", "1e9", "x", ""] {
            assert!(minutes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_built_elsewhere_needs_no_board_and_takes_none() {
        let options = boot(&["--from", "made", "--emulator", "qemu"]).unwrap();
        assert_eq!(options.machine.from, Some(PathBuf::from("made")));
        assert_eq!(options.machine.emulator, Some(PathBuf::from("qemu")));
        for more in [&["qemu"][..], &["--host", "baremetal"], &["--cpus", "2"], &["--append", "x"]]
        {
            let all = [&["--from", "made"], more].concat();
            assert_eq!(boot(&all).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{all:?}");
        }
    }

    #[test]
    fn a_board_is_needed() {
        assert_eq!(boot(&[]).unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
    }
}
