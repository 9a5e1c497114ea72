//! The places of the caller's registers at one instruction, and the rule that leads a walk to them.

use crate::expression::Summary;
use crate::{Cfa, Machine, ReturnAddress, Rule, SavedFp};

/// The place of the caller's value of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum RegisterRule {
    /// No instruction names the register.
    #[default]
    Unspecified,
    Undefined,
    Same,
    AtCfa(i64),
    Register(u16),
    AtExpression(Summary),
    /// The register has a computed value, not a place in memory: no walk computes it.
    Value,
}

/// The way in which the CFA is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum CfaRule {
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
    pub(crate) cfa: CfaRule,
    pub(crate) fp: RegisterRule,
    pub(crate) ra: RegisterRule,
    /// The place of rbx of x86-64.
    pub(crate) rbx: RegisterRule,
}

/// DWARF's numbers of the registers of a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pub(crate) sp: u16,
    pub(crate) fp: u16,
    pub(crate) ra: u16,
    pub(crate) rbx: Option<u16>,
    /// The largest number of a register whose value a walk knows in an interrupted frame.
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
    pub(crate) fn place(&mut self, registers: Registers, register: u64, place: RegisterRule) {
        let Ok(register) = u16::try_from(register) else { return };
        if register == registers.fp {
            self.fp = place;
        } else if register == registers.ra {
            self.ra = place;
        } else if Some(register) == registers.rbx {
            self.rbx = place;
        }
    }

    pub(crate) fn restore(&mut self, registers: Registers, register: u64, initial: &Self) {
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

    /// The rule that a walk applies where this state holds. `track` includes rbx.
    pub(crate) fn rule(&self, machine: Machine, track: bool) -> Rule {
        self.try_rule(machine, track).unwrap_or(Rule::UNSUPPORTED)
    }

    fn try_rule(&self, machine: Machine, track: bool) -> Option<Rule> {
        let registers = Registers::of(machine);
        let mut rule = Rule::default();
        match self.ra {
            RegisterRule::Undefined => return Some(Rule::ROOT),
            RegisterRule::Unspecified if machine == Machine::X86_64 => return Some(Rule::ROOT),
            RegisterRule::AtCfa(offset) => rule.ra_offset = offset.try_into().ok()?,
            RegisterRule::Unspecified | RegisterRule::Same if machine == Machine::Aarch64 => {
                rule.ra = ReturnAddress::LinkRegister;
            }
            RegisterRule::Register(register) if register == registers.ra && machine == Machine::Aarch64 => {
                rule.ra = ReturnAddress::LinkRegister;
            }
            RegisterRule::Register(register) if register <= registers.last => {
                rule.ra = ReturnAddress::Register;
                rule.register = register.try_into().ok()?;
            }
            _ => return None,
        }
        self.find_frame(machine, &mut rule)?;
        self.find_frame_pointer(registers, &mut rule)?;
        if track {
            rule.kept = match self.rbx {
                RegisterRule::Unspecified | RegisterRule::Same => 1,
                RegisterRule::AtCfa(offset) if offset < 0 => offset.try_into().unwrap_or(0),
                _ => 0,
            };
        }
        Some(rule)
    }

    /// Sets how a rule finds the CFA; `None` if no rule can express it.
    fn find_frame(&self, machine: Machine, rule: &mut Rule) -> Option<()> {
        let registers = Registers::of(machine);
        match self.cfa {
            CfaRule::Register { register, offset }
            | CfaRule::Expression(Summary::Sum { register, offset }) => {
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
            CfaRule::Expression(Summary::Deref { register, offset, add }) => {
                rule.cfa = match register {
                    _ if register == registers.sp => Cfa::AtSp,
                    _ if register == registers.fp => Cfa::AtFp,
                    _ => return None,
                };
                rule.cfa_offset = offset.try_into().ok()?;
                rule.add = add.try_into().ok()?;
            }
            CfaRule::Expression(Summary::Plt { threshold }) if machine == Machine::X86_64 => {
                rule.cfa = Cfa::Plt;
                rule.cfa_offset = threshold.into();
            }
            CfaRule::Unspecified | CfaRule::Expression(_) => return None,
        }
        Some(())
    }

    /// Sets the place of the caller's frame pointer in a rule; `None` if no rule can express it.
    fn find_frame_pointer(&self, registers: Registers, rule: &mut Rule) -> Option<()> {
        match self.fp {
            RegisterRule::Unspecified | RegisterRule::Same => {}
            RegisterRule::AtCfa(offset) => {
                rule.fp = SavedFp::AtCfa;
                rule.fp_offset = offset.try_into().ok()?;
            }
            RegisterRule::AtExpression(Summary::Sum { register, offset }) if register == registers.fp => {
                rule.fp = SavedFp::AtFp;
                rule.fp_offset = offset.try_into().ok()?;
            }
            _ => rule.fp = SavedFp::Lost,
        }
        Some(())
    }
}
