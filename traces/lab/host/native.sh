# shellcheck shell=sh
# Inside the emulated host, where ptrauth-trace is a program of this architecture: it analyzes what record.sh recorded
# in /tmp, and a stream of perf as it comes.
fail() { echo "FAILED: $*"; exit 1; }

echo "== native"
ptrauth-trace --version
ptrauth-trace --version | grep -q ', aarch64$' || fail "no aarch64 program"
cp record.dat /out/ || fail "no record.dat"
cd /out || exit 1
ptrauth-trace analyze -q -k vmlinux --format json -o native.json record.dat || fail "analyze of record.dat: exit code $?"
ptrauth-trace audit -q vmlinux > audit.txt || fail "audit: $(cat audit.txt)"

sh perf.sh add || fail "the probes of perf"
perf record -q -a -m 4096 --no-buffering -e 'kvm:*' -e sched:sched_switch -e sched:sched_migrate_task -e 'ptrauth:*' -o - \
  -- sh /out/load.sh 2> live.errors | ptrauth-trace analyze -k vmlinux -o live.txt - 2> live.said
code=$?
sh perf.sh remove || fail "the probes of perf stay"
cat live.said
[ $code = 0 ] || fail "analyze of perf's stream: exit code $code: $(cat live.errors live.txt)"
head -1 live.txt
cd /tmp || exit 1
