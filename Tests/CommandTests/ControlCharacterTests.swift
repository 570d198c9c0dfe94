import Glibc
import Testing
import ptrauth_trace

/// What comes from outside (file names, a recording's release and command line) cannot steer a terminal, nor
/// make a line of its own.
struct ControlCharacterTests {
  private static let sharedCase = Corpus.root + "/../shared/cases/control-characters/perf.data"
  static let formats: [(command: String, format: String)] =
    [
      "text", "json", "jsonl", "summary", "ktap", "junit", "sarif", "github", "kcidb", "lava",
      "csv",
    ].map { ("analyze", $0) } + [("info", "text"), ("info", "json")]

  /// A title, a cleared screen, a line, the 8-bit form of ESC [, and text that runs backwards.
  private static let name =
    "\u{1b}]0;x\u{7}\u{1b}[2J\nCLEAN: 13 of 13 correctness rules judged\r\u{9b}31m\u{202e}.data"

  /// Lines, and no other control characters.
  private func isPlain(_ text: String, but allowed: String = "\n") -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
      allowed.unicodeScalars.contains(scalar)
        || !((0..<0x20).contains(scalar.value) || (0x7f..<0xa0).contains(scalar.value)
          || (0x2028...0x202e).contains(scalar.value))
    }
  }

  @Test(arguments: formats)
  func namesOfFilesAreWrittenOut(_ command: String, _ format: String) throws {
    let directory = "/tmp/ptrauth-trace-controls-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    unsafe mkdir(directory, 0o700)
    defer { unsafe rmdir(directory) }
    let path = directory + "/" + Self.name
    Corpus.write(Corpus.bytes(Corpus.traces[1].directory + "/perf.data"), to: path)
    defer { unsafe unlink(path) }
    let run = try Program.run(Program.command, [command, "--format", format, path])
    #expect(!run.output.isEmpty)
    #expect(isPlain(run.output, but: format == "csv" ? "\r\n" : "\n"))
    #expect(isPlain(run.errors))
    for line in (run.output + run.errors).split(whereSeparator: \.isNewline) {
      #expect(!line.hasPrefix("CLEAN: 13"))
    }
  }

  /// Scripts that people run as root: a kernel's name is a comment of one line.
  @Test(arguments: ["tracefs", "perf", "trace-cmd", "bpftrace"])
  func scriptsHaveNoLineOfAName(recorder: String) throws {
    let directory = "/tmp/ptrauth-trace-controls-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    unsafe mkdir(directory, 0o700)
    defer { unsafe rmdir(directory) }
    let path = directory + "/\u{1b}[2J\n touch INJECTED\r\u{202e}\u{2028}touch"
    let vmlinux = Corpus.traces[1].vmlinux
    _ = unsafe symlink(vmlinux, path)
    defer { unsafe unlink(path) }
    let run = try Program.run(Program.command, ["probes", "--for", recorder, path])
    #expect(run.code == 0 && run.output.contains("touch INJECTED"))
    #expect(isPlain(run.output, but: "\n\t") && isPlain(run.errors))
    let plain = try Program.run(Program.command, ["probes", "--for", recorder, vmlinux])
    let lines = { (text: String) in text.split(separator: "\n").filter { !$0.contains("Kernel:") } }
    #expect(lines(run.output) == lines(plain.output))
  }

  @Test func errorsAreOneLine() throws {
    let run = try Program.run(Program.command, ["analyze", "/nonexistent/" + Self.name])
    #expect(run.code == 2)
    #expect(isPlain(run.errors))
    #expect(run.errors.split(separator: "\n").count == 1)
    #expect(run.errors.contains("\\x1b[2J\\nCLEAN"))
    let wrong = try Program.run(Program.command, ["analyze", "--format", "\u{1b}[2J"])
    #expect(wrong.code == 64)
    #expect(isPlain(wrong.errors))
  }

  /// A file may be called like an option that there is not.
  @Test(arguments: [
    ["analyze", "--rule", "x\n::error::forged", "README.md"], ["analyze", "--x\n::error::forged"],
    ["analyze", "--format=x\n::error::forged", "README.md"], ["explain", "x\n::error::forged"],
    ["x\n::error::forged"],
  ])
  func usageErrorsMakeNoLine(arguments: [String]) throws {
    let run = try Program.run(Program.command, arguments)
    #expect(run.code != 0 && run.errors.contains("\\n::error::forged"))
    #expect(!run.errors.split(separator: "\n").contains { $0.hasPrefix("::") })
  }

  @Test func pagesTurnNoText() throws {
    let path = "/tmp/ptrauth-trace-turned-\(getpid())\u{202e}\u{2066}\u{9b}\u{61c}.data"
    Corpus.write(Corpus.bytes(Corpus.traces[1].directory + "/perf.data"), to: path)
    defer { unsafe unlink(path) }
    let run = try Program.run(Program.command, ["analyze", "--format", "html", path])
    #expect(run.output.contains("\\u{202e}\\u{2066}\\x9b\\u{61c}.data"))
    #expect(isPlain(run.output))
  }

  @Test(.enabled(if: Corpus.exists(sharedCase), "needs ../shared/cases"), arguments: formats)
  func whatARecordingSaysIsWrittenOut(_ command: String, _ format: String) throws {
    let run = try Program.run(Program.command, [command, "--format", format, Self.sharedCase])
    #expect(isPlain(run.output, but: format == "csv" ? "\r\n" : "\n"))
    #expect(isPlain(run.errors))
    for line in (run.output + run.errors).split(whereSeparator: \.isNewline) {
      #expect(!line.hasPrefix("CLEAN"))
    }
    if format == "text" {
      #expect(run.output.contains("\\x1b[32m\\nCLEAN:"))
    }
  }

  /// Colours are the page's own, and only those.
  @Test(.enabled(if: Corpus.exists(sharedCase), "needs ../shared/cases"))
  func coloursStay() throws {
    let run = try Program.run(
      Program.command, ["analyze", "--color", "always", Self.sharedCase])
    #expect(run.output.hasPrefix("\u{1b}[1;33m"))
    #expect(!run.output.contains("\u{1b}[32m") && !run.output.contains("\u{1b}]"))
    #expect(run.output.contains("\\x1b[32m"))
  }
}
