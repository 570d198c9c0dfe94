import Glibc
import Testing
import ptrauth_trace

/// A file that becomes shorter while it is read ends in a sentence and exit code 2.
struct ShrinkingFileTests {
  /// Cuts the file as soon as the command has mapped it. A build for tests takes a while longer to read it, but on a busy
  /// machine the shell may come too late: then once more.
  private func run(_ arguments: [String], cutting path: String, to size: off_t) throws -> Program {
    let whole = Corpus.bytes(path)
    var result = try once(arguments, cutting: path, to: size)
    for _ in 0..<4 where result.code == 0 {
      Corpus.write(whole, to: path)
      result = try once(arguments, cutting: path, to: size)
    }
    return result
  }

  private func once(_ arguments: [String], cutting path: String, to size: off_t) throws -> Program {
    try Program.run(
      "sh",
      [
        "-c",
        "\"$@\" & child=$!; "
          + "until grep -qs \"$0\" /proc/$child/maps || ! kill -0 $child 2>/dev/null; do :; done; "
          + "truncate -s \(size) \"$0\"; wait $child",
        path, Program.command,
      ] + arguments)
  }

  private func copy(_ name: String) -> String {
    let source = Corpus.traces[1].directory + "/" + name
    let path = "/tmp/ptrauth-trace-shrinking-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    Corpus.write(Corpus.bytes(source), to: path)
    return path
  }

  @Test(arguments: ["perf.data", "trace.dat"], ["text", "json", "html"])
  func aRecordingIsNamed(_ name: String, _ format: String) throws {
    let path = copy(name)
    defer { unsafe unlink(path) }
    let run = try run(
      ["analyze", "-k", Corpus.traces[1].vmlinux, "--format", format, path], cutting: path, to: 8192
    )
    #expect(run.code == 2)
    #expect(run.errors.contains(path) && run.errors.contains("shorter"))
    #expect(run.output.isEmpty)
  }

  /// Zeros behind the new end of its last page are no events.
  @Test func aFewBytesAreNoticed() throws {
    let path = copy("trace.dat")
    defer { unsafe unlink(path) }
    let run = try run(
      ["analyze", "-k", Corpus.traces[1].vmlinux, path], cutting: path,
      to: off_t(Corpus.bytes(path).count - 10))
    #expect(run.code == 2)
    #expect(run.errors.contains("shorter") || run.errors.contains("ends"))
  }

  @Test func dialectsHaveTheirOwnCode() throws {
    let path = copy("perf.data")
    defer { unsafe unlink(path) }
    let run = try run(
      ["analyze", "--exit-code", "bisect", "-k", Corpus.traces[1].vmlinux, path], cutting: path,
      to: 8192)
    #expect(run.code == 125)
  }

  @Test func theKernelToo() throws {
    let path = "/tmp/ptrauth-trace-shrinking-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    _ = try Program.run("sh", ["-c", "zstd -qdc < '\(Corpus.traces[1].vmlinux)' > \(path)"])
    let run = try run(["audit", path], cutting: path, to: 8192)
    #expect(run.code == 2)
    #expect(!run.errors.isEmpty)
  }
}
