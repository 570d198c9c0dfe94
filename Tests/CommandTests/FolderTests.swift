import Fleet
import Glibc
import Replay
import Report
import Testing
import ptrauth_trace

/// `analyze FOLDER/`: what should have been a recording is not lost, whatever the format.
struct FolderTests {
  private static let good = Corpus.root + "/traces/v7-good/"

  /// A folder as a night of recording leaves it: one recording, two that died, and what else lies about.
  private func folder(_ body: (String) throws -> Void) throws {
    let path = "/tmp/ptrauth-trace-folder-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    _ = unsafe mkdir(path, 0o700)
    _ = unsafe mkdir(path + "/board1", 0o700)
    defer { _ = try? Program.run("rm", ["-r", path]) }
    for name in ["good.data", "board1/perf.data"] {
      _ = try Program.run("cp", [Self.good + "perf.data", "\(path)/\(name)"])
    }
    Corpus.write([], to: path + "/died.data")
    Corpus.write(Array("PERFILE".utf8), to: path + "/cut7.data")
    Corpus.write(Array("what was recorded when\n".utf8), to: path + "/README")
    Corpus.write([], to: path + "/stderr.log")
    try body(path)
  }

  private func analyze(_ words: [String]) throws -> Program {
    try Program.run(
      Program.command,
      ["analyze", "--no-audit", "-k", Self.good + "vmlinux.slim.zst"] + words)
  }

  @Test(arguments: ReportFormat.allCases)
  func whatDiedHasItsReport(format: ReportFormat) throws {
    try folder { path in
      let run = try analyze(["--format", format.rawValue, path])
      #expect(run.code == 2, "\(run.errors)")
      #expect(
        run.errors.contains(
          "\(path): files in it that are no recordings: 2 (README, stderr.log)"))
      #expect(run.errors.contains("\(path): folders in it, which are not read: 1 (board1)"))
      if format == .perfetto {
        #expect(run.errors.contains("perfetto shows one recording; there are 3"))
        return
      }
      // A table of vCPUs has no row where there is none: there the exit code and standard error say it.
      for name in ["good.data", "died.data", "cut7.data"] {
        #expect((format == .csv ? run.errors + run.output : run.output).contains(name), "\(name)")
      }
      if format == .summary { #expect(run.output.count { $0 == "\n" } == 3) }
    }
  }

  /// Nobody may ever write to it.
  @Test func aFIFOIsNotWaitedFor() throws {
    try folder { path in
      for name in ["died.data", "cut7.data"] { unsafe unlink("\(path)/\(name)") }
      unsafe #expect(mkfifo(path + "/live.data", 0o600) == 0)
      let run = try analyze(["--format", "summary", path])
      #expect(run.code == 0 && run.output.count { $0 == "\n" } == 1)
      #expect(run.errors.contains("no recordings: 3 (live.data, README, s"))
      let formats = try analyze(["--formats", path + "/live.data", Self.good + "perf.data"])
      #expect(formats.code == 2 && formats.errors.contains("is a FIFO or a device"))
    }
  }

  /// What is called otherwise than the recordings there, and is empty, is no recording; nor is what has no ending to tell.
  @Test func namesTell() throws {
    try folder { path in
      for name in ["died.data", "cut7.data"] { unsafe unlink("\(path)/\(name)") }
      let before = try analyze(["--format", "summary", path])
      #expect(before.code == 0 && before.output.count { $0 == "\n" } == 1)
      _ = unsafe symlink("/nonexistent/a", path + "/perf.data.old")
      Corpus.write([], to: path + "/run2")
      Corpus.write([], to: path + "/b.dat.zst")
      Corpus.write(
        Array("0123456789abcdef0123456789abcdef  perf.data\n".utf8), to: path + "/perf.data.md5")
      _ = unsafe mkdir(path + "/perf.data.threads", 0o700)
      var run = try analyze(["--format", "summary", path])
      #expect(run.code == 2 && run.output.count { $0 == "\n" } == 4, "\(run.errors)")
      #expect(run.errors.contains("no recordings: 4 (README, perf.data.md5, run2 and 1 more)"))
      _ = try Program.run("cp", [Self.good + "perf.data", path + "/run1"])
      run = try analyze(["--format", "summary", path])
      #expect(run.output.count { $0 == "\n" } == 5 && run.errors.contains("run2"))
    }
  }

  @Test func aRecordingGivenTwiceIsRefused() throws {
    try folder { path in
      let one = path + "/good.data"
      let twice = try analyze(["--format", "summary", one, one])
      #expect(twice.code == 64 && twice.errors.contains("is given twice"))
      let both = try analyze(["--format", "summary", path, one])
      #expect(both.code == 2 && both.errors.contains("is given twice, by its folder too"))
      #expect(both.output.isEmpty)
    }
  }

  /// Why a recording could not be read, without the folders of it and of whatever else was given.
  @Test(arguments: [
    ("my secret dir/nope: cannot open", "nope: cannot open"),
    ("/srv/host alice/vmlinux has build-id ab, not cd", "vmlinux has build-id ab, not cd"),
    ("the vmlinux (/srv/host alice/a b/vmlinux) is no ELF", "the vmlinux (vmlinux) is no ELF"),
    ("pass /a b/c d and /e f/g, or ../h i/j: one", "pass c d and g, or j: one"),
    ("its own dir/x.data: is empty", "is empty"),
    ("neither API nor APK is sampled: record both", "neither API nor APK is sampled: record both"),
  ])
  func sentencesHaveNoFolders(sentence: String, shown: String) {
    let tally = Tally(unreadable: "its own dir/x.data", because: sentence)
    #expect(tally.troubles.sorted.map(\.name) == [shown])
  }

  /// The kernel's folder is not in the line either, from the recording and from its report.
  @Test func theKernelsFolderIsNotShown() throws {
    let base = "/tmp/ptrauth-trace-folder-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let report = base + ".json"
    defer { unsafe unlink(report) }
    for kernel in ["my secret dir/nope", base + "/host alice/vmlinux"] {
      let words = ["analyze", Self.good + "perf.data", "-k", kernel, "--format"]
      let line = try Program.run(Program.command, words + ["summary"])
      #expect(line.code == 2 && line.output.contains("cannot be opened"), "\(line.output)")
      let saved = try Program.run(
        Program.command, words + ["json", Self.good + "none.data", "-o", report])
      #expect(saved.code == 2)
      let rendered = try Program.run(Program.command, ["render", "--format", "summary", report])
      for output in [line.output, rendered.output] {
        #expect(!output.contains("secret") && !output.contains("alice") && !output.contains("/tmp"))
      }
    }
  }
}
