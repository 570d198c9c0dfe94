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
