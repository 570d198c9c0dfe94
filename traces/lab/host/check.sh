# shellcheck shell=sh
# Inside the emulated host: records the workload with this kernel's own probes. Exit codes: 0 recorded; 3 there is no
# KVM; 4 this kernel cannot record.
set -u
say() { printf '\nLAB: %s\n' "$1" > /dev/console; }
uname -r
dmesg | grep -i 'kvm\|VHE' || true
if [ ! -e /dev/kvm ]; then
  say no-kvm
  exit 3
fi
if [ ! -e /sys/kernel/tracing/kprobe_events ]; then
  say no-kprobes
  exit 4
fi
say recording
OUTPUT=/tmp/perf.data sh /out/probes.sh record sh /out/load.sh || exit 4
say recorded
cp /tmp/perf.data /out/ || exit 4
# A warning of the kernel is for the report.
dmesg -r | grep '^<[0-4]>' > /out/warnings.txt || true
