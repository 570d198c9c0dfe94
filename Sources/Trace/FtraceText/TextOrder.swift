/// In which order the lines of a text come: by time, but for neighbours; a pCPU's after another's, as
/// per_cpu/cpu*/trace are printed; or from the beginning again, which is another recording.
///
///     block    0        1        2        3          4096 lines each
///     times    5..6 s   6..7 s   5..8 s   8..9 s     some of 2 are behind the latest of 0
///
/// A few lines whose times are wrong make no order: what counts is the latest but one, and how many go back.
struct TextOrder {
  private static let blockSize = 4096
  private static let slotCount = 256

  private struct Latest: BitwiseCopyable {
    var cpu: Int32 = -1
    var time: UInt64 = 0
    var butOne: UInt64 = 0

    @inline(__always)
    mutating func note(_ new: UInt64) {
      if new >= time {
        (time, butOne) = (new, time)
      } else if new > butOne {
        butOne = new
      }
    }
  }

  private var block = Latest()
  private var count = 0
  private var latestBefore: UInt64 = 0
  private var latestBeforeThat: UInt64 = 0
  private var trend = TimeTrend()
  private var slots = Array(repeating: Latest(), count: slotCount)
  /// Of pCPUs that share a slot.
  private var others: [Int32: Latest] = [:]

  /// Lines that are late, though their pCPU's own times go on: they are in order only as a whole.
  private(set) var isShuffled = false
  /// Late lines whose pCPU's own times go back.
  private(set) var turnCount: UInt64 = 0
  private var firstTurn: (cpu: Int32, line: Int)?
  /// A pCPU's own times go back somewhere, however little.
  private var hasSteps = false
  /// More than this are no slips of whoever wrote the text.
  private static let slipLimit: UInt64 = 16

  @inline(__always)
  mutating func note(_ time: UInt64, cpu: Int32, line: Int) {
    trend.note(time)
    let isLate = time < latestBeforeThat
    let slot = Int(truncatingIfNeeded: cpu & 255)
    if slots[slot].cpu != cpu {
      if slots[slot].cpu >= 0 { return noteOther(time, cpu, line, isLate) }
      slots[slot].cpu = cpu
    }
    if time < slots[slot].butOne {
      goBack(cpu, line, isLate)
    } else if isLate {
      isShuffled = true
    }
    slots[slot].note(time)
    endLine(time)
  }

  @inline(never)
  private mutating func noteOther(_ time: UInt64, _ cpu: Int32, _ line: Int, _ isLate: Bool) {
    var latest = others[cpu] ?? Latest(cpu: cpu)
    if time < latest.butOne {
      goBack(cpu, line, isLate)
    } else if isLate {
      isShuffled = true
    }
    latest.note(time)
    others[cpu] = latest
    endLine(time)
  }

  @inline(never)
  private mutating func goBack(_ cpu: Int32, _ line: Int, _ isLate: Bool) {
    hasSteps = true
    guard isLate else { return }
    turnCount &+= 1
    if firstTurn == nil { firstTurn = (cpu, line) }
  }

  @inline(__always)
  private mutating func endLine(_ time: UInt64) {
    block.note(time)
    count &+= 1
    guard count == Self.blockSize else { return }
    latestBeforeThat = max(latestBeforeThat, latestBefore)
    latestBefore = block.butOne
    block = Latest()
    count = 0
  }

  /// Why the text is no recording's; nil: it is one.
  var refusal: String? {
    if hasSteps, trend.goesNowhere {
      return
        "its times do not go forward; print the times themselves, not the differences (perf script "
        + "--deltatime)"
    }
    guard let turn = firstTurn, turnCount > Self.slipLimit else { return nil }
    return
      "the times of pCPU \(turn.cpu) go back at line \(turn.line): it is more than one recording, or its parts were "
      + "swapped; analyze each part by itself"
  }
}
