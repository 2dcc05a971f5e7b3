// SPDX-License-Identifier: BSD-2-Clause
//! The order of registers in a thread's context, and a cache of its first few.
//!
//! `TCB_ReadRegisters` and `TCB_WriteRegisters` take a count and move that many registers from
//! the front of one fixed list (seL4 `src/arch/arm/64/machine/registerset.c`, `frameRegisters`
//! then `gpRegisters`). An exit that needs X3 costs seven registers, not thirty-six, and one that
//! only moves the program counter costs one. [`RegisterFile`] keeps the books.

use vmm_core::host::{ENTRY_SPSR, Entry};
use vmm_core::ids::Gpr;

/// Registers in the list.
pub const COUNT: usize = 36;

/// A register of a thread, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadRegister(u8);

impl ThreadRegister {
    /// Program counter. Reading gives the instruction to be restarted, writing moves it.
    pub const PC: Self = Self(0);
    /// SP_EL0. SP_EL1 belongs to the virtual CPU, not to its thread.
    pub const SP: Self = Self(1);
    /// Processor state, SPSR_EL2.
    pub const SPSR: Self = Self(2);
    /// TPIDR_EL0.
    pub const TPIDR_EL0: Self = Self(34);
    /// TPIDRRO_EL0.
    pub const TPIDRRO_EL0: Self = Self(35);

    /// Where X0 to X30 are: pc, sp, spsr, x0-x8, x16-x18, x29, x30, x9-x15, x19-x28.
    #[must_use]
    pub const fn of(reg: Gpr) -> Self {
        let number = reg.number();
        let index = match number {
            0..=8 => number.wrapping_add(3),
            9..=15 => number.wrapping_add(8),
            16..=18 => number.wrapping_sub(4),
            19..=28 => number.wrapping_add(5),
            _ => number.wrapping_sub(14),
        };
        Self(index)
    }

    /// Index into the list, 0 to [`COUNT`]` - 1`.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// How many registers must be moved to reach this one.
    #[must_use]
    pub const fn count(self) -> usize {
        self.index().wrapping_add(1)
    }
}

/// Registers up to X7: what `UnknownSyscall` carries, and what a firmware call passes
/// (DEN0028F, 2.6).
pub const TO_X7: usize = 11;

/// Words of an answer to `UnknownSyscall`: X0 to X7 and the program counter.
pub const SYSCALL_REPLY: usize = 9;

/// What is known of a stopped virtual CPU's registers, and what has changed: both are runs from
/// the front of the list, because that is all that the kernel moves.
#[derive(Clone, Debug)]
pub struct RegisterFile {
    words: [u64; COUNT],
    /// The first `known` words are the guest's, changes included.
    known: usize,
    /// The first `dirty` words go back; never more than `known`.
    dirty: usize,
    /// Fewest registers to read at a time.
    chunk: usize,
}

impl Default for RegisterFile {
    fn default() -> Self {
        Self { words: [0; COUNT], known: 0, dirty: 0, chunk: 1 }
    }
}

impl RegisterFile {
    /// A new exit: forgets everything but the registers that came with the message. The first
    /// read takes at least `chunk` registers.
    pub fn begin(&mut self, carried: &[u64], chunk: usize) {
        self.known = 0;
        self.dirty = 0;
        self.chunk = chunk.min(COUNT);
        self.fill(carried);
    }

    /// How many registers to read from the kernel before `register` can be read, or `None` if it is
    /// known.
    #[must_use]
    pub fn missing_to_read(&self, register: ThreadRegister) -> Option<usize> {
        (self.known < register.count()).then(|| register.count().max(self.chunk))
    }

    /// How many registers to read from the kernel before `register` can be written: everything in
    /// front of it goes back with it.
    #[must_use]
    pub fn missing_to_write(&self, register: ThreadRegister) -> Option<usize> {
        (self.known < register.index()).then(|| register.index().max(self.chunk))
    }

    /// Takes what the kernel answered, from the front of the list; keeps what was known.
    pub fn fill(&mut self, words: &[u64]) {
        for (to, from) in self.words.iter_mut().zip(words).skip(self.known) {
            *to = *from;
        }
        self.known = self.known.max(words.len().min(COUNT));
    }

    /// A register's value; zero unless [`RegisterFile::missing_to_read`] says `None`.
    #[must_use]
    pub fn get(&self, register: ThreadRegister) -> u64 {
        if register.index() < self.known {
            // `known` counts words that are there.
            self.words.get(register.index()).copied().unwrap_or_default()
        } else {
            0
        }
    }

    /// Changes a register. Without effect unless [`RegisterFile::missing_to_write`] says `None`.
    pub fn set(&mut self, register: ThreadRegister, value: u64) {
        if register.index() > self.known {
            return;
        }
        if let Some(word) = self.words.get_mut(register.index()) {
            *word = value;
            self.known = self.known.max(register.count());
            self.dirty = self.dirty.max(register.count());
        }
    }

    /// All registers as at a start: zero but for program counter, processor state and X0.
    pub fn reset(&mut self, entry: Entry) {
        self.words = [0; COUNT];
        self.known = COUNT;
        self.dirty = COUNT;
        self.set(ThreadRegister::PC, entry.pc.0);
        self.set(ThreadRegister::SPSR, ENTRY_SPSR);
        if let Some(x0) = Gpr::new(0) {
            self.set(ThreadRegister::of(x0), entry.x0);
        }
    }

    /// What has to be written back; empty if nothing changed.
    #[must_use]
    pub fn dirty(&self) -> &[u64] {
        // `dirty` counts words that are there.
        self.words.get(..self.dirty).unwrap_or_default()
    }

    /// What changed has been written.
    pub const fn written(&mut self) {
        self.dirty = 0;
    }

    /// The answer to `UnknownSyscall` that writes the changes: X0 to X7, then the program
    /// counter. `None` where a change lies beyond them (or X7 is not known).
    #[must_use]
    pub fn syscall_reply(&self) -> Option<[u64; SYSCALL_REPLY]> {
        if self.known < TO_X7 || self.dirty > TO_X7 {
            return None;
        }
        let [pc, _, _, x0, x1, x2, x3, x4, x5, x6, x7, ..] = self.words;
        Some([x0, x1, x2, x3, x4, x5, x6, x7, pc])
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;
    use vmm_core::addr::Ipa;

    use super::*;

    fn x(number: u8) -> ThreadRegister {
        ThreadRegister::of(Gpr::new(number).unwrap())
    }

    #[test]
    fn pc_sp_and_spsr_come_first() {
        assert_eq!(ThreadRegister::PC.index(), 0);
        assert_eq!(ThreadRegister::SP.index(), 1);
        assert_eq!(ThreadRegister::SPSR.index(), 2);
    }

    #[test]
    fn x0_to_x8_follow() {
        let places: Vec<_> = (0..=8).map(|n| x(n).index()).collect();
        assert_eq!(places, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn then_the_two_scratch_registers_and_x18() {
        assert_eq!([16, 17, 18].map(|n| x(n).index()), [12, 13, 14]);
    }

    #[test]
    fn then_frame_pointer_and_link_register() {
        assert_eq!([29, 30].map(|n| x(n).index()), [15, 16]);
    }

    #[test]
    fn the_second_list_starts_with_x9_to_x15() {
        let places: Vec<_> = (9..=15).map(|n| x(n).index()).collect();
        assert_eq!(places, [17, 18, 19, 20, 21, 22, 23]);
    }

    #[test]
    fn and_goes_on_with_x19_to_x28() {
        let places: Vec<_> = (19..=28).map(|n| x(n).index()).collect();
        assert_eq!(places, [24, 25, 26, 27, 28, 29, 30, 31, 32, 33]);
    }

    #[test]
    fn thread_pointers_come_last() {
        assert_eq!(ThreadRegister::TPIDR_EL0.index(), 34);
        assert_eq!(ThreadRegister::TPIDRRO_EL0.count(), COUNT);
    }

    #[test]
    fn no_two_registers_share_a_place() {
        let mut seen = [false; COUNT];
        let named = [
            ThreadRegister::PC,
            ThreadRegister::SP,
            ThreadRegister::SPSR,
            ThreadRegister::TPIDR_EL0,
            ThreadRegister::TPIDRRO_EL0,
        ];
        for register in named.into_iter().chain((0..31).map(x)) {
            assert!(!std::mem::replace(&mut seen[register.index()], true), "{register:?}");
        }
        assert!(seen.into_iter().all(|taken| taken));
    }

    #[test]
    fn eleven_registers_reach_x7() {
        assert_eq!(x(7).count(), TO_X7);
    }

    #[test]
    fn moving_the_program_counter_reads_nothing_and_writes_one() {
        let mut file = RegisterFile::default();
        file.begin(&[0x1000], 1);
        assert_eq!(file.missing_to_read(ThreadRegister::PC), None);
        file.set(ThreadRegister::PC, 0x1004);
        assert_eq!(file.dirty(), [0x1004]);
    }

    #[test]
    fn a_program_counter_can_be_set_unseen() {
        let mut file = RegisterFile::default();
        file.begin(&[], 1);
        assert_eq!(file.missing_to_write(ThreadRegister::PC), None);
        file.set(ThreadRegister::PC, 4);
        assert_eq!(file.dirty(), [4]);
    }

    #[test]
    fn a_load_into_x0_needs_what_lies_before_it_and_no_more() {
        let mut file = RegisterFile::default();
        file.begin(&[0x1000], 1);
        assert_eq!(file.missing_to_write(x(0)), Some(3));
        file.fill(&[0x1000, 0x2000, 0x3c5]);
        assert_eq!(file.missing_to_write(x(0)), None);
        file.set(x(0), 7);
        assert_eq!(file.dirty(), [0x1000, 0x2000, 0x3c5, 7]);
    }

    #[test]
    fn a_later_read_does_not_undo_a_change() {
        let mut file = RegisterFile::default();
        file.begin(&[0x1000], 1);
        file.set(ThreadRegister::PC, 0x1004);
        file.fill(&[0x1000, 1, 2, 3]);
        assert_eq!(file.get(ThreadRegister::PC), 0x1004);
        assert_eq!(file.get(x(0)), 3);
    }

    #[test]
    fn a_chunk_widens_the_first_read_only() {
        let mut file = RegisterFile::default();
        file.begin(&[], TO_X7);
        assert_eq!(file.missing_to_read(x(0)), Some(TO_X7));
        file.fill(&[0; TO_X7]);
        assert_eq!(file.missing_to_read(x(7)), None);
        assert_eq!(file.missing_to_read(x(8)), Some(12));
    }

    #[test]
    fn a_chunk_beyond_the_list_is_cut() {
        let mut file = RegisterFile::default();
        file.begin(&[], 1000);
        assert_eq!(file.missing_to_read(ThreadRegister::PC), Some(COUNT));
    }

    #[test]
    fn writing_what_cannot_be_written_changes_nothing() {
        let mut file = RegisterFile::default();
        file.begin(&[], 1);
        file.set(x(5), 1);
        assert!(file.dirty().is_empty());
        assert_eq!(file.get(x(5)), 0);
    }

    #[test]
    fn too_many_words_are_ignored() {
        let mut file = RegisterFile::default();
        file.begin(&[9; 50], 1);
        assert_eq!(file.missing_to_read(ThreadRegister::TPIDRRO_EL0), None);
        assert_eq!(file.get(ThreadRegister::TPIDRRO_EL0), 9);
    }

    #[test]
    fn an_old_exit_is_forgotten() {
        let mut file = RegisterFile::default();
        file.begin(&[1, 2, 3, 4], 1);
        file.set(ThreadRegister::PC, 5);
        file.begin(&[], 1);
        assert!(file.dirty().is_empty());
        assert_eq!(file.get(ThreadRegister::PC), 0);
        assert_eq!(file.missing_to_read(ThreadRegister::PC), Some(1));
    }

    #[test]
    fn a_start_writes_everything() {
        let mut file = RegisterFile::default();
        file.begin(&[1; 20], 1);
        file.reset(Entry { pc: Ipa(0x4020_0000), x0: 0x4fe0_0000 });
        let mut expected = [0; COUNT];
        expected[0] = 0x4020_0000;
        expected[2] = 0x3c5;
        expected[3] = 0x4fe0_0000;
        assert_eq!(file.dirty(), expected);
        assert_eq!(file.syscall_reply(), None);
        file.written();
        assert!(file.dirty().is_empty());
    }

    #[test]
    fn a_hypercall_is_answered_with_x0_to_x7_and_the_program_counter() {
        let mut file = RegisterFile::default();
        file.begin(&[0x1004, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17], TO_X7);
        file.set(x(0), u64::MAX);
        assert_eq!(file.syscall_reply(), Some([u64::MAX, 11, 12, 13, 14, 15, 16, 17, 0x1004]));
    }

    #[test]
    fn a_change_beyond_x7_needs_a_call_of_its_own() {
        let mut file = RegisterFile::default();
        file.begin(&[0; TO_X7], TO_X7);
        file.set(x(8), 1);
        assert_eq!(file.syscall_reply(), None);
        assert_eq!(file.dirty().len(), 12);
    }

    #[test]
    fn unknown_registers_are_never_answered() {
        let mut file = RegisterFile::default();
        file.begin(&[0; 4], 1);
        assert_eq!(file.syscall_reply(), None);
    }

    /// What the monitor may do with a stopped vCPU.
    #[derive(Clone, Debug)]
    enum Step {
        Read(u8),
        Write(u8, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let place = 0u8..u8::try_from(COUNT).unwrap();
        prop::collection::vec(
            prop_oneof![
                place.clone().prop_map(Step::Read),
                (place, any::<u64>()).prop_map(|(place, value)| Step::Write(place, value)),
            ],
            0..40,
        )
    }

    proptest! {
        /// The cache over a thread's context behaves as if every step went to the context itself.
        #[test]
        fn the_cache_is_invisible(
            context in prop::collection::vec(any::<u64>(), COUNT),
            carried in 0..COUNT,
            chunk in 0..COUNT,
            steps in steps(),
        ) {
            let mut kernel = context.clone();
            let mut model = context;
            let mut file = RegisterFile::default();
            file.begin(&kernel[..carried], chunk);
            for step in steps {
                match step {
                    Step::Read(place) => {
                        if let Some(count) = file.missing_to_read(ThreadRegister(place)) {
                            file.fill(&kernel[..count]);
                        }
                        prop_assert_eq!(file.get(ThreadRegister(place)), model[usize::from(place)]);
                    }
                    Step::Write(place, value) => {
                        if let Some(count) = file.missing_to_write(ThreadRegister(place)) {
                            file.fill(&kernel[..count]);
                        }
                        file.set(ThreadRegister(place), value);
                        model[usize::from(place)] = value;
                    }
                }
            }
            kernel[..file.dirty().len()].copy_from_slice(file.dirty());
            prop_assert_eq!(kernel, model);
        }
    }
}
