import ArgumentParser
import Bytes
import FoundationEssentials
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// `whatif` and `explain`, as a user runs them.
struct WhatifTests {
  private let good = Corpus.root + "/traces/v7-good/perf.data"

  private func whatIf(_ corpus: Corpus, _ weights: CostWeights = .accesses) throws -> WhatIf {
    let session = try Session(recording: corpus.recording, vmlinux: corpus.vmlinux)
    let document = try session.document(try session.replay(timeline: nil))
    return WhatIf(document, hysteresis: 4, weights: weights)
  }

  /// The kernel's own policy against what the CPU did: the log shows every read of ten key registers at
  /// EL2 (kr=3ff), which is a host save or the guest save of an enabled pass.
  @Test(arguments: Corpus.all)
  func theOwnPolicyCountsWhatTheCPUDid(corpus: Corpus) throws {
    guard corpus.hasProbes, !corpus.isLossy, corpus.fact("planted fault") == "none",
      let enabled = corpus.fact("passes_enabled").flatMap({ UInt64($0) }),
      let traps = corpus.fact("traps").flatMap({ UInt64($0) }),
      let undefs = corpus.fact("undefs").flatMap({ UInt64($0) })
    else { return }
    let log = String(
      decoding: Corpus.unpacked(corpus.directory + "/gt.log.zst"), as: UTF8.self)
    let reads = UInt64(log.split(separator: "\n").count { $0.contains(" kr=3ff ") })
    let result = try whatIf(corpus)
    let own = try #require(result.comparison.rows.first(where: { $0.isOwn }))
    // Host saves are exact: what is left of the reads are guest saves, a lower bound.
    let saves = reads - enabled
    let guestSaves = own.low.isb
    #expect(own.low.mrs == 10 * (saves + guestSaves))
    #expect(own.low.msr == 20 * guestSaves)
    #expect(
      guestSaves <= enabled && guestSaves * 100 >= enabled * 80, "\(guestSaves) of \(enabled)")
    #expect(own.high[3] == nil, "passes have no upper bound")
    switch result.document.kernel.generation?.trap {
    case .reachesHost:
      #expect(own.low.fullTrips == traps - undefs && own.high[5] == traps - undefs)
    case .handledAtHyp:
      #expect(own.low.hypTrips == traps - undefs && own.high[4] == traps - undefs)
    default: #expect(own.low.fullTrips == 0 && own.low.hypTrips == 0)
    }
    #expect(result.trapsWithoutFeature == undefs)
  }

  /// Without probes the truth lies in wider intervals.
  @Test(.enabled(if: Corpus.hasShared, "needs ../shared"), arguments: Corpus.all)
  func tracepointsAloneBoundTheTruth(corpus: Corpus) throws {
    guard !corpus.hasProbes, corpus.fact("planted fault") == "none",
      let traps = corpus.fact("traps").flatMap({ UInt64($0) }),
      let undefs = corpus.fact("undefs").flatMap({ UInt64($0) }),
      let enabled = corpus.fact("passes_enabled").flatMap({ UInt64($0) })
    else { return }
    let rows = try whatIf(corpus).comparison.rows
    let own = try #require(rows.first(where: { $0.isOwn }))
    #expect(own.low.fullTrips <= traps - undefs)
    #expect(own.low.isb <= enabled && own.high[3] == nil)
  }

  @Test func anEagerRecordingCannotTellTheLazyOnes() throws {
    guard let corpus = Corpus.all.first(where: { $0.name == "deb-6.12/good" }) else { return }
    let rows = try whatIf(corpus).comparison.rows
    let lazy = try #require(rows.first(where: { $0.policy.id == "lazy-hyp" }))
    let eager = try #require(rows.first(where: { $0.policy.id == "eager-load" }))
    #expect(lazy.low == .zero && lazy.high[4].map { $0 > 0 } == true)
    #expect(lazy.rank?.overlaps(eager.rank ?? 100...100) == true, "neither is certainly cheaper")
  }

  @Test func theTableFitsATerminal() throws {
    for corpus in Corpus.traces {
      let text = WhatIfText.render(try whatIf(corpus), style: Style(isColoured: false))
      #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 && $0.last != " " })
    }
  }

  @Test func theJSONDocument() throws {
    let (code, bytes) = try run(
      Whatif.self, [good, "--format", "json", "--weights", "msr=0.5,full=100"])
    #expect(code == 0)
    let shape = try JSONDecoder().decode(WhatIfShape.self, from: Data(bytes))
    #expect(shape.schema == "ptrauth-trace/whatif/1")
    #expect(shape.weights == ["mrs": 0, "msr": 0.5, "pairs": 0, "isb": 0, "hyp": 0, "full": 100])
    let own = try #require(shape.policies.first(where: { $0.own }))
    #expect(own.policy == "lazy-v7" && own.cost["full"] == [64, 64])
    #expect(own.cost["mrs"]?.last == .some(nil), "without limit above")
    let writes = try #require(own.cost["msr"]?.first ?? nil)
    #expect(own.weighted.first == 0.5 * Double(writes) + 6400)
  }

  @Test(arguments: [
    ["--weights", "mrs"], ["--weights", "mrs=1,mrs=2"], ["--weights", "mrs=x"],
    ["--weights", "mrs=-1"], ["--weights", "foo=1"],
    ["--hysteresis", "0"], ["--hysteresis", "65"], ["--format", "xml"],
  ])
  func usage(arguments: [String]) throws {
    #expect(try run(Whatif.self, [good] + arguments).code == 64)
  }

  @Test func nothingToCount() throws {
    #expect(try run(Whatif.self, ["/dev/null"]).code == 2)
    #expect(try run(Whatif.self, [good, "--generation", "5.0", "-k", "/dev/null"]).code == 2)
  }

  // MARK: explain

  @Test func explainListsEveryRule() throws {
    let (code, bytes) = try run(Explain.self, [])
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(code == 0)
    for rule in Rule.all { #expect(text.contains("  \(rule.id) ")) }
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test(arguments: Rule.all.map(\.id))
  func explainTellsARule(id: String) throws {
    let rule = try #require(Rule(id: id))
    let (code, bytes) = try run(Explain.self, [id])
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(code == 0)
    for line in rule.diagram.split(separator: "\n") { #expect(text.contains(line)) }
    for source in rule.history { #expect(text.contains(source.reference)) }
    #expect(
      text.split(separator: "\n").allSatisfy { $0.count <= 80 || $0.contains("https://") }, "\(id)")
  }

  @Test func explainInJSON() throws {
    let (_, bytes) = try run(Explain.self, ["--format", "json"])
    let shape = try JSONDecoder().decode(RulesShape.self, from: Data(bytes))
    #expect(shape.schema == "ptrauth-trace/rules/1")
    #expect(shape.rules.map(\.rule) == Rule.all.map(\.id))
    #expect(shape.rules.allSatisfy { !$0.judgedBy.isEmpty && !$0.diagram.isEmpty })
  }

  @Test func anUnknownRuleIsAUsageError() throws {
    #expect(try run(Explain.self, ["no-such-rule"]).code == 64)
    #expect(Nearest(to: "missed-host-sav", among: Rule.all.map(\.id)).name == "missed-host-save")
    #expect(Nearest(to: "isb", among: Rule.all.map(\.id)).name == "missing-isb")
    #expect(Nearest(to: "entirely-else", among: Rule.all.map(\.id)).name == nil)
  }

  /// Runs a subcommand and returns its exit code and what it wrote.
  private func run(
    _ command: any ParsableCommand.Type, _ arguments: [String]
  ) throws -> (code: Int32, output: [UInt8]) {
    let path = "/tmp/ptrauth-trace-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    do {
      var parsed = try command.parseAsRoot(arguments + ["-o", path, "-q"])
      try parsed.run()
    } catch {
      return (command.exitCode(for: error).rawValue, Corpus.bytes(path))
    }
    return (0, Corpus.bytes(path))
  }
}

private struct WhatIfShape: Decodable {
  struct Policy: Decodable {
    var policy: String
    var own: Bool
    var cost: [String: [UInt64?]]
    var weighted: [Double?]
    var rank: [Int]?
  }
  var schema: String
  var weights: [String: Double]
  var policies: [Policy]
}

private struct RulesShape: Decodable {
  struct Rule: Decodable {
    struct Judge: Decodable { var command: String }
    var rule: String
    var judgedBy: [Judge]
    var diagram: String
  }
  var schema: String
  var rules: [Rule]
}
