import Glibc

/// Fisher's exact test, two-sided: do two sets of recordings have a fault equally often? (R. A. Fisher, 1934)
public enum FisherExact {
  /// The probability of a table at most as probable as the one seen, with the same sums, if they do.
  ///
  /// - Parameters: how many of how many on each side.
  public static func p(_ a: UInt64, of n: UInt64, _ b: UInt64, of m: UInt64) -> Double? {
    let limit: UInt64 = 1 << 40
    guard n > 0, m > 0, a <= n, b <= m, n < limit, m < limit else { return nil }
    let hits = a + b
    let least = hits > m ? hits - m : 0
    let most = min(hits, n)
    func weight(_ k: UInt64) -> Double { ways(k, of: n) + ways(hits - k, of: m) }
    let seen = weight(a)
    let whole = ways(hits, of: n + m)
    // From what was seen outwards: the other tail begins where tables are as improbable. Each table follows from the
    // one before it; far tables add nothing.
    var sum = 0.0
    let mode = min(most, max(least, UInt64(Double(hits + 1) * Double(n + 1) / Double(n + m + 2))))
    for (start, step) in [(mode, 1), (mode, -1)] {
      var k = start
      while true {
        let probability = weight(k)
        if !(step < 0 && k == mode), probability <= seen + 1e-7 { sum += exp(probability - whole) }
        if probability - whole < -60 || k == (step > 0 ? most : least) { break }
        k = step > 0 ? k + 1 : k - 1
      }
    }
    return min(1, max(sum, exp(seen - whole)))
  }

  /// The logarithm of how many ways there are to choose k of n.
  private static func ways(_ k: UInt64, of n: UInt64) -> Double {
    lgamma(Double(n) + 1) - lgamma(Double(k) + 1) - lgamma(Double(n - k) + 1)
  }
}
