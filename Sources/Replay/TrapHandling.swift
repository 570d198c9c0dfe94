/// The stretch in which the handler of a vCPU's ptrauth trap may have been under way.
struct TrapHandling {
  /// The kvm_exit; or where a loss began, in which there may have been one.
  var begin: UInt64
  /// The trap was seen.
  var wasSeen = true
  /// The vCPU's next kvm_entry, or its return to user mode, in ns; nil: it was not seen to end.
  var end: UInt64?
  /// It set its own vCPU's bits: then it is not the one that sets another's.
  var enabledItsOwn = false

  /// The vCPU may have trapped where events were lost.
  static func lost(_ time: UInt64) -> Self { Self(begin: time, wasSeen: false) }

  /// Some of it lay between the two.
  func meets(_ from: UInt64, _ to: UInt64) -> Bool { begin < to && end.map { $0 > from } ?? true }
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
