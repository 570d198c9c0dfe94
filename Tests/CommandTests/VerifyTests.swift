import ArgumentParser
import FoundationEssentials
import Glibc
import Testing
import ptrauth_trace

/// `verify` as a user runs it.
struct VerifyTests {
  private func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
    let path = "/tmp/ptrauth-trace-verify-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    let command = try Verify.parse(arguments + ["-q", "-o", path])
    var code: Int32 = 0
    do { try command.run() } catch let exit as ExitCode { code = exit.rawValue }
    return (code, String(decoding: Corpus.bytes(path), as: UTF8.self))
  }

  private let small = ["--vcpus", "1", "--tasks", "0"]

  @Test func aKnownDefectIsNamedAndNoFailure() throws {
    let (code, text) = try run(["--generation", "v7"] + small)
    #expect(code == 0)
    #expect(text.hasPrefix("HOLDS, but for known defects of this generation: I8\n"))
    #expect(text.contains("Ended by ef3e40a7ea8d"))
    let strict = try run(["--generation", "v7", "--strict"] + small)
    #expect(strict.code == 1)
    #expect(strict.output.hasPrefix("VIOLATED: I8, by known defects of this generation\n"))
    let fixed = try run(["--generation", "5.6.19", "--strict"] + small)
    #expect(fixed.code == 0 && fixed.output.hasPrefix("HOLDS\n"))
  }

  @Test func theEarlyReturnOfV7() throws {
    let (code, text) = try run(["--generation", "v7", "--features", "partial"] + small)
    #expect(code == 0)
    #expect(text.contains("I11, I12"))
    #expect(text.contains("not loaded again"))
    let merged = try run(["--generation", "5.2", "--features", "partial"] + small)
    #expect(merged.output.hasPrefix("HOLDS\n"))
  }

  @Test func aFaultFailsInEveryDialect() throws {
    let fault = ["--fault", "trap-skips-host-save"] + small
    let (code, text) = try run(fault)
    #expect(code == 1 && text.hasPrefix("VIOLATED: "))
    #expect(text.contains("kvm_entry") && text.contains("<== I1"))
    #expect(try run(fault + ["--exit-code", "bisect"]).code == 1)
  }

  @Test func tooManyStatesCannotBeJudged() throws {
    let few = ["--generation", "5.16", "--limit", "10"] + small
    #expect(try run(few).code == 2)
    #expect(try run(few).output.hasPrefix("UNDECIDED"))
    #expect(try run(few + ["--exit-code", "bisect"]).code == 125)
  }

  @Test func jsonSaysTheSame() throws {
    let text = try run(["--fault", "trap-skips-host-save", "--format", "json"] + small).output
    let shape = try JSONDecoder().decode(Shape.self, from: Data(text.utf8))
    #expect(shape.schema == "ptrauth-trace/verification/1" && shape.verdict == "violated")
    #expect(shape.invariants.map(\.id) == (1...13).map { "I\($0)" })
    let first = try #require(shape.invariants.first)
    #expect(first.outcome == "violated")
    #expect(first.counterexample?.trace.last?.breaks == ["I1"])
    #expect(shape.explored.complete)
  }

  private struct Shape: Decodable {
    var schema, verdict: String
    var explored: Explored
    var invariants: [Outcome]
    struct Explored: Decodable { var complete: Bool }
    struct Outcome: Decodable {
      var id, outcome: String
      var counterexample: Trace?
    }
    struct Trace: Decodable { var trace: [Line] }
    struct Line: Decodable { var breaks: [String] }
  }

  @Test(arguments: ["v7", "5.6.19", "5.9", "6.10"])
  func graphvizReadsTheAutomaton(generation: String) throws {
    let dot = try run(["--generation", generation, "--dot"]).output
    let drawn = try Program.run("dot", ["-Tplain"], input: dot)
    #expect(drawn.code == 0 && drawn.errors.isEmpty)
    let nodes = drawn.output.split(separator: "\n").filter { $0.hasPrefix("node ") }
    let edges = drawn.output.split(separator: "\n").filter { $0.hasPrefix("edge ") }
    #expect(nodes.count == dot.split(separator: "\n").filter { $0.hasPrefix("\t{node ") }.count)
    #expect(edges.count == dot.split(separator: "\n").filter { $0.contains(" -> ") }.count)
  }

  @Test(arguments: [
    ["--generation", "7"], ["--fault", "none"], ["--era", "D"], ["--vcpus", "4"], ["--pcpus", "0"],
    ["--tasks", "-1"], ["--features", "both,some"], ["--features", ""], ["--dot"],
    ["--format", "json"], ["--fault", "stale-host-context", "--generation", "6.10"],
  ])
  func wrongUseIsRefused(arguments: [String]) {
    #expect(throws: (any Error).self) { try Verify.parse(arguments) }
  }
}
