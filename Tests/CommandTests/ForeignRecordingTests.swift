import ArgumentParser
import Glibc
import Testing
import ptrauth_trace

/// A recording of another architecture, and texts that are no recording, in a sentence or two.
struct ForeignRecordingTests {
  private static let cases = Corpus.root + "/../shared/cases"
  private static let perf = cases + "/foreign-scheme/perf.data"

  private func withFile(
    _ bytes: [UInt8], _ body: (String) throws -> Void
  ) throws {
    let path = "/tmp/ptrauth-trace-foreign-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    Corpus.write(bytes, to: path)
    defer { unsafe unlink(path) }
    try body(path)
  }

  private func isWithoutAdvice(_ text: String) -> Bool {
    let text = text.replacing("foreign-scheme", with: "")
    return !["scheme", "vmlinux", "probe", "record with", "not observable", "G3"].contains {
      text.lowercased().contains($0)
    }
  }

  /// x86's events in ftrace's text.
  private static let x86 = """
    # tracer: nop
    #
           kvm-vcpu-0-88776   [001] d..1.  10.000001: kvm_entry: vcpu 0, rip 0xffffffff8105e4b6
           kvm-vcpu-0-88776   [001] d..1.  10.000005: kvm_exit: vcpu 0 reason EPT_VIOLATION rip 0xffffffff8105e4b6 info1 0x181 info2 0x0

    """

  @Test func textOfAnotherArchitecture() throws {
    try withFile(Array(Self.x86.utf8)) { path in
      let analyze = try Program.run(Program.command, ["analyze", path])
      #expect(analyze.code == 2)
      #expect(analyze.output.hasPrefix("UNUSABLE: its kvm_entry is x86's, not arm64's"))
      #expect(isWithoutAdvice(analyze.output + analyze.errors))
      let info = try Program.run(Program.command, ["info", path])
      #expect(info.code == 2)
      #expect(info.output.hasPrefix("DOES NOT SUFFICE: its kvm_entry is x86's"))
      #expect(!info.output.contains("never hit"))
      #expect(!info.output.contains("scheme") && !info.output.contains("vmlinux"))
    }
  }

  @Test(
    .enabled(if: Corpus.exists(perf), "needs ../shared/cases"),
    arguments: [
      "text", "json", "jsonl", "html", "perfetto", "ktap", "junit", "sarif", "github", "kcidb",
      "lava",
    ])
  func everyFormatSaysWhereItWasMade(_ format: String) throws {
    let run = try Program.run(Program.command, ["analyze", "--format", format, Self.perf])
    #expect(run.code == 2)
    let all = run.output + run.errors
    #expect(all.contains("the recording was made on x86_64"))
    #expect(!all.contains("pass -k") && !all.contains("pass it with -k"))
    #expect(!all.contains("from the release") && !all.contains("kvm_vgic_flush_hwstate"))
    if format == "text" { #expect(isWithoutAdvice(all)) }
    let bisect = try Program.run(
      Program.command, ["analyze", "--exit-code", "bisect", "--format", format, Self.perf])
    #expect(bisect.code == 125)
  }

  @Test(.enabled(if: Corpus.exists(perf), "needs ../shared/cases"))
  func infoShowsWhatIsThere() throws {
    let run = try Program.run(Program.command, ["info", Self.perf])
    #expect(run.code == 2)
    #expect(run.output.hasPrefix("DOES NOT SUFFICE: the recording was made on x86_64"))
    #expect(!run.output.contains("\nscheme") && !run.output.contains("vmlinux"))
    #expect(!run.output.contains("Rules that can be judged"))
    #expect(run.output.contains("814 in all"))
    let json = try Program.run(Program.command, ["info", "--format", "json", Self.perf])
    #expect(json.output.contains("\"generation\": null"))
    #expect(!json.output.contains("kvm_vgic_flush_hwstate"))
    // Several recordings: the others are judged.
    let several = try Program.run(
      Program.command, ["analyze", Self.perf, Corpus.traces[1].recording])
    #expect(several.code == 2)
    #expect(several.output.contains("1 unusable, 1 clean"))
  }

  /// Kinds of text, and what is said of each.
  static let texts: [(text: [UInt8], words: String)] = [
    (
      Array(
        """
        # tracer: function_graph
        #
        # CPU  DURATION                  FUNCTION CALLS
        # |     |   |                     |   |   |   |
         0)               |  do_sys_open() {
         0)   0.633 us    |    getname();

        """.utf8), "the tracer `function_graph`"
    ),
    (Array("{\"traceEvents\":[{\"ph\":\"X\",\"ts\":1}]}".utf8), "the JSON of Chrome's tracing"),
    (
      Array("{\"traceEvents\":[],\"systemTraceEvents\":\"# tracer: nop\\n\"}".utf8),
      "jq -r .systemTraceEvents"
    ),
    (
      [0xff, 0xfe] + "# tracer: nop\n".utf8.flatMap { [$0, 0] as [UInt8] }, "iconv -f UTF-16"
    ),
    ("# tracer: nop, and more\n".utf8.flatMap { [0, $0] as [UInt8] }, "iconv -f UTF-16"),
    (Array("{\n  \"schema\": \"ptrauth-trace/analysis/1\"\n}\n".utf8), "a report of ptrauth-trace"),
  ]

  @Test(arguments: texts.indices)
  func textsThatAreNoRecordings(_ index: Int) throws {
    let (text, words) = Self.texts[index]
    try withFile(text) { path in
      for command in ["analyze", "info"] {
        let run = try Program.run(Program.command, [command, path])
        #expect(run.code == 2)
        #expect(run.errors.contains(words), "\(run.errors)")
        #expect(run.errors.split(separator: "\n").count == 1)
        #expect(run.output.isEmpty && isWithoutAdvice(run.errors))
      }
    }
  }
}
