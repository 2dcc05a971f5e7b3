// SPDX-License-Identifier: BSD-2-Clause
//! Rules for firmware calls (SMC), as board files and command lines give them.

use serde::Deserialize;

/// What becomes of a firmware call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallAction {
    /// The monitor answers.
    Answer,
    /// The firmware answers.
    Forward,
}

/// How one firmware call is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRule {
    /// SMCCC function identifier (DEN0028F, 2.5).
    pub function: u32,
    /// What becomes of it.
    pub action: CallAction,
    /// X0 of an answer.
    #[serde(default)]
    pub value: u64,
    /// Where that is from.
    pub source: String,
}

impl CallRule {
    /// The rule of a command line that hands `function` on to the firmware.
    ///
    /// # Errors
    /// It is no number of 32 bits, decimal or behind `0x`.
    pub fn forward(function: &str) -> Result<Self, String> {
        let action = CallAction::Forward;
        Ok(Self { function: identifier(function)?, action, value: 0, source: SOURCE.into() })
    }

    /// The rule of a command line that answers: `FUNCTION=VALUE`.
    ///
    /// # Errors
    /// One of the two is no number, or the function has more than 32 bits.
    pub fn answer(text: &str) -> Result<Self, String> {
        let (function, value) = text.split_once('=').ok_or("write FUNCTION=VALUE")?;
        let (function, value) = (identifier(function)?, number(value)?);
        Ok(Self { function, action: CallAction::Answer, value, source: SOURCE.into() })
    }
}

/// Where a rule of a command line is from.
const SOURCE: &str = "command line";

fn identifier(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| "a function identifier has 32 bits".into())
}

/// A number in decimal or, behind `0x`, in hexadecimal; underscores are ignored.
///
/// # Errors
/// It is none, or has more than 64 bits.
pub fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| format!("'{text}' is no number; write 4096 or 0x1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_command_line_read_as_they_are_written() {
        let rule = CallRule::forward("0xC200_0006").unwrap();
        assert_eq!((rule.function, rule.action), (0xc200_0006, CallAction::Forward));
        let rule = CallRule::answer("3254779910=0x21").unwrap();
        assert_eq!((rule.function, rule.action), (0xc200_0006, CallAction::Answer));
        assert_eq!(rule.value, 0x21);
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for (error, say) in [
            (CallRule::forward("revision").unwrap_err(), "'revision' is no number"),
            (CallRule::forward("0x1c2000006").unwrap_err(), "32 bits"),
            (CallRule::answer("0xc2000006").unwrap_err(), "FUNCTION=VALUE"),
        ] {
            assert!(error.contains(say), "{error}");
        }
    }
}
