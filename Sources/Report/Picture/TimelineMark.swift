import Ptrauth
import Replay

/// What a mark of the picture is, without its time: the same few hundred recur throughout a recording,
/// so a picture keeps each once.
enum TimelineMark: Hashable, Sendable {
  /// `lane` numbers the picture's vCPUs.
  case run(lane: Int, cpu: Int32, ret: Int32?, ec: UInt32?, entry: KnownBits, exit: KnownBits)
  case load(lane: Int, cpu: Int32, isImplied: Bool)
  case put(lane: Int, cpu: Int32, isImplied: Bool)
  case trap(lane: Int, cpu: Int32, trap: PtrauthTrap, answer: TrapAnswer)
  case loss(cpu: Int32, count: UInt64)
  case finding(rule: Rule, level: Finding.Level, lane: Int?, cpu: Int32)
}

/// A mark at its time; `end` is later than `begin` for runs only.
package struct PlacedMark: Sendable {
  /// Nanoseconds of the recording's clock.
  package var begin: UInt64
  var end: UInt64
  var mark: Int32
  /// A run whose kvm_exit was never seen.
  var isOpen = false
}
