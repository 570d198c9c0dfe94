#!/bin/sh
# Judges recordings for KernelCI and labs like it.
#
#   kernelci.sh RESULTS RECORDING...
#
# Writes RESULTS/ptrauth.ktap and RESULTS/ptrauth.kcidb.json, shows the KTAP, and submits to KCIDB if it is told
# where (KCIDB_PROJECT and KCIDB_TOPIC, as kcidb-submit has them). The exit code is kselftest's: 0 pass, 1 fail,
# 4 skip: a recording cannot be judged, or does not show a critical rule.
#
# From the environment: KCIDB_ORIGIN, the name of your CI system; KCIDB_BUILD_ID, the build under test as origin:id;
# VMLINUX, where the recorded kernel's does not lie beside the recording.
set -eu

if [ $# -lt 2 ]; then
  echo "usage: $0 RESULTS RECORDING..." >&2
  exit 64
fi
results=$1
shift
mkdir -p "$results"
if [ -n "${VMLINUX:-}" ]; then set -- -k "$VMLINUX" "$@"; fi

status=0
ptrauth-trace analyze --require critical --exit-code kselftest --format ktap -o "$results/ptrauth.ktap" "$@" || status=$?
cat "$results/ptrauth.ktap"

# The exit code is known: these only write what they found.
ptrauth-trace analyze -q --require critical --format kcidb -o "$results/ptrauth.kcidb.json" \
  --kcidb-origin "${KCIDB_ORIGIN:-ptrauth_trace}" \
  ${KCIDB_BUILD_ID:+--kcidb-build-id "$KCIDB_BUILD_ID"} "$@" || true
if [ -n "${KCIDB_PROJECT:-}" ] && [ -n "${KCIDB_TOPIC:-}" ]; then
  kcidb-submit -p "$KCIDB_PROJECT" -t "$KCIDB_TOPIC" <"$results/ptrauth.kcidb.json"
fi
exit "$status"
