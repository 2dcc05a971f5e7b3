// SPDX-License-Identifier: BSD-2-Clause
//! What a guest wants of the board.

use serde::{Deserialize, Deserializer, Serialize};

use crate::finding::{Finding, Rule};
use crate::firmware::CallRule;

/// The kernel that the monitor runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// A protection domain of seL4 Microkit.
    #[default]
    Microkit,
    /// The small EL2 host, with no kernel under it.
    Baremetal,
}

impl Host {
    /// Its name in files and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microkit => "microkit",
            Self::Baremetal => "baremetal",
        }
    }
}

/// What a node needs of another, and what may be left out for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// `clocks` and what goes with them.
    Clocks,
    /// Pin control: the firmware's set-up stays.
    Pins,
    /// `power-domains`: the firmware leaves them on.
    Power,
    /// `resets`.
    Resets,
    /// `*-supply`.
    Supplies,
    /// `*-gpios`.
    Gpios,
    /// `dmas`: the driver does without.
    Dmas,
    /// Any other reference to another node.
    Others,
}

impl Need {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Clocks,
        Self::Pins,
        Self::Power,
        Self::Resets,
        Self::Supplies,
        Self::Gpios,
        Self::Dmas,
        Self::Others,
    ];

    /// Its name in wishes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clocks => "clocks",
            Self::Pins => "pins",
            Self::Power => "power",
            Self::Resets => "resets",
            Self::Supplies => "supplies",
            Self::Gpios => "gpios",
            Self::Dmas => "dmas",
            Self::Others => "others",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|need| need.name() == name)
    }
}

/// A device of the board to pass through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Its node: a path, an alias, or a node name that exists once (`serial@30860000`).
    pub node: String,
    /// Rates in hertz of fixed clocks that stand for its own; one for all of them, or one each.
    pub clocks: Vec<u32>,
    /// What it does without.
    pub drop: Vec<Need>,
}

impl Pass {
    /// Reads `NODE[,clocks=HZ[+HZ...]][,drop=NEED[+NEED...]]`. The node's name may have commas
    /// (`ethernet@0,0`), but no `=` (Devicetree Specification 0.4, 2.2.1): the first part with one
    /// ends it.
    ///
    /// # Errors
    /// Says what part is not understood and what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(',').collect();
        let named = parts.iter().position(|part| part.contains('=')).unwrap_or(parts.len());
        let (name, options) = parts.split_at(named);
        let mut pass = Self { node: name.join(","), ..Self::default() };
        if pass.node.is_empty() {
            return Err("no node; give a path, an alias or a name such as serial@30860000".into());
        }
        for part in options {
            match part.split_once('=') {
                Some(("clocks", list)) => {
                    for hz in list.split('+') {
                        let hz = hz
                            .parse()
                            .map_err(|_| format!("clocks: '{hz}' is no rate in hertz"))?;
                        pass.clocks.push(hz);
                    }
                }
                Some(("drop", list)) => {
                    for name in list.split('+') {
                        pass.drop.push(Need::from_name(name).ok_or_else(|| unknown_need(name))?);
                    }
                }
                _ => return Err(format!("'{part}' is neither clocks=HZ nor drop=NEED")),
            }
        }
        Ok(pass)
    }
}

fn unknown_need(name: &str) -> String {
    let known: Vec<_> = Need::ALL.iter().map(|need| need.name()).collect();
    format!("drop: '{name}' is none of {}", known.join(", "))
}

impl<'de> Deserialize<'de> for Pass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            node: String,
            #[serde(default)]
            clocks: Vec<u32>,
            #[serde(default)]
            drop: Vec<Need>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Table(Table),
        }
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Self::parse(&text).map_err(serde::de::Error::custom),
            Either::Table(Table { node, clocks, drop }) => Ok(Self { node, clocks, drop }),
        }
    }
}

/// What a guest meets where it touches an address that nobody owns, or jumps there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unowned {
    /// It is stopped, with a report that names the device: for bringing a board up.
    #[default]
    Stop,
    /// It takes a synchronous external abort, as on a real machine.
    Abort,
}

impl Unowned {
    /// Reads `stop` or `abort`.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "abort" => Ok(Self::Abort),
            _ => Err(format!("'{text}' is neither stop nor abort")),
        }
    }
}

/// A finding that is not to stop anything: a rule, of one subject or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The findings' kind.
    pub rule: Rule,
    /// The finding's subject, or the last part of its path; `None` for any.
    pub subject: Option<String>,
}

impl Accept {
    /// Every finding of that kind.
    #[must_use]
    pub const fn all(rule: Rule) -> Self {
        Self { rule, subject: None }
    }

    /// Reads `RULE` or `RULE SUBJECT`.
    ///
    /// # Errors
    /// There is no such rule; the text has all that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (rule, subject) = text.split_once(' ').unwrap_or((text, ""));
        let subject = Some(subject.trim()).filter(|subject| !subject.is_empty());
        Ok(Self { rule: Rule::from_id(rule)?, subject: subject.map(Into::into) })
    }

    /// Whether it is meant.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        let last = finding.subject.rsplit('/').next();
        let subject = self.subject.as_deref();
        self.rule == finding.rule
            && subject.is_none_or(|own| own == finding.subject || last == Some(own))
    }
}

impl<'de> Deserialize<'de> for Accept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Turn of a virtual CPU where several share a core, in microseconds, if nobody says: one that
/// spins until another has done something keeps that one waiting so long, unless its WFE traps.
/// Shorter turns cost more changes: at 100 us two busy virtual CPUs lose 2.7 % (seL4 16 in emulation).
pub const TURN_US: u32 = 1_000;

/// What a guest wants of the board. [`Wish::default`] is a guest with the board's own defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What the monitor runs on.
    pub host: Host,
    /// GIC version, 2 or 3; `None` takes the first that the host can do on this board.
    pub gic: Option<u8>,
    /// Guest RAM in MiB; `None` takes the board's default.
    pub ram_mib: Option<u64>,
    /// Whether guest RAM has equal guest and physical addresses, as a DMA device needs. The guest
    /// then sees where it lies, and a bus master given to it reaches all memory.
    pub identity: bool,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Cores that the kernel under the monitor runs on, at least 1. The monitor is on core 0, and
    /// virtual CPU n on core n, round again where there are fewer.
    pub cores: u32,
    /// Turn of a virtual CPU where several share a core, in microseconds.
    pub turn_us: u32,
    /// Boot arguments of the kernel.
    pub append: String,
    /// Devices to pass through, besides those of the board file and the console.
    pub pass: Vec<Pass>,
    /// Findings that stop nothing, besides those of the board file.
    pub accept: Vec<Accept>,
    /// Firmware calls to answer or forward, besides the board's own rules.
    pub rules: Vec<CallRule>,
    /// What it meets at an address that nobody owns; `None` takes what the board file says.
    pub unowned: Option<Unowned>,
    /// Whether the guest gets random numbers, where the board has a seed for them.
    pub entropy: bool,
    /// Whether the monitor prints every exit and host call.
    pub trace: bool,
    /// Whether the seL4 kernel is a debug one, which prints on the guest's console.
    pub debug_kernel: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            host: Host::Microkit,
            gic: None,
            ram_mib: None,
            identity: false,
            vcpus: 1,
            cores: 1,
            turn_us: TURN_US,
            append: String::new(),
            pass: Vec::new(),
            accept: Vec::new(),
            rules: Vec::new(),
            unowned: None,
            entropy: true,
            trace: false,
            debug_kernel: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_reads_as_it_is_written() {
        let pass = Pass::parse("serial@30860000,clocks=25000000,drop=pins+dmas").unwrap();
        assert_eq!(pass.node, "serial@30860000");
        assert_eq!(pass.clocks, [25_000_000]);
        assert_eq!(pass.drop, [Need::Pins, Need::Dmas]);
    }

    /// Issue 17, item 7.
    #[test]
    fn names_may_have_commas() {
        for name in ["ethernet@0,0", "led@8,0", "/pcie@1,0/net@0,1", "a,b,c"] {
            assert_eq!(Pass::parse(name).unwrap().node, name);
            let pass = Pass::parse(&format!("{name},clocks=1+2,drop=power")).unwrap();
            assert_eq!((pass.node.as_str(), pass.clocks.as_slice()), (name, &[1, 2][..]));
            assert_eq!(pass.drop, [Need::Power]);
        }
    }

    #[test]
    fn what_is_accepted_is_a_rule_of_all_subjects_or_of_one() {
        let finding = |subject: &str| Finding {
            rule: Rule::DmaNoSmmu,
            severity: Rule::DmaNoSmmu.severity(),
            subject: subject.into(),
            problem: String::new(),
            way_out: String::new(),
        };
        let covers = |text: &str, subject| Accept::parse(text).unwrap().covers(&finding(subject));
        assert!(covers("dma-no-smmu", "/soc/eth@0"));
        assert!(covers("dma-no-smmu /soc/eth@0", "/soc/eth@0"));
        assert!(covers(" dma-no-smmu  eth@0 ", "/soc/eth@0"));
        assert!(covers("dma-no-smmu region uart", "region uart"));
        assert!(!covers("dma-no-smmu eth@0", "/soc/eth@1"));
        assert!(!covers("dma-no-smmu h@0", "/soc/eth@0"));
        assert!(!covers("dma-addresses", "/soc/eth@0"));
        let error = Accept::parse("dma").unwrap_err();
        assert!(error.contains("'dma'") && error.contains("dma-no-smmu"), "{error}");
        assert!(Accept::parse("").is_err());
    }

    #[test]
    fn what_meets_nobody_is_read() {
        assert_eq!(Unowned::parse("stop"), Ok(Unowned::Stop));
        assert_eq!(Unowned::parse("abort"), Ok(Unowned::Abort));
        let error = Unowned::parse("ignore").unwrap_err();
        assert_eq!(error, "'ignore' is neither stop nor abort");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, say) in [
            ("", "no node"),
            ("uart,clocks=fast", "'fast' is no rate"),
            ("uart,drop=pin", "'pin' is none of clocks, pins"),
            ("uart,fixed=1", "'fixed=1' is neither"),
            ("uart,drop=pins,fixed", "'fixed' is neither"),
            ("clocks=1", "no node"),
        ] {
            let error = Pass::parse(text).unwrap_err();
            assert!(error.contains(say), "{error}");
        }
    }
}
