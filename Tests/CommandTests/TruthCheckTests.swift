import FoundationEssentials
import Testing

/// traces/lab/truth/truth-check itself, on timelines that are known to be right.
struct TruthCheckTests {
  private static let timeline = Corpus.root + "/Tests/CommandTests/Golden/v7-good.jsonl"
  private static let log = Corpus.root + "/traces/v7-good/gt.log.zst"

  /// `change` is a sed script for the timeline.
  private func check(_ change: String = "", log: String = Self.log) throws -> Program {
    let setup = """
      scratch=$(mktemp -d /tmp/ptrauth-trace-truth.XXXXXX)
      trap 'rm -rf "$scratch"' EXIT
      sed '\(change)' \(Self.timeline) > "$scratch/a.jsonl"
      \(TruthScore.script) "$scratch/a.jsonl" \(log)
      """
    return try Program.run("bash", ["-c", setup])
  }

  @Test func whatIsRightHolds() throws {
    let run = try check()
    #expect(run.code == 0, "\(run.errors)")
    #expect(run.output.contains("170 as the CPU had them\n         0 not wholly known\n"))
    #expect(run.output.contains("\n      1402 entries to a guest\n"))
  }

  @Test func oneWrongBitIsAContradiction() throws {
    let run = try check(#"0,/"api":\[1,1\]/s//"api":[1,0]/"#)
    #expect(run.code == 1)
    #expect(
      run.output.contains("\n         1 contradict the CPU\n           API at exit of the run"))
  }

  @Test func whatIsNotKnownIsNoContradiction() throws {
    let run = try check(#"0,/"api":\[1,1\]/s//"api":[1,null]/"#)
    #expect(run.code == 0)
    #expect(run.output.contains("\n         1 not wholly known\n"))
  }

  @Test func anotherRunsLogIsSaid() throws {
    let run = try check(log: Corpus.root + "/traces/deb-6.1-good/gt.log.zst")
    #expect(run.code == 2)
    #expect(run.output.contains("170 not found in the log"))
  }

  @Test(arguments: ["/dev/null/none", Corpus.root + "/README.md.zst", Self.timeline])
  func aLogThatIsNone(log: String) throws {
    let run = try check(log: log)
    #expect(run.code == 64, "\(run.output)\(run.errors)")
    #expect(run.errors.contains("truth-check: "))
  }

  /// The figures that whoever made the recordings counted.
  @Test(
    .enabled(if: Corpus.hasShared, "needs ../shared"),
    arguments: Corpus.all.filter { $0.fact("passes_enabled") != nil })
  func figuresAreTheRecordings(corpus: Corpus) throws {
    struct Answer: Decodable { var cpu: [String: Int] }
    let ran = try Program.run(
      TruthScore.script, ["--json", Self.timeline, corpus.directory + "/gt.log.zst"])
    let cpu = try JSONDecoder().decode(Answer.self, from: Data(ran.output.utf8)).cpu
    for (name, fact) in [
      "loads": "loads", "passes": "passes", "passes_enabled": "passes_enabled", "traps": "traps",
      "host_keys_corrupted": "host_key_corruptions", "guest_keys_lost": "guest_key_losses",
      "unrestored_entries": "unrestored_enters", "traps_while_enabled": "traps_enabled",
    ] {
      guard let counted = corpus.fact(fact).flatMap({ Int($0) }) else { continue }
      #expect(cpu[name] == counted, "\(name)")
    }
  }
}
