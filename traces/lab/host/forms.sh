# shellcheck shell=sh
# Inside the emulated host: the other forms of `probes` record the workload, and end in every way a recorder does.
tracing=/sys/kernel/tracing
left() {
  [ -z "$(cat $tracing/kprobe_events)" ] && [ -z "$(ls $tracing/instances)" ] \
    && [ "$(cat $tracing/current_tracer)" = nop ] && return
  echo "$1: something is left"
  cat $tracing/kprobe_events
  exit 1
}
# Sends a signal to the script and its recorder once they record.
interrupt() {
  tries=0
  while [ -z "$(cat $tracing/kprobe_events)" ] && [ $tries -lt 60 ]; do sleep 1; tries=$((tries + 1)); done
  sleep 5
  for process in /proc/[0-9]*; do
    case $(tr '\0' ' ' 2> /dev/null < "$process/cmdline") in
      "sh /out/$1.sh record"* | "perf record"* | "trace-cmd record"*) kill "-$2" "${process#/proc/}" ;;
    esac
  done
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
    # trace-cmd that dies of TERM leaves its tracer and the kernel's own events on.
    case $form.$signal in trace-cmd*.TERM) echo nop > $tracing/current_tracer; echo 0 > $tracing/events/enable ;; esac
    left "$form after $signal"
    rm -f ended.rec*
  done
done
