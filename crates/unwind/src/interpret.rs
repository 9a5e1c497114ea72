//! The interpreter of call frame instructions, for the few registers that a walk needs.

use crate::Machine;
use crate::cie::Cie;
use crate::cursor::Cursor;
use crate::expression::summary;
use crate::state::{CfaRule, RegisterRule, Registers, State};

/// The greatest depth to which `DW_CFA_remember_state` may nest. Compilers nest once.
const MAX_REMEMBERED: usize = 32;

/// The instructions' surroundings: the machine, the CIE and the range of the function.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) machine: Machine,
    pub(crate) cie: &'a Cie,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Program<'_> {
    /// Runs the instructions and calls `emit` with each range of addresses and its state: ascending, clipped to the
    /// function, none of them empty. Returns the last state, or `None` if an instruction is malformed: the ranges
    /// emitted before it stand, the rest of the function has no state. `emit` returns `false` to stop early.
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
                    state.place(registers, operand, RegisterRule::AtCfa(offset));
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

    /// Applies an instruction that changes the state of the current range.
    fn register_instruction(
        &self,
        code: u8,
        instructions: &mut Cursor<'_>,
        state: &mut State,
        remembered: &mut Vec<State>,
    ) -> Option<()> {
        match code {
            // DW_CFA_nop
            0x00 => {}
            // DW_CFA_remember_state
            0x0a => {
                if remembered.len() >= MAX_REMEMBERED {
                    return None;
                }
                remembered.push(*state);
            }
            // DW_CFA_restore_state
            0x0b => *state = remembered.pop()?,
            0x0c..=0x0f | 0x12 | 0x13 => {
                self.frame_address_instruction(code, instructions, &mut state.cfa)?
            }
            // DW_CFA_restore_extended
            0x06 => {
                let register = instructions.uleb()?;
                state.restore(Registers::of(self.machine), register, &self.cie.initial);
            }
            // DW_CFA_AARCH64_negate_ra_state_with_pc, DW_CFA_AARCH64_negate_ra_state: whether a return address is
            // signed does not matter, since a walk strips the signature in any case.
            0x2c | 0x2d if self.machine == Machine::Aarch64 => {}
            // DW_CFA_GNU_args_size
            0x2e => {
                instructions.uleb()?;
            }
            _ => {
                let register = instructions.uleb()?;
                let rule = self.register_rule(code, instructions)?;
                state.place(Registers::of(self.machine), register, rule);
            }
        }
        Some(())
    }

    /// Applies an instruction that changes the rule of the frame's address.
    fn frame_address_instruction(
        &self,
        code: u8,
        instructions: &mut Cursor<'_>,
        cfa: &mut CfaRule,
    ) -> Option<()> {
        match code {
            // DW_CFA_def_cfa
            0x0c => {
                let register = u16::try_from(instructions.uleb()?).ok()?;
                let offset = instructions.uleb()?.try_into().ok()?;
                *cfa = CfaRule::Register { register, offset };
            }
            // DW_CFA_def_cfa_register
            0x0d => {
                let CfaRule::Register { register, .. } = cfa else { return None };
                *register = u16::try_from(instructions.uleb()?).ok()?;
            }
            // DW_CFA_def_cfa_offset
            0x0e => {
                let CfaRule::Register { offset, .. } = cfa else { return None };
                *offset = instructions.uleb()?.try_into().ok()?;
            }
            // DW_CFA_def_cfa_expression
            0x0f => {
                let length = instructions.uleb()?;
                *cfa = CfaRule::Expression(summary(instructions.take(length)?));
            }
            // DW_CFA_def_cfa_sf
            0x12 => {
                let register = u16::try_from(instructions.uleb()?).ok()?;
                let offset = instructions.sleb()?.checked_mul(self.cie.data_factor)?;
                *cfa = CfaRule::Register { register, offset };
            }
            // DW_CFA_def_cfa_offset_sf
            0x13 => {
                let CfaRule::Register { offset, .. } = cfa else { return None };
                *offset = instructions.sleb()?.checked_mul(self.cie.data_factor)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The rule that an instruction sets for the register that it has named.
    fn register_rule(&self, code: u8, instructions: &mut Cursor<'_>) -> Option<RegisterRule> {
        let cie = self.cie;
        Some(match code {
            // DW_CFA_offset_extended
            0x05 => RegisterRule::AtCfa(cie.factored(instructions.uleb()?)?),
            // DW_CFA_undefined
            0x07 => RegisterRule::Undefined,
            // DW_CFA_same_value
            0x08 => RegisterRule::Same,
            // DW_CFA_register
            0x09 => RegisterRule::Register(u16::try_from(instructions.uleb()?).ok()?),
            // DW_CFA_expression
            0x10 => {
                let length = instructions.uleb()?;
                RegisterRule::AtExpression(summary(instructions.take(length)?))
            }
            // DW_CFA_offset_extended_sf
            0x11 => RegisterRule::AtCfa(instructions.sleb()?.checked_mul(cie.data_factor)?),
            // DW_CFA_val_offset
            0x14 => {
                instructions.uleb()?;
                RegisterRule::Value
            }
            // DW_CFA_val_offset_sf
            0x15 => {
                instructions.sleb()?;
                RegisterRule::Value
            }
            // DW_CFA_val_expression
            0x16 => {
                let length = instructions.uleb()?;
                instructions.take(length)?;
                RegisterRule::Value
            }
            // DW_CFA_GNU_negative_offset_extended
            0x2f => {
                let offset = i64::try_from(instructions.uleb()?).ok()?.checked_neg()?;
                RegisterRule::AtCfa(offset.checked_mul(cie.data_factor)?)
            }
            _ => return None,
        })
    }
}
