/// Turns a cycle counter's ticks into nanoseconds: TSC2NSEC.
package struct TimeScale: BitwiseCopyable {
  private let multiplier: UInt64
  private let shift: UInt64

  /// nil when it cannot be meant. `offset` is that of the clock of perf's user page; trace-cmd
  /// (lib/trace-cmd/trace-input.c, timestamp_calc()) does not use it, and so neither is it here.
  package init?(multiplier: UInt32, shift: UInt32, offset: UInt64) {
    guard multiplier > 0, shift < 64 else { return nil }
    self.multiplier = UInt64(multiplier)
    self.shift = UInt64(shift)
  }

  /// Saturates where 64 bits do not hold the result.
  @inline(__always)
  package func nanoseconds(_ ticks: UInt64) -> UInt64 {
    let (high, low) = ticks.multipliedFullWidth(by: multiplier)
    guard shift > 0 else { return high == 0 ? low : .max }
    guard high >> shift == 0 else { return .max }
    return high << (64 - shift) | low >> shift
  }
}
