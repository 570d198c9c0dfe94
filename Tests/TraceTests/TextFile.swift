import Glibc
import Testing

@testable import Trace

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

  init(text path: String) throws {
    var file = try FtraceTextFile(path: path)
    var list: [Event] = []
    try file.readEvents { list.append(copy $0) }
    self.list = list
    recording = file.recording
    losses = file.losses
  }

  func firstDifference(from other: Events) -> String? {
    for (a, b) in zip(list, other.list) where "\(a)" != "\(b)" { return "\(a) | \(b)" }
    return nil
  }
}
