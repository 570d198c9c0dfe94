# shellcheck shell=sh
# Inside the emulated host: the other forms of `probes` record the workload, and end in every way a recorder does.
tracing=/sys/kernel/tracing
left() {
  [ -z "$(cat $tracing/kprobe_events)" ] && [ -z "$(ls $tracing/instances)" ] \
    && [ "$(cat $tracing/current_tracer)" = nop ] && return
  echo "$1: something is left, with tracer $(cat $tracing/current_tracer)"
  cat $tracing/kprobe_events
  exit 1
}
# trace-cmd has a process with a file for each CPU: one that it made after the signal would never end.
records() {
  case $1 in
    trace-cmd*) [ "$(find . -name 'ended.rec.cpu*' | wc -l)" = "$(grep -c ^processor /proc/cpuinfo)" ] ;;
    *) [ -n "$(cat $tracing/kprobe_events)" ] ;;
  esac
}
# Sends a signal to the script and its recorder once they record.
interrupt() {
  tries=0
  until records "$1" || [ $tries -ge 60 ]; do sleep 1; tries=$((tries + 1)); done
  sleep 5
  for process in /proc/[0-9]*; do
    case $(tr '\0' ' ' 2> /dev/null < "$process/cmdline") in
      "sh /out/$1.sh record"* | "perf record"* | "trace-cmd record"*) kill "-$2" "${process#/proc/}" ;;
    esac
  done
}
# trace-cmd that dies of TERM leaves its tracer on, busy while a process of it still reads, and the kernel's events.
after_trace_cmd() {
  tries=0
  until echo nop > $tracing/current_tracer || [ $tries -ge 100 ]; do sleep 0.1; tries=$((tries + 1)); done 2> /dev/null
  echo 0 > $tracing/events/enable
}
for form in perf-no-keys trace-cmd-functions tracefs-functions; do
  echo "== $form"
  OUTPUT=$form.rec sh /out/$form.sh record sh /out/load.sh || exit 1
  left "$form"
  mv $form.rec /out/
  for signal in INT TERM; do
    interrupt $form $signal &
    OUTPUT=ended.rec sh /out/$form.sh record
    echo "ended by $signal: $?"
    case $form.$signal in trace-cmd*.TERM) after_trace_cmd ;; esac
    left "$form after $signal"
    rm -f ended.rec*
  done
done
