import Ptrauth

/// The stretch in which the handler of a vCPU's ptrauth trap may have been under way.
struct TrapHandling {
  /// The kvm_exit; or where a loss began, in which there may have been one.
  var begin: UInt64
  /// The trap was seen.
  var wasSeen = true
  /// Its return, or the vCPU's next kvm_entry or return to user mode, in ns; nil: it was not seen to end.
  var end: UInt64?
  /// It set its own vCPU's bits: then it is not the one that sets another's.
  var enabledItsOwn = Bit.unknown

  /// Some of it lay between the two.
  func meets(_ from: UInt64, _ to: UInt64) -> Bool { begin < to && end.map { $0 > from } ?? true }
}

/// The last of them of one vCPU: who asks for a stretch may ask when others have followed it.
struct TrapHandlings {
  private(set) var last: TrapHandling?
  /// Those before it, the latest first.
  private var earlier = InlineArray<3, TrapHandling?>(repeating: nil)
  /// When the latest ended of those that are forgotten, and that may have set another vCPU's bits.
  private var forgotten: UInt64 = 0

  /// - Parameter wasSeen: False: what trapped may have been something else, or lies in a loss.
  mutating func begin(_ time: UInt64, wasSeen: Bool = true) {
    guard var before = last else {
      last = TrapHandling(begin: time, wasSeen: wasSeen)
      return
    }
    if before.begin == time {
      last?.wasSeen = before.wasSeen || wasSeen
      return
    }
    before.end = before.end ?? time
    if let oldest = earlier[2], oldest.enabledItsOwn != .set {
      forgotten = max(forgotten, oldest.end ?? time)
    }
    (earlier[2], earlier[1], earlier[0]) = (earlier[1], earlier[0], before)
    last = TrapHandling(begin: time, wasSeen: wasSeen)
  }

  /// The trap at `time` was none of pointer authentication.
  mutating func withdraw(_ time: UInt64) {
    guard let none = last, none.begin == time, !none.wasSeen else { return }
    last = earlier[0]
    (earlier[0], earlier[1], earlier[2]) = (earlier[1], earlier[2], nil)
  }

  mutating func end(_ time: UInt64) {
    if last?.end == nil { last?.end = time }
  }

  /// The vCPU goes on with these bits. Returns the handling if that shows for the first time that it set them.
  mutating func end(_ time: UInt64, bits: EnableBits?) -> TrapHandling? {
    end(time)
    guard last?.enabledItsOwn == .unknown else { return nil }
    let isSet = bits?.switchesKeys == .set
    last?.enabledItsOwn = isSet ? .set : .clear
    return isSet ? last : nil
  }

  /// One that lay between the two, at least in part, and may have set another vCPU's bits.
  func meeting(_ from: UInt64, _ to: UInt64) -> TrapHandling? {
    func fits(_ handling: TrapHandling?) -> TrapHandling? {
      guard let handling, handling.enabledItsOwn != .set, handling.meets(from, to) else {
        return nil
      }
      return handling
    }
    return fits(last) ?? fits(earlier[0]) ?? fits(earlier[1]) ?? fits(earlier[2])
      ?? (forgotten > from ? TrapHandling(begin: 0, wasSeen: false) : nil)
  }
}

/// What but a load that left the bits set may have set them.
enum StaleDoubt {
  /// The load found them clear.
  case foundClear
  /// The handler of a trap in this thread may have been under way, and have set another's bits than its vCPU's.
  case handler(thread: Int32, begin: UInt64)
  /// There are too many vCPUs to look for such a handler in each.
  case crowd
}
