//! The interpreter of call frame instructions, for the few registers that a walk needs.

use crate::cursor::Cursor;
use crate::entry::Cie;
use crate::expression::{Summary, summary};
use crate::{Cfa, Machine, ReturnAddress, Rule, SavedFp};

/// How deep `DW_CFA_remember_state` may nest. Compilers nest once.
const MAX_REMEMBERED: usize = 32;

/// Where the caller's value of a register is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Place {
    /// Nothing was said.
    #[default]
    Unspecified,
    Undefined,
    Same,
    AtCfa(i64),
    Register(u16),
    AtExpression(Summary),
    /// A value, not a place in memory: no walk reads that.
    Value,
}

/// How the CFA is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum CfaPlace {
    #[default]
    Unspecified,
    Register {
        register: u16,
        offset: i64,
    },
    Expression(Summary),
}

/// The part of a row of the unwind table that a walk needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct State {
    pub(crate) cfa: CfaPlace,
    pub(crate) fp: Place,
    pub(crate) ra: Place,
    /// rbx of x86-64.
    pub(crate) rbx: Place,
}

/// DWARF's numbers of the registers of a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pub(crate) sp: u16,
    pub(crate) fp: u16,
    pub(crate) ra: u16,
    pub(crate) rbx: Option<u16>,
    /// The largest number whose value in an interrupted frame a walk knows.
    pub(crate) last: u16,
}

impl Registers {
    pub(crate) const fn of(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => Self { sp: 7, fp: 6, ra: 16, rbx: Some(3), last: 15 },
            Machine::Aarch64 => Self { sp: 31, fp: 29, ra: 30, rbx: None, last: 30 },
        }
    }
}

impl State {
    fn place(&mut self, registers: Registers, register: u64, place: Place) {
        let Ok(register) = u16::try_from(register) else { return };
        if register == registers.fp {
            self.fp = place;
        } else if register == registers.ra {
            self.ra = place;
        } else if Some(register) == registers.rbx {
            self.rbx = place;
        }
    }

    fn restore(&mut self, registers: Registers, register: u64, initial: &Self) {
        self.place(registers, register, {
            let register = u16::try_from(register).ok();
            if register == Some(registers.fp) {
                initial.fp
            } else if register == Some(registers.ra) {
                initial.ra
            } else {
                initial.rbx
            }
        });
    }

    /// The rule that a walk applies where this state holds. `track` asks for rbx.
    pub(crate) fn rule(&self, machine: Machine, track: bool) -> Rule {
        self.try_rule(machine, track).unwrap_or(Rule::UNSUPPORTED)
    }

    fn try_rule(&self, machine: Machine, track: bool) -> Option<Rule> {
        let registers = Registers::of(machine);
        let mut rule = Rule::default();
        match self.ra {
            Place::Undefined => return Some(Rule::ROOT),
            Place::Unspecified if machine == Machine::X86_64 => return Some(Rule::ROOT),
            Place::AtCfa(offset) => rule.ra_offset = offset.try_into().ok()?,
            Place::Unspecified | Place::Same if machine == Machine::Aarch64 => {
                rule.ra = ReturnAddress::LinkRegister;
            }
            Place::Register(register) if register == registers.ra && machine == Machine::Aarch64 => {
                rule.ra = ReturnAddress::LinkRegister;
            }
            Place::Register(register) if register <= registers.last => {
                rule.ra = ReturnAddress::Register;
                rule.register = register.try_into().ok()?;
            }
            _ => return None,
        }
        match self.cfa {
            CfaPlace::Register { register, offset }
            | CfaPlace::Expression(Summary::Sum { register, offset }) => {
                rule.cfa_offset = offset.try_into().ok()?;
                if register == registers.sp {
                    rule.cfa = Cfa::Sp;
                } else if register == registers.fp {
                    rule.cfa = Cfa::Fp;
                } else if register <= registers.last && rule.ra != ReturnAddress::Register {
                    rule.cfa = Cfa::Register;
                    rule.register = register.try_into().ok()?;
                } else {
                    return None;
                }
            }
            CfaPlace::Expression(Summary::Deref { register, offset, add }) => {
                rule.cfa = match register {
                    _ if register == registers.sp => Cfa::AtSp,
                    _ if register == registers.fp => Cfa::AtFp,
                    _ => return None,
                };
                rule.cfa_offset = offset.try_into().ok()?;
                rule.add = add.try_into().ok()?;
            }
            CfaPlace::Expression(Summary::Plt { threshold }) if machine == Machine::X86_64 => {
                rule.cfa = Cfa::Plt;
                rule.cfa_offset = threshold.into();
            }
            CfaPlace::Unspecified | CfaPlace::Expression(_) => return None,
        }
        match self.fp {
            Place::Unspecified | Place::Same => {}
            Place::AtCfa(offset) => {
                rule.fp = SavedFp::AtCfa;
                rule.fp_offset = offset.try_into().ok()?;
            }
            Place::AtExpression(Summary::Sum { register, offset }) if register == registers.fp => {
                rule.fp = SavedFp::AtFp;
                rule.fp_offset = offset.try_into().ok()?;
            }
            _ => rule.fp = SavedFp::Lost,
        }
        if track {
            rule.kept = match self.rbx {
                Place::Unspecified | Place::Same => 1,
                Place::AtCfa(offset) if offset < 0 => offset.try_into().unwrap_or(0),
                _ => 0,
            };
        }
        Some(rule)
    }
}

/// What a program is run with.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) machine: Machine,
    pub(crate) cie: &'a Cie,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Program<'_> {
    /// Runs the instructions and hands over each range of addresses with its state: ascending, clipped to the
    /// function, none of them empty. Returns the last state, and `None` where an instruction is malformed: what was
    /// handed over before it stands, the rest of the function has no state. `emit` answers `false` to stop early.
    pub(crate) fn run(
        &self,
        mut instructions: Cursor<'_>,
        mut emit: impl FnMut(u64, u64, &State) -> bool,
    ) -> Option<State> {
        let registers = Registers::of(self.machine);
        let cie = self.cie;
        let mut state = cie.initial;
        let mut remembered: Vec<State> = Vec::new();
        let mut location = self.start;
        while !instructions.is_empty() {
            let byte = instructions.u8()?;
            let operand = u64::from(byte & 0x3f);
            let advance = match (byte >> 6, byte & 0x3f) {
                // DW_CFA_advance_loc
                (1, _) => Some(operand),
                // DW_CFA_offset
                (2, _) => {
                    let offset = cie.factored(instructions.uleb()?)?;
                    state.place(registers, operand, Place::AtCfa(offset));
                    None
                }
                // DW_CFA_restore
                (3, _) => {
                    state.restore(registers, operand, &cie.initial);
                    None
                }
                // DW_CFA_set_loc
                (_, 0x01) => {
                    let target = instructions.pointer(cie.encoding, None)?;
                    if target < location {
                        return None;
                    }
                    if location < target.min(self.end) && !emit(location, target.min(self.end), &state) {
                        return Some(state);
                    }
                    location = target;
                    continue;
                }
                // DW_CFA_advance_loc1, 2, 4
                (_, 0x02) => Some(instructions.u8()?.into()),
                (_, 0x03) => Some(instructions.u16()?.into()),
                (_, 0x04) => Some(instructions.u32()?.into()),
                (_, code) => {
                    self.register_instruction(code, &mut instructions, &mut state, &mut remembered)?;
                    None
                }
            };
            if let Some(units) = advance {
                let next = location.checked_add(units.checked_mul(cie.code_factor)?)?;
                if location < next.min(self.end) && !emit(location, next.min(self.end), &state) {
                    return Some(state);
                }
                location = next;
            }
        }
        if location < self.end {
            emit(location, self.end, &state);
        }
        Some(state)
    }

    /// An instruction that changes the state of the current range.
    fn register_instruction(
        &self,
        code: u8,
        instructions: &mut Cursor<'_>,
        state: &mut State,
        remembered: &mut Vec<State>,
    ) -> Option<()> {
        let registers = Registers::of(self.machine);
        let cie = self.cie;
        match code {
            // DW_CFA_nop
            0x00 => {}
            // DW_CFA_offset_extended
            0x05 => {
                let register = instructions.uleb()?;
                let offset = cie.factored(instructions.uleb()?)?;
                state.place(registers, register, Place::AtCfa(offset));
            }
            // DW_CFA_restore_extended
            0x06 => {
                let register = instructions.uleb()?;
                state.restore(registers, register, &cie.initial);
            }
            // DW_CFA_undefined
            0x07 => state.place(registers, instructions.uleb()?, Place::Undefined),
            // DW_CFA_same_value
            0x08 => state.place(registers, instructions.uleb()?, Place::Same),
            // DW_CFA_register
            0x09 => {
                let register = instructions.uleb()?;
                let other = u16::try_from(instructions.uleb()?).ok()?;
                state.place(registers, register, Place::Register(other));
            }
            // DW_CFA_remember_state
            0x0a => {
                if remembered.len() >= MAX_REMEMBERED {
                    return None;
                }
                remembered.push(*state);
            }
            // DW_CFA_restore_state
            0x0b => *state = remembered.pop()?,
            // DW_CFA_def_cfa
            0x0c => {
                let register = u16::try_from(instructions.uleb()?).ok()?;
                let offset = instructions.uleb()?.try_into().ok()?;
                state.cfa = CfaPlace::Register { register, offset };
            }
            // DW_CFA_def_cfa_register
            0x0d => {
                let CfaPlace::Register { register, .. } = &mut state.cfa else { return None };
                *register = u16::try_from(instructions.uleb()?).ok()?;
            }
            // DW_CFA_def_cfa_offset
            0x0e => {
                let CfaPlace::Register { offset, .. } = &mut state.cfa else { return None };
                *offset = instructions.uleb()?.try_into().ok()?;
            }
            // DW_CFA_def_cfa_expression
            0x0f => {
                let length = instructions.uleb()?;
                state.cfa = CfaPlace::Expression(summary(instructions.take(length)?));
            }
            // DW_CFA_expression
            0x10 => {
                let register = instructions.uleb()?;
                let length = instructions.uleb()?;
                let expression = summary(instructions.take(length)?);
                state.place(registers, register, Place::AtExpression(expression));
            }
            // DW_CFA_offset_extended_sf
            0x11 => {
                let register = instructions.uleb()?;
                let offset = instructions.sleb()?.checked_mul(cie.data_factor)?;
                state.place(registers, register, Place::AtCfa(offset));
            }
            // DW_CFA_def_cfa_sf
            0x12 => {
                let register = u16::try_from(instructions.uleb()?).ok()?;
                let offset = instructions.sleb()?.checked_mul(cie.data_factor)?;
                state.cfa = CfaPlace::Register { register, offset };
            }
            // DW_CFA_def_cfa_offset_sf
            0x13 => {
                let CfaPlace::Register { offset, .. } = &mut state.cfa else { return None };
                *offset = instructions.sleb()?.checked_mul(cie.data_factor)?;
            }
            // DW_CFA_val_offset
            0x14 => {
                let register = instructions.uleb()?;
                instructions.uleb()?;
                state.place(registers, register, Place::Value);
            }
            // DW_CFA_val_offset_sf
            0x15 => {
                let register = instructions.uleb()?;
                instructions.sleb()?;
                state.place(registers, register, Place::Value);
            }
            // DW_CFA_val_expression
            0x16 => {
                let register = instructions.uleb()?;
                let length = instructions.uleb()?;
                instructions.take(length)?;
                state.place(registers, register, Place::Value);
            }
            // DW_CFA_AARCH64_negate_ra_state_with_pc, DW_CFA_AARCH64_negate_ra_state: whether a return address is
            // signed does not matter, since a walk strips the signature in any case.
            0x2c | 0x2d if self.machine == Machine::Aarch64 => {}
            // DW_CFA_GNU_args_size
            0x2e => {
                instructions.uleb()?;
            }
            // DW_CFA_GNU_negative_offset_extended
            0x2f => {
                let register = instructions.uleb()?;
                let offset =
                    i64::try_from(instructions.uleb()?).ok()?.checked_neg()?.checked_mul(cie.data_factor)?;
                state.place(registers, register, Place::AtCfa(offset));
            }
            _ => return None,
        }
        Some(())
    }
}
