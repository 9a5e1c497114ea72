#!/bin/busybox sh
# What happens in the guest of boot.sh: the first and only program there. Tells what it found as lines "@@ uptime what value".

# Out of the first root file system: pivot_root, which the storm uses, fails in it.
if [ ! -d /new ]; then
    /bin/busybox mkdir /new
    /bin/busybox mount -t tmpfs -o size=80% new /new
    for entry in /*; do [ "$entry" = /new ] || /bin/busybox cp -a "$entry" /new/; done
    /bin/busybox mkdir -p /new/new
    exec /bin/busybox switch_root /new /init
fi
/bin/busybox --install -s /bin
export PATH=/bin TMPDIR=/tmp RUST_BACKTRACE=0
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing
mount -t securityfs security /sys/kernel/security
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
ulimit -l unlimited
cd /tmp || exit 1

tell() { echo "@@ $(cut -d' ' -f1 /proc/uptime) $*"; }
metric() { wget -qO- http://localhost:8888/metrics | grep -v '^#' | grep -F "otelcol_$1" | sed 's/.* //' | head -1; }
tell kernel "$(uname -r)"

if /w/agent doctor >doctor 2>&1; then tell doctor ok; else tell doctor "failed: $(grep -m1 failed doctor)"; fi
# A word of the kernel's command line that the kernel does not know is a variable of its first program.
if [ "${only:-}" = doctor ]; then
    tell end
    poweroff -f
fi

/w/agent --config /w/config.yaml >log 2>&1 &
agent=$!
for _ in $(seq 180); do grep -q 'Everything is ready' log && break; sleep 1; done
# One program that works on each CPU, and two that start programs all the time: the hooks' worst case on one thread of the host.
for _ in 1 2; do
    sh -c 'while :; do :; done' &
    echo $! >>others
    sh -c 'while :; do /w/true; done' &
    echo $! >>others
done
# An emulated machine is as slow as its host is busy.
await() { for _ in $(seq 60); do grep -q "$1" log && return; sleep 1; done; return 1; }
sleep 4
echo 0 >/sys/devices/system/cpu/cpu1/online
await 'stopped=\[1\]'
echo 1 >/sys/devices/system/cpu/cpu1/online
await 'started=\[1\]'
grep 'Sampling timers follow' log
# How much was lost meanwhile is not compared: an emulated CPU that its host stops does not account for its time.
if grep -q 'stopped=\[1\]' log && grep -q 'started=\[1\]' log; then tell hotplug followed; else tell hotplug failed; fi
# What CPU 0 sends, CPU 1 receives, and has nothing else to do: softirqs on top of its idle task.
while read -r pid; do kill "$pid"; done <others 2>/dev/null
echo 2 >/sys/class/net/lo/queues/rx-0/rps_cpus
taskset 1 nc -l -p 5000 >/dev/null &
sleep 1
taskset 1 nc 127.0.0.1 5000 </dev/zero &
sender=$!
sleep 4
kill $sender
tell late "$(metric receiver_ebpf_late_events_total)"
tell skipped "$(metric 'receiver_ebpf_records_lost_total{reason="lifecycle_hook_skipped"')"
kill -TERM $agent
wait $agent || tell agent "failed: exit $?"
if grep -qF '[softirq]' profiles.jsonl; then tell softirq sampled
elif uname -v | grep -q PREEMPT_RT; then tell softirq "are threads"
else tell softirq "failed: not sampled"; fi
tail -5 log

# Every gate but coverage: an emulated CPU that its host does not run has timers that do not fire.
passed=0
coverage=
for seed in 1 2 3; do
    rm -rf keep
    /w/storm-run --agent /w/agent table --hz 99 --seconds 10 --rate 20 --seed $seed --keep keep >storm 2>&1
    if grep -q '^| all' storm && ! grep FAILED storm | grep -qv 'samples of [0-9]* expected'; then passed=$((passed + 1)); fi
    coverage="$coverage $(grep '^| all' storm | cut -d'|' -f6 | tr -d ' ') %"
    grep -E '^\| (mode|all)|could not run|FAILED|stray|lost|no path' storm
    grep -q '^| all' storm || tail -5 storm
done
if [ $passed = 3 ]; then tell storm "right, of$coverage"; else tell storm "failed: $passed of 3"; fi
dmesg | grep -iE 'warning:|bug:|oops|stall|hung' | head
tell end
poweroff -f
