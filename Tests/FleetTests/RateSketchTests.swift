import Fleet
import Regression
import Testing

/// A sketch is near every quantile, and adds up exactly.
struct RateSketchTests {
  private static func values(_ count: Int, _ random: inout some RandomNumberGenerator) -> [Double] {
    (0..<count).map { _ in
      Int.random(in: 0..<10, using: &random) == 0
        ? 0
        : Double.random(in: 1...2, using: &random)
          * Double(1 << Int.random(in: 0..<30, using: &random)) / 65536
    }
  }

  @Test(arguments: [1, 2, 10, 999, 10_000])
  func quantilesAreNear(count: Int) {
    var random = SystemRandomNumberGenerator()
    let values = Self.values(count, &random)
    var sketch = RateSketch()
    for value in values { sketch.add(value) }
    #expect(sketch.count == UInt64(count))
    let sorted = values.sorted()
    for share in [0, 0.01, 0.5, 0.9, 0.99, 1] {
      let exact = sorted[max(0, Int((share * Double(count)).rounded(.up)) - 1)]
      let found = sketch.quantile(share) ?? -1
      #expect(found <= exact && found >= exact * (1 - 1.0 / 128), "\(share) of \(count)")
    }
  }

  @Test func roundNumbersAreExact() {
    for value in [0, 0.25, 0.5, 1, 2, 3, 96, 1024] {
      var sketch = RateSketch()
      sketch.add(value)
      #expect(sketch.quantile(0.5) == value)
    }
  }

  /// What is out of range is counted at its end; what is no rate is none.
  @Test func extremes() {
    var sketch = RateSketch()
    for value in [1e-300, .leastNonzeroMagnitude, 1e300, .greatestFiniteMagnitude] {
      sketch.add(value)
    }
    #expect(sketch.count == 4 && sketch.buckets.count == 2)
    for value in [Double.nan, .infinity, -1, -.infinity] { sketch.add(value) }
    sketch.add(7, in: RateSketch.range.upperBound + 1)
    sketch.add(7, in: Int.min)
    #expect(sketch.count == 4)
    #expect(RateSketch().quantile(0.5) == nil)
  }

  @Test func partsAddUp() {
    var random = SystemRandomNumberGenerator()
    let values = Self.values(2000, &random)
    var whole = RateSketch()
    for value in values { whole.add(value) }
    var parts = (0..<7).map { _ in RateSketch() }
    for value in values { parts[Int.random(in: 0..<7, using: &random)].add(value) }
    parts.shuffle(using: &random)
    var left = RateSketch()
    for part in parts { left.merge(part) }
    var right = RateSketch()
    for part in parts.reversed() {
      var sum = part
      sum.merge(right)
      right = sum
    }
    #expect(left == whole && right == whole)
  }
}
