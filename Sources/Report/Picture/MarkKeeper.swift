import Replay

/// Keeps single marks, in bounded memory: all of them while they are few; then those of the
/// recording's beginning and those around the first occurrence of every finding.
///
///     few marks     │■■■■■■■■■■■│
///     many          │■■■■┄┄┄┄┄┄┄┄■■■⚑■■■┄┄┄┄┄┄┄┄┄┄┄■■⚑■■┄┄┄│
///                    head         window            window
///
/// What arrives late (a run is said when it was decided) is still taken if it lies in the head or in
/// a window.
package struct MarkKeeper {
  static let limit = 120_000
  /// Marks of the head, once there are too many; and on each side of a finding.
  package static let headCount = 40_000
  static let sideCount = 1500

  private(set) var marks: [PlacedMark] = []
  private(set) var keys: [TimelineMark] = []
  private var numbers: [TimelineMark: Int32] = [:]
  /// Everything that begins here or before is kept; nil while all is.
  private var headEnd: UInt64?
  private var windows: [Window] = []
  /// The last marks, whether kept or not.
  private var recent: [PlacedMark] = []
  private var next = 0

  private struct Window {
    var begin: UInt64
    var end: UInt64
    var kept = 0
  }

  private static let keyLimit = 1 << 16
  private static let recentCount = 2 * sideCount

  mutating func key(_ mark: TimelineMark) -> Int32? {
    if let known = numbers[mark] { return known }
    guard keys.count < Self.keyLimit else { return nil }
    let number = Int32(keys.count)
    keys.append(mark)
    numbers[mark] = number
    return number
  }

  mutating func add(_ mark: TimelineMark, from begin: UInt64, to end: UInt64, isOpen: Bool = false)
  {
    guard let key = key(mark) else {
      // Too many kinds of marks to tell apart: nothing after this is whole.
      if headEnd == nil { close() }
      return
    }
    let placed = PlacedMark(begin: begin, end: end, mark: key, isOpen: isOpen)
    if recent.count < Self.recentCount {
      recent.append(placed)
    } else {
      recent[next] = placed
      next = (next + 1) % Self.recentCount
    }
    guard let headEnd else {
      marks.append(placed)
      if marks.count > Self.limit { close() }
      return
    }
    if begin <= headEnd || takes(begin) { marks.append(placed) }
  }

  /// A finding's first occurrence: what is around it is kept.
  mutating func surround(_ time: UInt64) {
    let before = recent.filter { $0.begin <= time }.map(\.begin).sorted()
    let begin = before.suffix(Self.sideCount).first ?? time
    let window = Window(begin: begin, end: time &+ max(1, time - begin))
    windows.append(window)
    guard let headEnd else { return }
    // Those already kept are not taken twice.
    for mark in recent.sorted(by: { $0.begin < $1.begin })
    where mark.begin > headEnd && mark.begin >= begin
      && !windows.dropLast().contains(where: { $0.begin <= mark.begin && mark.begin <= $0.end })
    {
      if takes(mark.begin) { marks.append(mark) }
    }
  }

  /// Whether a window wants what begins at `time`. A window that has taken its share ends there.
  private mutating func takes(_ time: UInt64) -> Bool {
    for i in windows.indices where windows[i].begin <= time && time <= windows[i].end {
      windows[i].kept += 1
      if windows[i].kept > 2 * Self.sideCount {
        windows[i].end = time > windows[i].begin ? time - 1 : windows[i].begin
        continue
      }
      return true
    }
    return false
  }

  /// There are too many marks: from now on only some are kept.
  private mutating func close() {
    marks.sort { $0.begin < $1.begin }
    let end = marks[min(Self.headCount, marks.count - 1)].begin
    headEnd = end
    marks = marks.filter { $0.begin <= end || takes($0.begin) }
  }

  /// The ranges of time in which every mark was kept, disjoint and in order.
  func whole(from begin: UInt64, to end: UInt64) -> [ClosedRange<UInt64>] {
    guard let headEnd else { return [begin...max(begin, end)] }
    var ranges = [begin...max(begin, headEnd)]
    for window in windows.sorted(by: { $0.begin < $1.begin }) {
      guard window.end <= end || window.begin <= end else { continue }
      if let last = ranges.last, window.begin <= last.upperBound {
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, window.end)
      } else {
        ranges.append(window.begin...max(window.begin, window.end))
      }
    }
    return ranges
  }
}
