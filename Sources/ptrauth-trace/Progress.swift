import Bytes
import Glibc

/// How far a long replay is, on standard error: only on a terminal, only from the second second on, and gone when
/// it is done.
package struct Progress {
  private let isShown: Bool
  private let start: Int64
  private var count: UInt64 = 0
  private var shownAt: Int64

  /// - Parameter isWanted: not `--quiet`.
  package init(isWanted: Bool) {
    isShown =
      isWanted && ProcessState.standardErrorIsTerminal && ProcessState.environment["TERM"] != "dumb"
    start = isShown ? ProcessState.monotonicMilliseconds : 0
    shownAt = start + 800
  }

  /// Another event was replayed.
  package mutating func step() {
    count &+= 1
    guard isShown, count & 0xfff == 0 else { return }
    let now = ProcessState.monotonicMilliseconds
    guard now >= shownAt + 200 else { return }
    shownAt = now
    ProcessState.status("\(count / 1000)k events, \((now - start) / 1000) s")
  }

  /// Takes the line away.
  package func end() {
    if isShown, shownAt > start + 800 { ProcessState.status("") }
  }
}
