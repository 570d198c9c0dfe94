# shellcheck shell=sh
# Inside the emulated host: `record` ends in every way that it can; each must have left nothing.
tracing=/sys/kernel/tracing

fail() { echo "FAILED: $*"; exit 1; }

# Files of tracefs have no size: test -s would say nothing.
nothing_left() {
  tries=0
  while [ -n "$(cat $tracing/kprobe_events)" ] || [ -n "$(ls $tracing/instances)" ]; do
    [ $tries -lt 100 ] || fail "$1: probes or an instance are left"
    tries=$((tries + 1))
    sleep 0.1
  done
  [ -z "$(ls t/)" ] || fail "$1: left $(ls t/)"
  echo "ok: $1"
}

# In the background, until it records. Then $pid is record. A new instance is on before it is set up.
start() {
  "$@" 2> errors.txt & pid=$!
  tries=0
  until grep -q ":ptrauth_trace_$pid/" $tracing/kprobe_events &&
    [ "$(cat $tracing/instances/ptrauth-trace-$pid/tracing_on)" = 1 ]; do
    if [ ! -d /proc/$pid ] || [ $tries -ge 3000 ]; then fail "does not record: $(cat errors.txt)"; fi
    tries=$((tries + 1))
    sleep 0.1
  done
}

echo "== record"
mkdir t
ptrauth-trace record -o record.dat -- sh /out/load.sh 2> errors.txt || fail "$(cat errors.txt)"
cat errors.txt
nothing_left "COMMAND ended"
grep -q 'events/s' errors.txt && fail "progress, and no terminal"
said=$(sed -n 's/.*wrote record.dat: \([0-9]*\) events.*/\1/p' errors.txt)
# Every line of an event has its time.
read=$(trace-cmd report -i record.dat 2> /dev/null | grep -c ' [0-9]*\.[0-9]*: [a-z_]*: ')
[ "$said" = "$read" ] || fail "wrote $said events, trace-cmd reads $read"
echo "ok: trace-cmd reads $read events"

start ptrauth-trace record -o t/a.dat
sh /out/load.sh > /dev/null
kill -KILL $pid
wait $pid
# What it had written stays, and is read; that says no more than what is in it, without a vmlinux.
ptrauth-trace info -q t/a.dat.unfinished > info.txt 2>&1
grep -q '[0-9] kvm:kvm_entry$' info.txt || fail "SIGKILL of record: $(cat info.txt)"
rm t/a.dat.unfinished t/a.dat.cpu*
nothing_left "SIGKILL of record"

for signal in INT TERM HUP; do
  start ptrauth-trace record -o t/a.dat
  kill -$signal $pid
  wait $pid || fail "SIG$signal: exit code $?: $(cat errors.txt)"
  trace-cmd report -i t/a.dat > /dev/null 2>&1 || fail "SIG$signal: the file cannot be read"
  rm t/a.dat
  nothing_left "SIG$signal"
done

ptrauth-trace record -o t/a.dat -- sh -c 'kill -KILL $$' 2> errors.txt
code=$?
[ $code = 137 ] || fail "COMMAND killed: exit code $code"
grep -q 'sh ended with code 137' errors.txt || fail "COMMAND killed: $(cat errors.txt)"
rm t/a.dat
nothing_left "SIGKILL of COMMAND"

mkdir small
mount -t tmpfs -o size=4m none small
ptrauth-trace record -o small/a.dat 2> errors.txt && fail "a full disk: exit code 0"
grep -q 'the disk is full' errors.txt || fail "a full disk: $(cat errors.txt)"
[ -z "$(ls small)" ] || fail "a full disk: left $(ls small)"
nothing_left "a full disk"

mount -o remount,size=40m small
start ptrauth-trace record -o small/a.dat
cat /dev/zero > small/other 2> /dev/null
wait $pid && fail "a disk that fills up: exit code 0"
grep -q 'the disk .* is full\|No space left' errors.txt || fail "a disk that fills up: $(cat errors.txt)"
rm small/other
for left in small/*; do
  case $left in small/a.dat | 'small/*') ;; *) fail "a disk that fills up: left $left" ;; esac
done
nothing_left "a disk that fills up"

# The serial console is a terminal, and what it shows is a file of the share.
ptrauth-trace record --duration 3 -o t/a.dat 2> /dev/ttyAMA0 || fail "--duration: exit code $?"
grep -q '[0-9]* s: [0-9]* events/s, [0-9]* KiB, 0 lost' /out/console.txt || fail "no progress on a terminal"
rm t/a.dat
nothing_left "--duration on a terminal"
