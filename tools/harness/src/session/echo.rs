// SPDX-License-Identifier: BSD-2-Clause
//! The echo of what was typed: a shell that read something else ran something else.

use crate::fatal::MESSAGE;

/// Where the echo of `typed` and its line end are over, if the text begins with them. The kernel's own
/// messages, which carry a time stamp, may stand anywhere in between: they come when they come.
#[must_use]
pub fn end(text: &[u8], typed: &str) -> Option<usize> {
    let mut left = typed.as_bytes();
    let mut at = 0_usize;
    loop {
        let rest = text.get(at..)?;
        if rest.strip_prefix(left).is_some_and(|more| more.starts_with(b"\n")) {
            return Some(at.saturating_add(left.len()).saturating_add(1));
        }
        if let Some(message) = MESSAGE.find(rest) {
            at = at.saturating_add(message.end());
            continue;
        }
        at = at.saturating_add(1);
        let (want, more) = left.split_first()?;
        if rest.first()? != want {
            return None;
        }
        left = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_ends_with_its_line() {
        assert_eq!(end(b"echo hi\nhi\n", "echo hi"), Some(8));
        assert_eq!(end(b"\nhi\n", ""), Some(1));
    }

    #[test]
    fn anything_else_is_no_echo() {
        for text in ["echo ho\nhi\n", "echo h\n", "echo hi", "echo hi; x\n", "\necho hi\n", ""] {
            assert_eq!(end(text.as_bytes(), "echo hi"), None, "{text:?}");
        }
    }

    #[test]
    fn kernel_messages_may_stand_anywhere_in_it() {
        const LATE: &str = "[    3.141592] random: crng init done\n";
        let echo = "echo [ 1 ]\n";
        for at in 0..echo.len() {
            let text = format!("{}{LATE}{}out\n", &echo[..at], &echo[at..]);
            assert_eq!(end(text.as_bytes(), "echo [ 1 ]"), Some(LATE.len() + echo.len()), "{at}");
        }
    }

    #[test]
    fn what_is_typed_may_look_like_a_message() {
        let typed = "[    3.141592] true";
        assert_eq!(end(format!("{typed}\n").as_bytes(), typed), Some(typed.len() + 1));
    }
}
