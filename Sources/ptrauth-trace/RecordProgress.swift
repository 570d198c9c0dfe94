import Bytes
package import Recorder

/// How a recording goes, on a line of standard error if that is a terminal.
package final class RecordProgress {
  private let isWanted: Bool
  private let isShown: Bool
  private var before = Capture.Status()
  private var hasLine = false

  /// - Parameter isWanted: not `--quiet`.
  init(isWanted: Bool) {
    self.isWanted = isWanted
    isShown =
      isWanted && ProcessState.standardErrorIsTerminal
      && ProcessState.environment["TERM"] != "dumb"
  }

  /// - Parameter endsAlone: without Ctrl-C.
  func begin(endsAlone: Bool) {
    if isWanted, !endsAlone { ProcessState.complain("ptrauth-trace: recording; Ctrl-C ends it") }
  }

  func show(_ status: Capture.Status) {
    defer { before = status }
    guard isShown, let line = Self.line(status, since: before) else { return }
    ProcessState.status(line)
    hasLine = true
  }

  /// Nil when no time has passed.
  package static func line(_ status: Capture.Status, since before: Capture.Status) -> String? {
    let time = status.milliseconds - before.milliseconds
    guard time > 0 else { return nil }
    let count = status.counters.read - min(before.counters.read, status.counters.read)
    return "\(status.milliseconds / 1000) s: \(Int64(min(count, 1 << 50)) * 1000 / time) events/s, "
      + "\(status.bytes >> 10) KiB, \(status.counters.lost) lost"
  }

  func end() { if hasLine { ProcessState.status("") } }
}
