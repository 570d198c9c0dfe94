/// The recorder's command line, for the script and for people.
///
/// The clock is CLOCK_MONOTONIC: the default ones (perf's, ftrace's "local") are each pCPU's own, and what
/// happens on two pCPUs cannot be put in order by them.
struct RecordCommand {
  private let script: ShellScript

  init(_ script: ShellScript) { self.script = script }

  /// Ring buffer of each pCPU in KiB: some 100,000 events, a second of the busiest of guests.
  private static let bufferSize = 16384

  /// On one line.
  var line: String {
    switch script.recorder {
    case .perf:
      "perf record \((options + ["-o perf.data", "--", "COMMAND"]).joined(separator: " "))"
    case .traceCmd:
      "trace-cmd record \((options + ["-o trace.dat", "COMMAND"]).joined(separator: " "))"
    case .tracefs:
      "echo mono > trace_clock; echo \(Self.bufferSize) > buffer_size_kb; "
        + "echo 1 > events/\(script.group)/enable; ..."
    }
  }

  /// As the body of a shell function, set in by two.
  var shell: String {
    switch script.recorder {
    case .perf: broken("perf record", options + [#"-o "$output""#, #"${1:+--} "$@""#])
    case .traceCmd: broken("trace-cmd record", options + [#"-o "$output""#, #""$@""#])
    case .tracefs: tracefs
    }
  }

  private var options: [String] {
    let plan = script.plan
    switch script.recorder {
    case .perf:
      // Pages of 4 KiB; perf takes a power of two.
      return ["-a -k CLOCK_MONOTONIC -m \(Self.bufferSize / 4)"]
        + plan.tracepoints.map { "-e \($0)" }
        + ["-e '\(script.group):*'"]
    case .traceCmd:
      let functions =
        script.tracesFunctions && !plan.traced.isEmpty
        ? ["-p function " + plan.traced.map { "-l \($0)" }.joined(separator: " ")] : []
      return ["-C mono -b \(Self.bufferSize)"] + functions + plan.tracepoints.map { "-e \($0)" }
        + ["-e \(script.group)"]
    case .tracefs: return []
    }
  }

  private func broken(_ command: String, _ options: [String]) -> String {
    "  " + ([command] + options).joined(separator: " \\\n    ")
  }

  private var tracefs: String {
    let plan = script.plan
    let tracer =
      script.tracesFunctions && !plan.traced.isEmpty
      ? """

        echo \(plan.traced.joined(separator: " ")) > "$instance/set_ftrace_filter"
        echo function > "$instance/current_tracer"
      """ : ""
    return """
        instance=$tracefs/instances/$group
        mkdir "$instance" || return 1
        echo 0 > "$instance/tracing_on"
        echo mono > "$instance/trace_clock"
        echo \(Self.bufferSize) > "$instance/buffer_size_kb"\(tracer)
        for event in \((plan.tracepoints.map(slashed) + ["$group"]).joined(separator: " ")); do
          echo 1 > "$instance/events/$event/enable"
        done
        echo 1 > "$instance/tracing_on"
        if [ $# -gt 0 ]; then
          "$@"
        else
          trap stop=1 INT
          stop=
          say "recording; Ctrl-C ends it"
          while [ -z "$stop" ]; do sleep 1; done
        fi
        echo 0 > "$instance/tracing_on"
        cat "$instance/trace" > "$output"
      """
  }

  private func slashed(_ event: String) -> String {
    event.split(separator: ":").joined(separator: "/")
  }
}
