import Glibc
import Trace

extension Target {
  /// A perf.data, packed or not.
  static let perfData = Target(name: "perf-data") { bytes, scratch in
    replay(scratch.put(bytes, as: "perf.data"))
  }

  /// The same bytes as `perf record -o -` would write them to standard input.
  static let perfPipe = Target(name: "perf-pipe") { bytes, scratch in
    scratch.putInStandardInput(bytes)
    replay("-")
  }

  static let traceDat = Target(name: "trace-dat") { bytes, scratch in
    replay(scratch.put(Array("\u{17}\u{8}Dtracing") + bytes, as: "trace.dat"))
  }

  static let ftraceText = Target(name: "ftrace-text") { bytes, scratch in
    replay(scratch.put(Array("# tracer: nop\n") + bytes, as: "trace.txt"))
  }

  /// Text as trace_pipe hands it out.
  static let textStream = Target(name: "text-stream") { bytes, scratch in
    scratch.putInStandardInput(bytes)
    replay("-")
  }

  /// A recording of any format is copied without its keys.
  static let redaction = Target(name: "redaction") { bytes, scratch in
    _ = try? Redaction.copy(scratch.put(bytes, as: "input"), to: "\(scratch.path)/output")
  }

  static let qemuLog = Target(name: "qemu-log") { bytes, scratch in
    let path = scratch.put(bytes, as: "exec.log")
    guard QEMULog.isLog(path), let log = try? QEMULog(path: path) else { return }
    try? log.readBlocks { _ in }
  }
}
