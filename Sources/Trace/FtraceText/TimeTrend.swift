/// Whether the times of a text go forward, but for neighbours: differences in place of times do not.
///
///     block    0        1        2        3          1024 lines each
///     times    5..6 s   6..7 s   6..8 s   8..9 s     the earliest of 2 is behind the latest of 0
///     deltas   0..3 ms  0..9 ms  0..4 ms  0..7 ms    it is not
struct TimeTrend {
  private static let blockSize = 1024
  private var count = 0
  private var block: (earliest: UInt64, latest: UInt64) = (.max, 0)
  private var latestBefore: UInt64 = 0
  private var latestBeforeThat: UInt64 = 0
  private var blocks = 0
  private var falls = 0

  mutating func note(_ time: UInt64) {
    block = (min(block.earliest, time), max(block.latest, time))
    count += 1
    guard count == Self.blockSize else { return }
    if blocks > 1, block.earliest < latestBeforeThat { falls += 1 }
    (latestBeforeThat, latestBefore) = (latestBefore, block.latest)
    block = (.max, 0)
    count = 0
    blocks += 1
  }

  /// Most of the text falls back far.
  var goesNowhere: Bool { falls > 0 && falls * 2 > blocks - 2 }
}
