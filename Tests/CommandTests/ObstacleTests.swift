import Glibc
import Testing
import ptrauth_trace

/// Why nothing could be followed: the reason that holds, and no other.
struct ObstacleTests {
  private static let cases = Corpus.root + "/../shared/cases"
  private static let hasCases = Corpus.exists(cases + "/no-release/perf.data")

  private func info(_ text: String) throws -> Program {
    let path = "/tmp/ptrauth-trace-obstacle-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    Corpus.write(Array(text.utf8), to: path)
    defer { unsafe unlink(path) }
    return try Program.run(Program.command, ["info", path])
  }

  /// A mail breaks the lines behind "PC:".
  @Test func wrappedLines() throws {
    let run = try info(
      """
             vcpu-0-88776   [001] ...1.  6076.581774: kvm_exit: TRAP:\u{20}
      HSR_EC: 0x0018 (SYS64), PC: 0x0000000080528a6c
             vcpu-0-88776   [001] d..1.  6076.581774: kvm_entry: PC:\u{20}
      0x0000000080528a6c
             vcpu-0-88776   [001] d..1.  6076.581776: kvm_entry: PC:\u{20}
      0x0000000080528a90

      """)
    #expect(run.code == 2)
    #expect(run.output.hasPrefix("DOES NOT SUFFICE: 2 kvm_entry are there, and not one"))
    #expect(run.output.contains("unwrapped") && !run.output.contains("never hit"))
  }

  /// What is cut off may hold guests, and was recorded.
  @Test(arguments: [5, 10, 20, 30])
  func cutInFrontOfTheFirstGuest(percent: Int) throws {
    let whole = Corpus.bytes(Corpus.traces[1].recording)
    let path = "/tmp/ptrauth-trace-obstacle-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    Corpus.write(Array(whole.prefix(whole.count * percent / 100)), to: path)
    defer { unsafe unlink(path) }
    for command in [["info"], ["analyze", "--no-audit", "-k", Corpus.traces[1].vmlinux]] {
      let run = try Program.run(Program.command, command + [path])
      #expect(run.code != 0)
      #expect(!run.output.contains("no guest ran meanwhile"))
      #expect(!run.output.contains("no kvm_entry was recorded"))
    }
  }

  @Test func entriesWithoutExits() throws {
    let run = try info(
      "       vcpu-0-88776   [001] d..1.  6076.581774: kvm_entry: PC: 0x0000000080528a6c\n")
    #expect(!run.output.contains("never hit"))
  }

  @Test(.enabled(if: hasCases, "needs ../shared/cases"))
  func aMailIsSaidToBeWrapped() throws {
    let run = try Program.run(
      Program.command, ["info", Self.cases + "/never-hit-sentence/mail-nv11.txt"])
    #expect(run.output.hasPrefix("DOES NOT SUFFICE: 3 kvm_entry are there"))
    #expect(!run.output.contains("never hit"))
    let x86 = try Program.run(
      Program.command, ["info", Self.cases + "/never-hit-sentence/x86.txt"])
    #expect(x86.output.contains("x86's") && !x86.output.contains("never hit"))
  }

  @Test(.enabled(if: hasCases, "needs ../shared/cases"))
  func aReleaseThatIsKnownIsSaid() throws {
    let path = Self.cases + "/no-release/perf.data"
    for command in ["info", "analyze"] {
      let run = try Program.run(Program.command, [command, path])
      #expect(run.code == 2)
      #expect(!run.output.contains("no release"))
      let words = run.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      #expect(words.contains("the release 4.19.90-arm64 is none that switches keys"))
      #expect(words.contains("pass -k vmlinux"))
    }
    let json = try Program.run(Program.command, ["info", "--format", "json", path])
    #expect(json.output.contains("the release 4.19.90-arm64"))
  }

  /// `perf script -F time`: every sample has a time, and none a pCPU.
  @Test(.enabled(if: hasCases, "needs ../shared/cases"))
  func samplesWithoutACPUHaveTimes() throws {
    let path = Self.cases + "/no-event-has-a-time/perf.data"
    let text = try Program.run(Program.command, ["info", path])
    #expect(text.output.contains("perf: 4062.064838391 to 4062.381953520 (0.317 s)"))
    #expect(text.output.contains("which pCPU an event was on is not recorded"))
    let json = try Program.run(Program.command, ["info", "--format", "json", path])
    #expect(json.output.contains("\"begin\": 4062064838391"))
    #expect(json.output.contains("\"end\": 4062381953520"))
    // perf's own names, though the file has none.
    for name in ["cpu-clock", "task-clock", "context-switches"] {
      #expect(json.output.contains("\"\(name)\""))
    }
  }
}
