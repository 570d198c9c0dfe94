import Ptrauth
import Regression
import Replay
import Testing

/// Rates that a recording cannot show are none, and not 0.
struct RateTests {
  private func sample(_ count: UInt64, hidden: Set<String> = []) -> Sample {
    var counters = Counters()
    counters.loads = 100
    counters.runs = 200
    counters.keySwitches = count
    counters.hostSaves = count
    return Sample(
      name: "a", verdict: .clean, isIncomplete: false, kernel: "k", findings: [], hidden: hidden,
      impossible: [], counters: counters, guestTime: nil, redundantAccesses: 0)
  }

  private let blind: Set<String> = ["redundant-switch", "redundant-host-save"]

  @Test func whatIsNotShownIsNoRate() throws {
    let comparison = Comparison(base: [sample(20)], new: [sample(0, hidden: blind)])
    let saves = try #require(comparison.rates.first { $0.metric == .hostSavesPerLoad })
    #expect(saves.base == [0.2] && saves.new == [])
    let traps = try #require(comparison.rates.first { $0.metric == .trapsPerLoad })
    #expect(traps.new == [0])
    let falls = try Threshold("host-saves-per-load<-50%")
    #expect(comparison.crosses(falls) == nil)
    #expect(Comparison(base: [sample(20)], new: [sample(0)]).crosses(falls) == true)
  }

  /// Traps of vCPUs without the feature count only where no recording knows which those are.
  @Test func trapsOfWhichVCPUs() throws {
    let knows = sample(1)
    let doesNot = sample(1, hidden: [Rule.switchWithoutFeature.id])
    func traps(_ base: [Sample], _ new: [Sample]) -> [Int]? {
      let rates = Comparison(base: base, new: new).rates
      return rates.first { $0.metric == .trapsPerLoad }.map { [$0.base.count, $0.new.count] }
    }
    #expect(traps([knows], [knows]) == [1, 1])
    #expect(traps([doesNot], [doesNot]) == [1, 1])
    #expect(traps([knows], [doesNot]) == [1, 0])
    #expect(traps([doesNot, knows], [knows, doesNot, knows]) == [1, 2])
    // Switches do not count traps.
    let switches = Comparison(base: [knows], new: [doesNot]).rates.first {
      $0.metric == .switchesPerRun
    }
    #expect(switches?.new.count == 1)
  }

  /// Saves that were not made are in no count of reads.
  @Test func savesAloneAreHidden() {
    let shown = Metric.all.filter { $0.isShown(by: sample(1, hidden: ["redundant-host-save"])) }
    #expect(shown.contains(.switchesPerRun) && shown.contains(.writesPerRun))
    for metric in [Metric.readsPerRun, .accessesPerLoad, .redundantShare, .hostSavesPerLoad] {
      #expect(!shown.contains(metric))
    }
  }

  /// Other guests, and no other kernel: the finding is not gone.
  @Test(arguments: ["switch-without-feature", "undef-storm"])
  func aRuleOfOtherGuests(id: String) throws {
    let rule = try #require(Rule.all.first { $0.id == id })
    var base = sample(1)
    base.findings = [
      Sample.Found(
        rule: id, severity: rule.severity, level: "proved", isCorrectness: rule.isCorrectness,
        count: 3, statement: "")
    ]
    var without = sample(1)
    without.impossible = [id]
    #expect(Comparison(base: [base], new: [without]).findings.map(\.kind) == [.unseen])
    #expect(Comparison(base: [base], new: [sample(1)]).findings.map(\.kind) == [.gone])
  }
}
