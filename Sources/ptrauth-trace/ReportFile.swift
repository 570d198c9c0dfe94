import Bytes
import FoundationEssentials
import Ptrauth
import Regression
import Replay
import Report

/// A report of `analyze --format json`, read back.
enum ReportFile {
  /// What its documents say; nil if `path` is no report. An array of documents is several recordings.
  static func read(_ path: String) throws(Problem) -> [Sample]? {
    guard let data = whole(path) else { return nil }
    let head = Array(data.prefix(4096))
    guard schemas.contains(where: { head.firstRange(of: $0) != nil }) else { return nil }
    guard data.count <= limit else {
      throw Problem("\(path): a report of more than \(limit >> 20) MiB is not read")
    }
    let shapes: [Shape]
    do {
      shapes =
        data.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\n") } == UInt8(ascii: "[")
        ? try JSONDecoder().decode([Shape].self, from: data)
        : [try JSONDecoder().decode(Shape.self, from: data)]
    } catch {
      throw Problem(
        "\(path): begins as a report of ptrauth-trace, but is not one to its end; write it again "
          + "with analyze --format json")
    }
    return shapes.map { sample($0, path, isOne: shapes.count == 1) }
  }

  /// Of documents that are read: what changed between them is not looked at here.
  private static let schemas = [JSONFormat.analysis.name, "ptrauth-trace/analysis/1"].map {
    Array("\"\($0)\"".utf8)
  }
  private static let limit = 64 << 20

  /// The whole of a file that begins like JSON.
  private static func whole(_ path: String) -> Data? {
    guard path != "-", let file = try? MappedFile(path: path) else { return nil }
    let bytes = file.bytes
    guard let first = bytes.u8(at: 0), first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    else { return nil }
    guard let part = bytes.slice(at: 0, count: min(bytes.byteCount, limit + 1)) else { return nil }
    return Data(part.copied())
  }

  private static func sample(_ shape: Shape, _ path: String, isOne: Bool) -> Sample {
    let name = isOne ? path : "\(path): \(shape.recording.path)"
    guard shape.error == nil, let verdict = Analysis.Verdict(word: shape.verdict) else {
      return Sample(unreadable: name)
    }
    var total = Counters()
    total.keySwitchesAreExact = !(shape.vcpus ?? []).isEmpty
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
      counters.keySwitchesAreExact = !vcpu.lowerBounds.contains("keySwitches")
      counters.loadsAreLowerBounds = vcpu.lowerBounds.contains("loads")
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
        .reduce(0) { $0 + ($1.cost.map { $0.reads + $0.writes } ?? 0) })
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
  }
}

extension Analysis.Verdict {
  fileprivate init?(word: String) {
    let all: [Self] = [.findings, .incomplete, .cannotJudge, .clean, .unusable]
    guard let found = all.first(where: { $0.word == word }) else { return nil }
    self = found
  }
}
