import FoundationEssentials
import Ptrauth
import Replay

extension Sample {
  /// None of its sums is larger than any recording's.
  package var isPossible: Bool {
    let sums =
      counters.counts + [redundantAccesses, findings.reduce(0) { Counters.sum($0, $1.count) }]
    return sums.allSatisfy { $0 <= ReportDocument.countLimit }
  }
}

/// The text of a report of `analyze --format json`, read back.
public enum ReportDocument {
  /// Why a text that begins like a report says nothing.
  public enum Failure: Error, Sendable, Equatable {
    /// It is not one to its end.
    case damaged
    /// A count is larger than any recording's: its bytes would not fit on a disk.
    case impossibleCount
    /// It shows a part of its recording: what it leaves out would seem fixed.
    case isFiltered
  }

  /// Sums over vCPUs and products with the cost of a switch stay far below 64 bits.
  package static let countLimit: UInt64 = 1 << 48

  /// What its documents say: an array of documents is several recordings.
  ///
  /// - Parameter name: of the file, for ``Sample/name``.
  public static func samples(in text: [UInt8], name: String) throws(Failure) -> [Sample] {
    let shapes: [Shape]
    do {
      let data = Data(text)
      shapes =
        text.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\n") } == UInt8(ascii: "[")
        ? try JSONDecoder().decode([Shape].self, from: data)
        : [try JSONDecoder().decode(Shape.self, from: data)]
    } catch {
      throw .damaged
    }
    guard shapes.allSatisfy({ $0.filtered == nil }) else { throw .isFiltered }
    let samples = shapes.map { sample($0, name, isOne: shapes.count == 1) }
    guard samples.allSatisfy(\.isPossible) else { throw .impossibleCount }
    return samples
  }

  private static func sample(_ shape: Shape, _ path: String, isOne: Bool) -> Sample {
    let name = isOne ? path : "\(path): \(shape.recording.path)"
    guard shape.error == nil, let verdict = Analysis.Verdict(word: shape.verdict) else {
      return Sample(unreadable: name)
    }
    var total = Counters()
    if shape.vcpus?.isEmpty == false { total.bounds = CounterBounds() }
    var hasGuestTime = true
    for vcpu in shape.vcpus ?? [] {
      let c = vcpu.counters
      var counters = Counters()
      counters.loads = c.loads
      counters.puts = c.puts
      counters.runs = c.runs
      counters.knownRuns = c.knownRuns
      counters.enabledRuns = c.enabledRuns
      counters.instructionTraps = c.traps.pac
      counters.registerTraps = c.traps.keyRegister
      counters.hiddenTraps = c.traps.hidden
      counters.undefs = c.undefs
      counters.hostSaves = c.hostSaves
      counters.keySwitches = c.keySwitches
      counters.guestTime = c.guestTime ?? 0
      counters.bounds = CounterBounds(lower: CounterSet(names: vcpu.lowerBounds))
      if c.guestTime == nil { hasGuestTime = false }
      total.add(counters, hasFeature: vcpu.feature != "none" && vcpu.feature != "partial")
    }
    let hidden = shape.notObservable ?? []
    let generation = shape.kernel?.generation.map { name in
      "scheme \(name)" + (shape.kernel?.generationId.map { " (\($0))" } ?? "")
    }
    // A report from before the code was audited says nothing of what only the code shows.
    let unasked =
      shape.code == nil
      ? Analysis.judgedRules.filter { !$0.isJudged(by: .events) }.map(\.id) : []
    var sample = Sample(
      name: name, verdict: verdict,
      isIncomplete: shape.recording.eventsMissing ?? (shape.recording.incomplete ?? true)
        || verdict == .incomplete,
      kernel: [shape.recording.osrelease, generation].compactMap(\.self).joined(separator: ", "),
      findings: (shape.findings ?? []).map { found in
        Sample.Found(
          rule: found.rule, severity: Rule.Severity(name: found.severity) ?? .medium,
          level: found.level, isCorrectness: found.correctness, count: found.count,
          statement: found.statement)
      }, hidden: Set(hidden.filter { $0.applies ?? true }.map(\.rule) + unasked),
      impossible: Set(hidden.filter { !($0.applies ?? true) }.map(\.rule)), counters: total,
      guestTime: hasGuestTime ? total.guestTime : nil,
      redundantAccesses: (shape.findings ?? [])
        .filter { !$0.correctness && $0.rule != Rule.lazyThrash.id }
        .compactMap(\.cost).flatMap { [$0.reads, $0.writes] }.reduce(0, Counters.sum))
    sample.inCode = Set(shape.code?.rules ?? [])
    return sample
  }

  /// The document of JSONReport, as far as a comparison reads it.
  private struct Shape: Decodable {
    struct Recording: Decodable {
      var path: String
      var osrelease: String?
      var incomplete: Bool?
      var eventsMissing: Bool?
    }
    struct Kernel: Decodable {
      var generation: String?
      var generationId: String?
    }
    struct VCPU: Decodable {
      struct Counters: Decodable {
        struct Traps: Decodable {
          var pac: UInt64
          var keyRegister: UInt64
          var hidden: UInt64
        }
        var loads: UInt64
        var puts: UInt64
        var runs: UInt64
        var knownRuns: UInt64
        var enabledRuns: UInt64
        var traps: Traps
        var undefs: UInt64
        var hostSaves: UInt64
        var keySwitches: UInt64
        var guestTime: UInt64?
      }
      var feature: String?
      var counters: Counters
      var lowerBounds: [String]
    }
    struct Finding: Decodable {
      struct Cost: Decodable {
        var reads: UInt64
        var writes: UInt64
      }
      var rule: String
      var level: String
      var severity: String
      var correctness: Bool
      var count: UInt64
      var statement: String
      var cost: Cost?
    }
    struct Code: Decodable { var rules: [String] }
    struct Filtered: Decodable {}
    struct Hidden: Decodable {
      var rule: String
      var applies: Bool?
    }
    var recording: Recording
    var kernel: Kernel?
    var verdict: String
    var error: String?
    var vcpus: [VCPU]?
    var findings: [Finding]?
    var notObservable: [Hidden]?
    var code: Code?
    var filtered: Filtered?
  }
}

extension Analysis.Verdict {
  fileprivate init?(word: String) {
    let all: [Self] = [.findings, .incomplete, .cannotJudge, .clean, .unusable]
    guard let found = all.first(where: { $0.word == word }) else { return nil }
    self = found
  }
}
