//! Records of the launcher: tab-separated lines, `P` a process, `C` clocks, `L` the launcher itself.

use std::str::FromStr;

use crate::truth::{Clocks, Rename};

/// The records that the launcher wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) begin: Clocks,
    pub(crate) end: Clocks,
    pub(crate) launcher: Launcher,
    pub(crate) processes: Vec<Ended>,
}

/// The launcher's own life during the storm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Launcher {
    pub(crate) pid: u32,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) cpu_ns: u64,
    /// Processes that could not be started.
    pub(crate) failed: u64,
}

/// One process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Line of the plan.
    pub(crate) line: usize,
    /// True for the first process of a double fork, which runs nothing of its own.
    pub(crate) first: bool,
    pub(crate) pid: u32,
    pub(crate) born: u64,
    /// Time of the first exec; 0 if not known.
    pub(crate) exec_at: u64,
    pub(crate) reaped: u64,
    pub(crate) cpu_ns: u64,
    /// Exit status as `wait4` has it; 0 is success.
    pub(crate) status: i32,
    /// Time at which the process went on with the storm; 0 if it did not wait for the storm to begin.
    pub(crate) go_at: u64,
    pub(crate) cpu_at_go: u64,
    pub(crate) rename: Option<Rename>,
    pub(crate) marks: Vec<Mark>,
}

/// One image of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) enter: u64,
    pub(crate) leave: u64,
    pub(crate) cpu_enter: u64,
    pub(crate) cpu_leave: u64,
    pub(crate) comm: String,
    /// The path that the link showed; empty if it was not read.
    pub(crate) observed: String,
}

/// Reads all lines.
///
/// # Errors
/// The first line that is not one of the launcher's.
pub(crate) fn parse(text: &str) -> Result<Records, String> {
    let mut records = Records::default();
    for line in text.lines() {
        parse_line(line, &mut records).ok_or_else(|| format!("not a record: {line}"))?;
    }
    Ok(records)
}

fn parse_line(line: &str, records: &mut Records) -> Option<()> {
    let mut fields = line.split('\t');
    match fields.next()? {
        "P" => records.processes.push(parse_process(&mut fields)?),
        "C" => {
            let name = fields.next()?;
            let clocks = Clocks { monotonic: number(&mut fields)?, unix: number(&mut fields)? };
            *(if name == "begin" { &mut records.begin } else { &mut records.end }) = clocks;
        }
        "L" => {
            records.launcher = Launcher {
                pid: number(&mut fields)?,
                begin: number(&mut fields)?,
                end: number(&mut fields)?,
                cpu_ns: number(&mut fields)?,
                failed: number(&mut fields)?,
            };
        }
        _ => return None,
    }
    Some(())
}

fn parse_process<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<Ended> {
    let mut ended = Ended {
        line: number(fields)?,
        first: number::<u8>(fields)? == 1,
        pid: number(fields)?,
        born: number(fields)?,
        exec_at: number(fields)?,
        reaped: number(fields)?,
        cpu_ns: number(fields)?,
        status: number(fields)?,
        go_at: number(fields)?,
        cpu_at_go: number(fields)?,
        rename: None,
        marks: Vec::new(),
    };
    let renamed = number::<u8>(fields)? == 1;
    let rename = Rename { from: number(fields)?, until: number(fields)?, comm: fields.next()?.to_owned() };
    ended.rename = renamed.then_some(rename);
    for _ in 0..number::<u8>(fields)? {
        ended.marks.push(Mark {
            enter: number(fields)?,
            leave: number(fields)?,
            cpu_enter: number(fields)?,
            cpu_leave: number(fields)?,
            comm: fields.next()?.to_owned(),
            observed: fields.next()?.to_owned(),
        });
    }
    Some(ended)
}

fn number<'a, T: FromStr>(fields: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    fields.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_with_two_images_and_a_new_name() {
        let text = "C\tbegin\t1\t2\nP\t3\t0\t77\t10\t11\t20\t5\t0\t0\t0\t1\t15\t16\tnew name\t2\t\
                    12\t13\t1\t2\tone\t/a b\t14\t19\t3\t5\ttwo\t\nL\t5\t1\t2\t3\t0\nC\tend\t30\t40\n";
        let records = parse(text).unwrap();
        assert_eq!(records.end, Clocks { monotonic: 30, unix: 40 });
        let process = &records.processes[0];
        assert_eq!((process.line, process.pid, process.reaped), (3, 77, 20));
        assert_eq!(process.rename, Some(Rename { from: 15, until: 16, comm: "new name".into() }));
        assert_eq!(process.marks[0].observed, "/a b");
        assert_eq!((process.marks[1].comm.as_str(), process.marks[1].leave), ("two", 19));
    }

    proptest! {
        /// Any text is read or refused.
        #[test]
        fn any_text(text in "[PCL\t0-9a\n-]{0,200}") {
            let _ = parse(&text);
        }
    }
}
