import Glibc
import Testing
import ptrauth_trace

/// What people type.
struct CommandLineTests {
  private let good = Corpus.traces[1].recording

  private func run(_ arguments: String...) throws -> Program {
    try Program.run(Program.command, arguments)
  }

  @Test(arguments: [
    ("anlyze", "analyze"), ("analyz", "analyze"), ("Analyze", "analyze"), ("inof", "info"),
    ("what-if", "whatif"), ("comapre", "compare"), ("aduit", "audit"),
    ("rec", "record"),
  ])
  func aNearMissIsSuggested(_ word: String, _ command: String) throws {
    let run = try run(word, "perf.data")
    #expect(run.code == 64 && run.output.isEmpty)
    #expect(run.errors.contains("did you mean `ptrauth-trace \(command)`?"))
  }

  @Test func theOtherSpellingIsTaken() throws {
    let british = try run("analyse", "-q", good)
    let american = try run("analyze", "-q", good)
    #expect(british.code == 0 && british.output == american.output)
    #expect(try run("help", "analyse").code == 0)
  }

  @Test func aRecordingAloneIsToldItsCommand() throws {
    let run = try run(good)
    #expect(run.code == 64)
    #expect(run.errors.contains("ptrauth-trace analyze \(good)"))
    #expect(try self.run("frobnicate").errors.contains("there are analyze, merge, compare"))
    // A bisection stops, whatever was mistyped.
    #expect(try self.run("anlyze", "--exit-code", "bisect", good).code == 129)
  }

  /// The two files that everybody has, in the wrong place.
  @Test func aVmlinuxIsNoRecording() throws {
    let vmlinux = Corpus.traces[1].vmlinux
    let alone = try run(vmlinux)
    #expect(alone.code == 64 && alone.errors.contains("ptrauth-trace audit \(vmlinux)"))
    let both = try run("analyze", "-q", good, vmlinux)
    let words = (both.output + both.errors).split(whereSeparator: \.isWhitespace)
    #expect(both.code == 2 && words.joined(separator: " ").contains("give it with -k"))
    #expect(try run("info", vmlinux).errors.contains("this is an ELF file, no recording"))
  }

  @Test func optionsFollowTheRecordingsOfCompare() throws {
    let first = try run("compare", "-q", "--format", "json", good, "--", good)
    #expect(first.code == 0)
    for arguments in [
      [good, "--", good, "-q", "--format", "json"], [good, "--format", "json", good, "-q"],
      [good, "-q", "--", "--format", "json", good],
    ] {
      let run = try Program.run(Program.command, ["compare"] + arguments)
      #expect(run.code == 0 && run.output == first.output)
    }
    #expect(try run("compare", good, "--help").output.hasPrefix("OVERVIEW"))
    #expect(try run("compare", good, "--", good, "--no-such").code == 64)
  }

  @Test func severalRecordingsHaveAnInfoEach() throws {
    let other = Corpus.traces[1].directory + "/trace.dat"
    let text = try run("info", good, other)
    #expect(text.code == 0)
    #expect(text.output.split(separator: "\n").count { $0.hasPrefix("SUFFICES") } == 2)
    let json = try run("info", "--format", "json", good, "/nonexistent", other)
    #expect(json.code == 2)
    #expect(json.output.hasPrefix("[\n{") && json.output.hasSuffix("}\n]\n"))
    #expect(json.output.split(separator: "\n").count { $0.contains("ptrauth-trace/info/1") } == 3)
    let whatif = try run("whatif", "--format", "json", good, other)
    #expect(whatif.code == 0)
    #expect(
      whatif.output.split(separator: "\n").count { $0.contains("ptrauth-trace/whatif/1") } == 2)
    #expect(try run("whatif", good, "/nonexistent").code == 2)
  }

  /// `"$FILE"` where nothing set FILE.
  @Test(arguments: [
    ["analyze", ""], ["analyze", "-o", "", "perf.data"], ["audit", ""], ["info", "--formats="],
    ["compare", "a", "--", ""], ["", "analyze"], ["record", "-o", "", "--", "true"],
  ])
  func anEmptyArgumentIsNoFile(_ arguments: [String]) throws {
    let run = try Program.run(Program.command, arguments)
    #expect(run.code == 64 && run.output.isEmpty)
    #expect(run.errors.contains("is a variable not set?"))
  }

  /// Of a recording that needs none.
  @Test(arguments: ["--formats", "--btf"])
  func aFileThatIsNotThereIsSaid(_ option: String) throws {
    let traceDat = Corpus.traces[1].directory + "/trace.dat"
    let run = try run("analyze", traceDat, option, "/nonexistent/file")
    #expect(run.code == 2 && run.output.isEmpty)
    #expect(run.errors.contains("\(option) /nonexistent/file: there is no such file"))
  }

  /// What info ends with.
  @Test func theCommandThatRecordsWhatIsMissing() throws {
    let text = try run("info", good).output
    #expect(text.contains("\nNext\n  ptrauth-trace record -k "))
    // One count of events: perf's, and how many of them were used.
    #expect(text.contains("25543 in all, 16298 of them used"))
    let analyze = try run("analyze", "-q", good).output
    #expect(
      analyze.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        .contains("16298 of 25543 events used"))
  }
}
