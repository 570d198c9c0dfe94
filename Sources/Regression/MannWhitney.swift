import Glibc

/// The Mann-Whitney U test, two-sided: could two sets of runs come from the same distribution? It asks only
/// for order, so no distribution is assumed (H. B. Mann, D. R. Whitney, 1947).
public enum MannWhitney {
  /// The least number of runs a side that the test is made for: with 3 and 3, no result has p < 0.05.
  public static let leastRuns = 4

  /// The probability of a difference at least as large as seen, if there is none. Exact up to 50 runs a side, with
  /// ties too; else the normal approximation, corrected for ties and continuity. 1 if all values are the same.
  public static func p(_ a: [Double], _ b: [Double]) -> Double {
    guard !a.isEmpty, !b.isEmpty else { return 1 }
    // Ranks of all values together, doubled; equal ones share the mean of theirs.
    let all = (a.map { ($0, true) } + b.map { ($0, false) }).sorted { $0.0 < $1.0 }
    var ranks: [Int] = []
    var rankSum = 0
    var ties = 0.0
    var i = 0
    while i < all.count {
      var j = i
      while j < all.count, all[j].0 == all[i].0 { j += 1 }
      let rank = i + j + 1
      for k in i..<j {
        ranks.append(rank)
        if all[k].1 { rankSum += rank }
      }
      let t = Double(j - i)
      ties += t * t * t - t
      i = j
    }
    if a.count <= 50, b.count <= 50 { return exact(ranks, choose: a.count, rankSum) }
    let (m, n) = (Double(a.count), Double(b.count))
    let total = m + n
    let variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    guard variance > 0 else { return 1 }
    let distance = abs(rankSum - a.count * (all.count + 1))
    let z = (Double(distance) / 2 - 0.5) / variance.squareRoot()
    return min(1, erfc(z / 2.0.squareRoot()))
  }

  /// Of all ways to choose `m` of the ranks, the share whose sum is as far out as `seen`, on either side. `ways[k][s]`
  /// counts those that choose k of the ranks so far with the sum s.
  private static func exact(_ ranks: [Int], choose m: Int, _ seen: Int) -> Double {
    let most = ranks.suffix(m).reduce(0, +)
    var ways = [[Double]](repeating: [Double](repeating: 0, count: most + 1), count: m + 1)
    ways[0][0] = 1
    for (number, rank) in ranks.enumerated() {
      for k in stride(from: min(m, number + 1), to: 0, by: -1) {
        for sum in stride(from: most, through: rank, by: -1) where ways[k - 1][sum - rank] > 0 {
          ways[k][sum] += ways[k - 1][sum - rank]
        }
      }
    }
    let all = ways[m].reduce(0, +)
    let tail = min(ways[m][...seen].reduce(0, +), ways[m][seen...].reduce(0, +))
    return min(1, 2 * tail / all)
  }
}
