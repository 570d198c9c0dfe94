import Glibc
import Testing
import Trace

/// A text in a file of its own.
final class TextFile {
  let path: String

  init(_ bytes: [UInt8]) throws {
    var template = Array("/tmp/ptrauth-trace-text-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    try #require(descriptor >= 0)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes[written...].withUnsafeBytes {
        unsafe write(descriptor, $0.baseAddress, $0.count)
      }
      try #require(count > 0)
      written += count
    }
    close(descriptor)
  }

  /// What a command prints.
  static func of(_ command: String) throws -> TextFile {
    let output = try #require(Command.output(command), "install linux-perf and trace-cmd")
    return try TextFile(Array(output.utf8))
  }

  deinit { _ = unsafe unlink(path) }
}

/// All events of a recording.
struct Events {
  var list: [Event] = []
  var recording: Recording
  var losses: Losses

  init(perfData path: String) throws {
    var file = try PerfDataFile(path: path)
    var list: [Event] = []
    try file.readEvents { list.append(copy $0) }
    self.list = list
    recording = file.recording
    losses = file.losses
  }

  init(text: TextFile) throws(TraceError) { try self.init(file: text.path) }

  /// Of a text.
  init(file path: String) throws(TraceError) {
    var file = try FtraceTextFile(path: path)
    var list: [Event] = []
    try file.readEvents { list.append(copy $0) }
    self.list = list
    recording = file.recording
    losses = file.losses
  }
}

extension Events {
  /// Without forks and errnos, times cut to `time` nanoseconds.
  func with(time unit: UInt64, processes: Bool = true) -> Events {
    var result = self
    result.list = list.compactMap {
      var event = $0
      event.time -= event.time % unit
      if !processes { event.pid = -1 }
      switch event.payload {
      case .fork: return nil
      case .userspaceExit(let reason, _): event.payload = .userspaceExit(reason: reason, errno: 0)
      default: break
      }
      return event
    }
    return result
  }

  /// With what libtraceevent's plugins leave of each event.
  var asPluginPrints: Events {
    var result = self
    result.list = list.map(\.asPluginPrints)
    return result
  }

  var forks: [String] {
    list.compactMap {
      guard case .fork(let child, let process) = $0.payload else { return nil }
      return "\($0.cpu) \($0.tid) \(child) \(process)"
    }
  }

  var switchCount: UInt64 {
    list.reduce(0) { if case .schedSwitch = $1.payload { $0 + 1 } else { $0 } }
  }

  var counts: [String: UInt64] {
    recording.recordedEvents.reduce(into: [:]) { $0["\($1.system):\($1.name)"] = $1.count }
  }

  /// The first event that is not the other's, key slots included.
  func difference(from other: Events) -> String? {
    for (a, b) in zip(list, other.list) where a.words != b.words { return "\(a) | \(b)" }
    return list.count == other.list.count ? nil : "\(list.count) | \(other.list.count) events"
  }
}

extension Event {
  /// Everything, to be compared.
  var words: [UInt64] {
    func word<T: FixedWidthInteger>(_ value: T?) -> UInt64 {
      value.map { UInt64(truncatingIfNeeded: $0) &+ 1 } ?? 0
    }
    let head = [time, word(cpu), word(pid), word(tid)]
    switch payload {
    case .entry(let pc): return head + [1, pc]
    case .exit(let ret, let ec, let pc): return head + [2, word(ret), word(ec), pc]
    case .handleSysReg(let esr): return head + [3, esr]
    case .sysAccess(let register, let isWrite, let pc):
      return head + [
        4, pc, isWrite ? 1 : 0, word(register.op0), word(register.op1), word(register.crn),
        word(register.crm), word(register.op2),
      ]
    case .userspaceExit(let reason, let errno): return head + [5, word(reason), word(errno)]
    case .setupDebug(let vcpu): return head + [6, vcpu]
    case .vcpuNumber(let number): return head + [7, word(number)]
    case .nestedEret(let vcpu, let spsr, let hcr): return head + [13, vcpu, spsr, hcr]
    case .nestedException(let vcpu): return head + [14, vcpu]
    case .schedSwitch(let prev, let state, let next):
      return head + [8, word(prev), word(state), word(next)]
    case .migrateTask(let tid, let from, let to):
      return head + [9, word(tid), word(from), word(to)]
    case .fork(let child, let process): return head + [10, word(child), word(process)]
    case .lost(let count): return head + [11, count]
    case .probe(let hit):
      let fields = hit.fields
      var words =
        head + [
          12, hit.address, hit.isReturn ? 1 : 0, word(fields.vcpu), word(fields.cpu),
          word(fields.vcpuID), word(fields.hcr), word(fields.features), word(fields.esr),
          word(fields.exitCode), word(fields.cflags), word(fields.iflags), word(fields.sflags),
          word(fields.hostContext), UInt64((hit.symbol ?? "").utf8.count),
        ]
      for keys in [fields.guestKeys, fields.hostKeys] {
        guard let keys else {
          words.append(0)
          continue
        }
        for index in 0..<10 { words.append(keys.registers[index]) }
      }
      return words
    }
  }
}
