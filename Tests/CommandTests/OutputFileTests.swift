import Glibc
import Testing
import ptrauth_trace

/// An output replaces what it is to replace when it is done, and never what is read.
struct OutputFileTests {
  private final class Place {
    let path = "/tmp/ptrauth-trace-output-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    init() { unsafe mkdir(path, 0o700) }
    deinit { _ = try? Program.run("rm", ["-r", path]) }
    func callAsFunction(_ name: String) -> String { path + "/" + name }
    var names: [String] {
      ((try? Program.run("ls", ["-A", path]))?.output ?? "").split(separator: "\n").map(String.init)
    }
  }

  private let recording = Corpus.bytes(Corpus.traces[1].directory + "/perf.data")
  private let image = Corpus.traces[1].vmlinux

  @Test(arguments: ["analyze", "info", "whatif"])
  func inputsStay(_ command: String) throws {
    let place = Place()
    Corpus.write(recording, to: place("a.data"))
    Corpus.write(Corpus.bytes(image), to: place("vmlinux.slim.zst"))
    unsafe symlink("a.data", place("symbolic"))
    unsafe link(place("a.data"), place("hard"))
    let before = place.names
    for output in ["a.data", "symbolic", "hard", "vmlinux.slim.zst"] {
      let run = try Program.run(
        Program.command,
        [command, place("a.data"), "-k", place("vmlinux.slim.zst"), "-o", place(output)])
      #expect(run.code == 2)
      #expect(run.errors.contains("is one of the files that are read"))
    }
    #expect(Corpus.bytes(place("a.data")) == recording)
    #expect(Corpus.bytes(place("vmlinux.slim.zst")) == Corpus.bytes(image))
    #expect(place.names == before)
  }

  /// Of all inputs, before the first of them was opened too.
  @Test(arguments: ["text", "json", "ktap", "html"])
  func oneOfSeveralStays(_ format: String) throws {
    let place = Place()
    for name in ["a.data", "b.data"] { Corpus.write(recording, to: place(name)) }
    let run = try Program.run(
      Program.command,
      ["analyze", "--format", format, place("a.data"), place("b.data"), "-o", place("b.data")])
    #expect(run.code == 2)
    #expect(Corpus.bytes(place("b.data")) == recording)
    #expect(place.names == ["a.data", "b.data"])
  }

  @Test func anOlderOutputStaysUntilTheNewOneIsDone() throws {
    let place = Place()
    Corpus.write(Array("older".utf8), to: place("report"))
    let bad = try Program.run(
      Program.command, ["analyze", Corpus.root + "/README.md", "-o", place("report")])
    #expect(bad.code == 2)
    #expect(Corpus.bytes(place("report")) == Array("older".utf8))
    unsafe chmod(place("report"), 0o640)
    unsafe symlink("report", place("link"))
    let good = try Program.run(
      Program.command, ["info", Corpus.traces[1].recording, "-q", "-o", place("link")])
    #expect(good.code == 0)
    #expect(String(decoding: Corpus.bytes(place("report")), as: UTF8.self).hasPrefix("SUFFICES"))
    #expect(place.names == ["link", "report"])
    var status = stat()
    #expect(unsafe lstat(place("link"), &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    #expect(unsafe stat(place("report"), &status) == 0 && status.st_mode & 0o777 == 0o640)
  }

  @Test(arguments: [
    "--help", "--version", "help analyze", "analyze --help", "--generate-completion-script bash",
    "explain missed-host-save", "manual",
  ])
  func aFullDiskIsNoSuccess(_ arguments: String) throws {
    let run = try Program.run(
      "sh", ["-c", "exec '\(Program.command)' \(arguments) > /dev/full"])
    #expect(run.code != 0)
    #expect(run.errors.contains("cannot be written"))
  }
}
