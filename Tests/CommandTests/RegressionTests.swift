import Regression
import Replay
import Testing

/// The arithmetic of a comparison.
struct RegressionTests {
  /// scipy.stats.mannwhitneyu 1.17 of these (two-sided; exact; with ties by its PermutationMethod of all).
  static let scipy: [([Double], [Double], Double)] = [
    ([0.324, 0.151, 0.651, 0.072], [0.836, 1.383, 0.215, 0.434], 0.2),
    ([0.241, 0.551, 0.059, 0.565], [1.747, 0.627, 0.877, 0.05], 0.34285714285714286),
    ([0.047, 0.858, 0.29, 0.144], [0.418, 1.36, 0.981, 0.571, 1.172], 0.06349206349206349),
    ([0.712, 0.564, 0.619, 0.496], [0.832, 0.766, 0.362, 1.594, 0.78], 0.19047619047619047),
    ([0.574, 0.525, 0.875, 0.729, 0.288], [0.98, 0.512, 0.757, 1.233, 0.839], 0.2222222222222222),
    ([0.078, 0.558, 0.789, 0.818, 0.34], [0.65, 0.88, 0.069, 1.245, 0.697], 0.5476190476190477),
    (
      [0.061, 0.701, 0.647, 0.993, 0.822, 0.285], [1.186, 0.647, 1.155, 0.117], 0.5047619047619047
    ),
    (
      [0.218, 0.287, 0.738, 0.398, 0.917, 0.497], [0.466, 0.549, 1.619, 0.578], 0.35238095238095235
    ),
    (
      [0.986, 0.683, 0.38, 0.231, 0.083, 0.151, 0.659, 0.012],
      [0.831, 0.263, 0.946, 1.169, 0.319, 1.49, 1.75, 0.676], 0.037917637917637914
    ),
    (
      [0.457, 0.871, 0.952, 0.681, 0.559, 0.398, 0.394, 0.482],
      [0.4, 0.067, 0.441, 0.34, 0.902, 0.151, 1.749, 0.026], 0.19487179487179485
    ),
    ([1, 2, 3, 4], [5, 6, 7, 8], 0.02857142857142857),
    ([1, 1, 2, 3, 4], [1, 2, 2, 5, 9], 0.5634920634920635),
    ([0.1, 0.1, 0.2, 0.2], [0.2, 0.3, 0.3, 0.3], 0.08571428571428572),
    ([0, 0, 0, 0, 1], [0, 2, 3, 4, 5, 6], 0.025974025974025976),
    (
      [0.45238, 0.55977, 0.92421, 0.46565, 0.50784, 0.58738, 0.18466, 0.51191, 0.62988, 0.79298],
      [
        0.39412, 0.6034, 0.39067, 1.10964, 0.99344, 0.34188, 1.28219, 1.26476, 0.95392, 0.91556,
        0.45749, 0.315,
      ], 0.4561506604850259
    ),
  ]

  @Test(arguments: scipy.indices)
  func mannWhitneyIsScipys(index: Int) {
    let (a, b, p) = Self.scipy[index]
    #expect(abs(MannWhitney.p(a, b) - p) < 1e-9)
    #expect(abs(MannWhitney.p(b, a) - p) < 1e-9)
  }

  @Test func mannWhitneyOfNothing() {
    #expect(MannWhitney.p([1, 1, 1, 1], [1, 1, 1, 1]) == 1)
    #expect(MannWhitney.p([], [1]) == 1)
    // Three a side can never say anything at 0.05.
    #expect(MannWhitney.p([1, 2, 3], [4, 5, 6]) > 0.05)
    #expect(MannWhitney.p([1, 2, 3, 4], [5, 6, 7, 8]) < 0.05)
  }

  @Test(arguments: [
    ("redundant-share>1.1", 1.1, true), ("traps-per-second > +10%", 1.1, true),
    ("switches-per-run<-20%", 0.8, true), ("new.redundant-share>=0.5", 0.5, false),
    ("trips-per-load<=2", 2, true),
  ])
  func thresholds(text: String, bound: Double, isRatio: Bool) throws {
    let threshold = try Threshold(text)
    #expect(abs(threshold.bound - bound) < 1e-12 && threshold.isRatio == isRatio)
  }

  @Test(arguments: [
    "", "redundant-share", "redundant-share>", "nonsense>1", ">1", "redundant-share>10%",
    "redundant-share>+1", "new.redundant-share>+10%", "redundant-share>x", "redundant-share>nan",
  ])
  func badThresholds(text: String) {
    #expect(throws: ThresholdError.self) { try Threshold(text) }
  }

  private func sample(_ number: Int, switches: UInt64, isIncomplete: Bool = false) -> Sample {
    var sample = Sample(unreadable: "\(number)")
    sample.verdict = isIncomplete ? .incomplete : .clean
    sample.isIncomplete = isIncomplete
    sample.counters.runs = 1000
    sample.counters.keySwitches = switches
    sample.guestTime = 1_000_000_000
    return sample
  }

  /// Where the test can be made, noise crosses nothing; a real shift does.
  @Test func thresholdsNeedSignificance() throws {
    let threshold = try Threshold("switches-per-run>1.1")
    let base = [100, 200, 120, 180].enumerated().map { sample($0, switches: $1) }
    let noise = [110, 210, 190, 205].enumerated().map { sample($0, switches: $1) }
    let shift = [300, 310, 320, 330].enumerated().map { sample($0, switches: $1) }
    #expect(Comparison(base: base, new: noise).crosses(threshold) == false)
    #expect(Comparison(base: base, new: shift).crosses(threshold) == true)
    #expect(Comparison(base: [base[0]], new: [base[1]]).crosses(threshold) == true, "untested")
    let traps = try Threshold("redundant-share>1.1")
    #expect(Comparison(base: [sample(0, switches: 0)], new: shift).crosses(traps) == nil)
  }

  @Test func aMetricWithNothingToDivideByIsNone() {
    let empty = Sample(unreadable: "x")
    #expect(Metric.all.allSatisfy { $0.value(empty) == nil })
    var clean = empty
    clean.verdict = .clean
    #expect(Metric.all.allSatisfy { $0.value(clean) == nil })
  }
}
