//! Samples of work that the kernel does for no process in particular.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pdata::{Batch, Pid, Running, Sample};

use support::{Ends, missed_ticks, record_watched};

/// Bytes a second, which the kernel sends in bursts, from a timer's softirq.
const PACE: u64 = 100 << 20;

/// Has the kernel send and receive by itself at a steady pace: the sender waits for room, the receiver for a megabyte.
fn paced_stream(done: &AtomicBool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    set_pacing(&sender, PACE);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let block = vec![0; 1 << 20];
            while !done.load(Ordering::Relaxed) {
                sender.write_all(&block).unwrap();
            }
        });
        scope.spawn(move || {
            let mut block = vec![0; 1 << 20];
            while receiver.read(&mut block).unwrap() > 0 {
                // The pace is the load: data that comes meanwhile is taken in by softirqs on an idle CPU.
                std::thread::sleep(Duration::from_millis(2));
            }
        });
    });
}

#[allow(unsafe_code, reason = "no safe binding for SO_MAX_PACING_RATE")]
fn set_pacing(stream: &TcpStream, bytes_per_second: u64) {
    use std::os::fd::AsRawFd;
    unsafe extern "C" {
        fn setsockopt(fd: i32, level: i32, name: i32, value: *const u64, len: u32) -> i32;
    }
    const SOL_SOCKET: i32 = 1;
    const SO_MAX_PACING_RATE: i32 = 47;
    // SAFETY: the descriptor is open, and the value has the length that is passed.
    let result =
        unsafe { setsockopt(stream.as_raw_fd(), SOL_SOCKET, SO_MAX_PACING_RATE, &bytes_per_second, 8) };
    assert_eq!(result, 0);
}

/// Samples of softirqs on CPUs that are idle otherwise.
fn of_softirqs(batches: &[Batch]) -> impl Iterator<Item = &Sample> {
    batches.iter().flat_map(Batch::samples).filter(|sample| sample.key.process.pid == Pid(0))
}

/// Samples a second.
const RATE: u32 = 997;
/// The number of samples of softirqs that is enough to see that they are taken.
const ENOUGH: usize = 10;
/// The longest time in which those samples may come: a machine that has other work to do is idle now and then.
const AT_MOST: Duration = Duration::from_secs(60);

/// Softirqs on a CPU that is idle otherwise are sampled, by that name, with the kernel's stack.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn softirqs_on_an_idle_cpu_are_sampled_with_their_stack() {
    let (send, took) = std::sync::mpsc::sync_channel(1);
    let batches = record_watched(move |control, recorder| {
        control.set_samples_per_second(RATE);
        let (start, done) = (Instant::now(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let _ends = Ends(&done);
            scope.spawn(|| paced_stream(&done));
            // A machine that has other work to do the whole time has no such softirqs.
            let _enough = recorder.is_soon(AT_MOST, |batches| of_softirqs(batches).count() >= ENOUGH);
            send.send(start.elapsed()).unwrap();
        });
    });
    let taken = batches.iter().flat_map(Batch::samples).count();
    // A timer that fired too late had a busy CPU too. A sample that was lost for another reason proves nothing here.
    let missed: u64 = batches.iter().flat_map(|batch| batch.events.iter()).map(missed_ticks).sum();
    let all = u32::try_from(u64::try_from(taken).unwrap() + missed).unwrap();
    let softirqs: Vec<_> = of_softirqs(&batches).collect();
    println!("{} of {taken} samples are of softirqs on idle CPUs, {all} with those missed", softirqs.len());
    // A machine that has other work to do the whole time serves softirqs on top of that.
    let cpus = u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let ticks = took.recv().unwrap().as_secs_f64() * f64::from(RATE * cpus);
    let is_busy = f64::from(all) > ticks * 0.75;
    assert!(softirqs.len() >= ENOUGH || is_busy, "{} of {all}, of {ticks:.0} ticks", softirqs.len());
    for sample in softirqs {
        assert_eq!((sample.comm.as_bytes(), sample.running), (&b"softirq"[..], Running::Softirq));
        assert!(!sample.stack.frames.is_empty(), "{sample:?}");
    }
}
