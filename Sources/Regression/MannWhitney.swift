import Glibc

/// The Mann-Whitney U test, two-sided: could two sets of runs come from the same distribution? It asks only
/// for order, so no distribution is assumed (H. B. Mann, D. R. Whitney, 1947).
public enum MannWhitney {
  /// The least number of runs a side that the test is made for: with 3 and 3, no result has p < 0.05.
  public static let leastRuns = 4

  /// The probability of a difference at least as large as seen, if there is none. Exact without ties and
  /// up to 50 runs a side; else the normal approximation, corrected for ties and continuity.
  /// 1 if all values are the same.
  public static func p(_ a: [Double], _ b: [Double]) -> Double {
    guard !a.isEmpty, !b.isEmpty else { return 1 }
    // Ranks of all values together; equal ones share the mean of theirs.
    let all = (a.map { ($0, true) } + b.map { ($0, false) }).sorted { $0.0 < $1.0 }
    var rankSum = 0.0
    var ties = 0.0
    var i = 0
    while i < all.count {
      var j = i
      while j < all.count, all[j].0 == all[i].0 { j += 1 }
      let rank = Double(i + j + 1) / 2
      for k in i..<j where all[k].1 { rankSum += rank }
      let t = Double(j - i)
      ties += t * t * t - t
      i = j
    }
    let (m, n) = (Double(a.count), Double(b.count))
    let u = rankSum - m * (m + 1) / 2
    let extreme = max(u, m * n - u)
    if ties == 0, a.count <= 50, b.count <= 50 {
      return min(1, 2 * exactUpperTail(a.count, b.count, Int(extreme.rounded())))
    }
    let total = m + n
    let variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    guard variance > 0 else { return 1 }
    let z = (extreme - m * n / 2 - 0.5) / variance.squareRoot()
    return min(1, erfc(z / 2.0.squareRoot()))
  }

  /// P(U >= u). `ways[k]` counts the orders of m and n values in which U is k, built up value by value:
  /// the largest of all is one of the m (it beats all n) or one of the n (it beats none).
  private static func exactUpperTail(_ m: Int, _ n: Int, _ u: Int) -> Double {
    // rows[i]: for i values on the first side, and as many on the other as rounds were made.
    var rows = (0...m).map { _ in [1.0] }
    for j in 1...n {
      var next: [[Double]] = [[1.0]]
      for i in 1...m {
        var ways = [Double](repeating: 0, count: i * j + 1)
        for (k, count) in next[i - 1].enumerated() { ways[k + j] += count }
        for (k, count) in rows[i].enumerated() { ways[k] += count }
        next.append(ways)
      }
      rows = next
    }
    let ways = rows[m]
    return ways[min(u, ways.count - 1)...].reduce(0, +) / ways.reduce(0, +)
  }
}
