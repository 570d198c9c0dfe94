import FoundationEssentials
import Glibc
import Replay
import Report
import Testing

/// A timeline's runs laid beside what the CPU did, by traces/lab/truth/truth-check.
struct TruthScore: Decodable {
  var runs: Int
  var matched: Int
  /// All four bits known, and as the CPU had them.
  var agree: Int
  var unknown: Int
  var contradict: Int
  /// Runs of the log within the recorded window.
  var truthInside: Int
  var examples: [String]

  static let script = Corpus.root + "/traces/lab/truth/truth-check"

  private struct Answer: Decodable { var analyses: [TruthScore] }

  /// Of each timeline, against one log: it is read once.
  static func of(_ timelines: [[Run]], _ corpus: Corpus) throws -> [TruthScore] {
    let base = "/tmp/ptrauth-trace-truth-\(getpid())-\(UInt64.random(in: 0 ... .max))."
    let paths = timelines.indices.map { "\(base)\($0).jsonl" }
    defer { for path in paths { unsafe unlink(path) } }
    for (path, runs) in zip(paths, timelines) {
      var lines = TimelineLines()
      var bytes = lines.begin()
      for run in runs { bytes += lines.add(.run(run)) }
      Corpus.write(bytes, to: path)
    }
    let ran = try Program.run(script, ["--json"] + paths + [corpus.directory + "/gt.log.zst"])
    try #require([0, 1, 2].contains(ran.code), "\(ran.errors)")
    return try JSONDecoder().decode(Answer.self, from: Data(ran.output.utf8)).analyses
  }

  static func of(_ runs: [Run], _ corpus: Corpus) throws -> TruthScore {
    try #require(try of([runs], corpus).first)
  }
}
