import Glibc
import Testing
import ptrauth_trace

/// A recording without its vmlinux, as on everybody's first run.
struct FirstRunTests {
  private func alone(_ body: (String) throws -> Void) throws {
    let directory = "/tmp/ptrauth-trace-first-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    unsafe mkdir(directory, 0o700)
    defer { unsafe rmdir(directory) }
    let path = directory + "/a recording.data"
    Corpus.write(Corpus.bytes(Corpus.traces[1].recording), to: path)
    defer { unsafe unlink(path) }
    try body(path)
  }

  private func firstLine(_ run: Program) -> Substring {
    run.output.prefix { $0 != "\n" }
  }

  @Test func theFirstLineHasTheCommandThatHelps() throws {
    try alone { path in
      for command in ["analyze", "info"] {
        let run = try Program.run(Program.command, [command, path])
        #expect(run.code == 2)
        #expect(
          firstLine(run).hasSuffix(
            "no vmlinux was found, give it: ptrauth-trace \(command) -k vmlinux '\(path)'"))
        #expect(!run.output.contains("Cannot happen here"))
        #expect(!run.output.contains("not sampled"))
      }
      let html = try Program.run(Program.command, ["analyze", "--format", "html", path])
      #expect(html.output.contains("give it: ptrauth-trace analyze -k vmlinux"))
      let github = try Program.run(Program.command, ["analyze", "--format", "github", path])
      #expect(github.output.contains("give it: ptrauth-trace analyze -k vmlinux"))
      // And it helps.
      let with = try Program.run(
        Program.command, ["analyze", "-k", Corpus.traces[1].vmlinux, path])
      #expect(with.code == 0)
      #expect(!firstLine(with).contains("vmlinux"))
    }
  }
}
