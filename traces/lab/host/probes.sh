# shellcheck shell=sh
# Inside the emulated host: every script of `probes` records the workload; then each must have left nothing.
tracing=/sys/kernel/tracing
uname -r
for recorder in perf trace-cmd tracefs; do
  echo "== $recorder"
  sh /out/$recorder.sh add || exit 1
  # Line by line: as many probes as definitions, under the names that were given.
  want=$(sed -n 's/^[pr][0-9]*:\([^ ]*\) .*/\1/p' /out/$recorder.sh | sort)
  have=$(sed -n 's/^[pr][0-9]*:\([^ ]*\) .*/\1/p' $tracing/kprobe_events | sort)
  if [ -z "$want" ] || [ "$want" != "$have" ]; then echo "accepted: $have; wanted: $want"; exit 1; fi
  sh /out/$recorder.sh remove || exit 1
  sh /out/$recorder.sh record sh /out/load.sh || exit 1
  if [ -n "$(cat $tracing/kprobe_events)" ] || [ -n "$(ls $tracing/instances)" ]; then echo "something is left"; exit 1; fi
done
sh /out/forms.sh || exit 1
sh /out/record.sh || exit 1
if [ -e /out/native.sh ]; then sh /out/native.sh || exit 1; fi
cp perf.data trace.dat trace.txt record.dat /out/
