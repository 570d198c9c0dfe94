import Replay

/// Rates by size: how many there are in each bucket. A bucket is a 128th of a power of two, so a quantile is at most
/// 0.8 % too low, and exact at 0.5, 1 and 2; zero has a bucket of its own.
///
/// These are the log-linear buckets of HdrHistogram, and of DDSketch (C. Masson, J. E. Rim, H. K. Lee, 2019) with its
/// linear mapping. A bucket's number is the upper bits of the Double: no logarithm, which C libraries round differently.
/// Buckets are never joined and there are few (``range``), so sketches add up exactly, in any order.
public struct RateSketch: Sendable, Hashable {
  /// By number; 0 begins at 1.0.
  public private(set) var buckets: [Int: UInt64] = [:]
  public private(set) var zeros: UInt64 = 0

  /// 2^-40 to 2^40; what is beyond is counted at its ends.
  public static let range = -(40 << 7)...(40 << 7)
  /// Bits of a Double below those that number its bucket.
  private static let shift: UInt64 = 52 - 7
  private static let bias = 1023 << 7

  public init() {}

  public var isEmpty: Bool { buckets.isEmpty && zeros == 0 }
  public var count: UInt64 { buckets.values.reduce(zeros, Counters.sum) }

  /// Rates are not negative; what is no number is none.
  public mutating func add(_ value: Double) {
    guard value > 0, value.isFinite else {
      if value == 0 { add(zeros: 1) }
      return
    }
    let number = Int(truncatingIfNeeded: value.bitPattern >> Self.shift) - Self.bias
    add(1, in: min(max(number, Self.range.lowerBound), Self.range.upperBound))
  }

  public mutating func add(zeros count: UInt64) { zeros = Counters.sum(zeros, count) }

  public mutating func add(_ count: UInt64, in bucket: Int) {
    guard Self.range.contains(bucket), count > 0 else { return }
    buckets[bucket] = Counters.sum(buckets[bucket] ?? 0, count)
  }

  public mutating func merge(_ other: Self) {
    add(zeros: other.zeros)
    for (bucket, count) in other.buckets { add(count, in: bucket) }
  }

  /// From the least: each with how many there are.
  public var values: [(value: Double, count: UInt64)] {
    (zeros > 0 ? [(0, zeros)] : [])
      + buckets.sorted { $0.key < $1.key }.map { (Self.least($0.key), $0.value) }
  }

  /// The value as a sketch keeps it; nil: it is no rate.
  static func kept(_ value: Double) -> Double? {
    var sketch = Self()
    sketch.add(value)
    return sketch.values.first?.value
  }

  /// Where a bucket begins.
  private static func least(_ bucket: Int) -> Double {
    Double(bitPattern: UInt64(truncatingIfNeeded: bucket + bias) << shift)
  }

  /// The value that `share` of all do not exceed; nil if there is none.
  public func quantile(_ share: Double) -> Double? {
    let all = count
    let rank = UInt64(exactly: (share * Double(all)).rounded(.up)) ?? all
    var seen: UInt64 = 0
    for (value, count) in values {
      seen = Counters.sum(seen, count)
      if seen >= max(1, rank) { return value }
    }
    return values.last?.value
  }
}
