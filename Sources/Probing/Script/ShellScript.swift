/// A script for /bin/sh that sets the probes, records, and takes them away again.
///
/// All recorders need the same kprobe events, and the kernel's own file for them works whatever the version
/// of perf or trace-cmd: both then record the events by their group. Plain POSIX sh, because the machine
/// under test may have nothing but busybox.
public struct ShellScript: Sendable {
  public enum Recorder: String, Sendable, CaseIterable {
    case tracefs, perf
    case traceCmd = "trace-cmd"

    /// What it writes.
    var output: String {
      switch self {
      case .tracefs: "trace.txt"
      case .perf: "perf.data"
      case .traceCmd: "trace.dat"
      }
    }
  }

  public var recorder: Recorder
  public var plan: ProbePlan
  public var kernel: ScriptKernel
  /// Group of the probes' events.
  public var group: String
  /// Also record the functions that only the function tracer may see.
  public var tracesFunctions: Bool

  public init(
    _ recorder: Recorder, _ plan: ProbePlan, _ kernel: ScriptKernel, group: String = "ptrauth",
    tracesFunctions: Bool = false
  ) {
    self.recorder = recorder
    self.plan = plan
    self.kernel = kernel
    self.group = group
    self.tracesFunctions = tracesFunctions
  }

  public var text: String {
    (["#!/bin/sh"] + head.map { $0.isEmpty ? "#" : "# \($0)" } + [body]).joined(separator: "\n")
  }

  private var head: [String] {
    var lines = ScriptHead(plan: plan, kernel: kernel).lines
    if !plan.traced.isEmpty {
      let names = plan.traced.joined(separator: ", ")
      lines += ScriptHead.wrapped(
        tracesFunctions && recorder != .perf
          ? "The function tracer records it, which is safe: \(names)."
          : "The function tracer sees safely: \(names) (probes --for trace-cmd --function-tracer).")
    }
    return lines + [
      "",
      "As root on the machine to record:",
      "  sh FILE record [COMMAND...]  set the probes, record (without COMMAND until Ctrl-C), remove them",
      "  sh FILE add                  set the probes only; then record with",
      "    \(RecordCommand(self).line)",
      "  sh FILE remove               take the probes away",
      "Then: ptrauth-trace analyze -k vmlinux \(recorder.output)",
    ]
  }

  private var body: String {
    """
    set -u
    group=\(group)
    output=${OUTPUT:-\(recorder.output)}
    tracefs=/sys/kernel/tracing
    [ -e "$tracefs/kprobe_events" ] || tracefs=/sys/kernel/debug/tracing

    definitions() {
      cat << 'END'
    \(plan.probes.map { $0.definition(group: group) }.joined(separator: "\n"))
    END
    }

    removals() {
      cat << 'END'
    \(plan.probes.map { $0.removal(group: group) }.joined(separator: "\n"))
    END
    }

    say() { echo "$0: $*" >&2; }

    \(check)

    add() {
      check || return 1
      definitions | while IFS= read -r line; do
        echo "$line" >> "$tracefs/kprobe_events" || { say "the kernel refused: $line"; exit 1; }
      done || { remove; return 1; }
    }

    remove() {
      removals | while IFS= read -r line; do echo "$line" >> "$tracefs/kprobe_events"; done 2> /dev/null
      grep -q ":$group/" "$tracefs/kprobe_events" || return 0
      say "probes of the group $group are left: something still records them"
      return 1
    }

    # Ctrl-C ends the recorder first, then this script.
    record() {
      add || return 1
      trap \(plan.samplesKeys ? "'finish; offer'" : "finish") EXIT
      trap 'exit 143' HUP TERM
      trap : INT
    \(RecordCommand(self).shell)
    }

    \(finish)
    \(offer)
    action=${1:-}
    [ $# -gt 0 ] && shift
    case $action in
      add) add\(plan.samplesKeys ? " && warn" : "") ;;
      remove) remove ;;
      record) record "$@" ;;
      *) echo "usage: sh $0 record [COMMAND...] | add | remove" >&2; exit 64 ;;
    esac

    """
  }

  /// Offsets of another kernel read other fields: the running one must be the vmlinux's.
  private var check: String {
    let identity =
      kernel.buildID.map { id in
        """

          case $(od -An -v -tx1 /sys/kernel/notes 2> /dev/null | tr -d ' \\n') in
            *\(id)* | '') ;;
            *) [ -n "${ANY_KERNEL:-}" ] || {
                 say "not the kernel with build-id \(id); ANY_KERNEL=1 goes on all the same"
                 return 1
               } ;;
          esac
        """
      } ?? ""
    return """
      check() {
        [ "$(id -u)" = 0 ] || { say "only root may set probes"; return 1; }
        [ -e "$tracefs/kprobe_events" ] || {
          say "no kprobe_events in $tracefs: mount tracefs there (CONFIG_KPROBE_EVENTS)"
          return 1
        }\(identity)
      }
      """
  }

  /// The last words of a script whose recording has keys in it.
  private var offer: String {
    guard plan.samplesKeys else { return "" }
    return """

      warn() {
        say "KEY VALUES WILL BE IN WHAT THESE PROBES RECORD; before it leaves this machine:"
        say "  ptrauth-trace redact RECORDING SHAREABLE-COPY"
      }

      offer() {
        [ -e "$output" ] || return 0
        say "KEY VALUES ARE IN $output; before it leaves this machine:"
        say "  ptrauth-trace redact $output SHAREABLE-COPY"
      }

      """
  }

  private var finish: String {
    guard recorder == .tracefs else {
      return """
        # A recorder that was killed leaves the events on, and the probes in use.
        finish() {
          remove 2> /dev/null && return
          echo 0 > "$tracefs/events/$group/enable"
          remove
        }
        """
    }
    return """
      finish() {
        echo 0 > "$instance/events/enable"
        rmdir "$instance"
        remove
      }
      """
  }
}
