import Glibc
import Testing

/// The program at the end of a pipe, while the writer is still writing.
@Suite(.serialized)
final class StreamTests {
  private let folder = "/tmp/ptrauth-trace-stream-\(getpid())-\(UInt64.random(in: 0 ... .max))"
  private let faulty = Corpus.traces[2]

  init() throws {
    // A stream of text, and the line behind which the first fault is proved.
    try #require(unsafe mkdir(folder, 0o700) == 0)
    _ = Tool.lines(
      "perf script --ns --guestkallsyms=/dev/null -i '\(faulty.recording)' > '\(folder)/text'")
    try #require(!Tool.lines("head -1 '\(folder)/text'").isEmpty, "install linux-perf")
  }

  deinit { _ = unsafe system("rm -r '\(folder)'") }

  /// The program that was built with the tests.
  private var program: String {
    let path = Tool.lines("readlink /proc/\(getpid())/exe").first ?? ""
    // The tests' own runner may lie elsewhere.
    let beside = path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    let built = Corpus.root + "/.build/debug"
    return (Corpus.exists(beside + "/ptrauth-trace") ? beside : built) + "/ptrauth-trace"
  }

  private var analyze: String { "'\(program)' analyze -k '\(faulty.vmlinux)'" }

  /// Lines up to the one that proves the first fault, which comes two seconds after the others; then nothing.
  @Test func aFindingComesWithinASecond() throws {
    let lines = Tool.lines(
      "\(analyze) -q '\(folder)/text' --format jsonl | grep -m1 '\"finding\"'")
    let first = try #require(lines.first)
    let time = try #require(
      first.split(separator: ",").first { $0.hasPrefix("\"time\":") }?.dropFirst(7)
        .prefix { $0.isNumber }
    ).description
    let stamp = time.dropLast(9) + "." + time.suffix(9)
    // The entry of that run is there; its handle_exit is the next one of any thread.
    let script = """
      n=$(grep -n '\(stamp)' '\(folder)/text' | head -1 | cut -d: -f1)
      m=$(tail -n +$n '\(folder)/text' | grep -n 'handle_exit' | head -1 | cut -d: -f1)
      m=$((n + m - 1))
      (head -n $((m - 1)) '\(folder)/text'; sleep 4; date +%s%N > '\(folder)/written'
       tail -n +$m '\(folder)/text' | head -1; sleep 3) |
      \(analyze) - | while read -r line; do echo "$(date +%s%N) $line"; done
      """
    let output = Tool.lines(script)
    let found = try #require(
      output.first { $0.contains("missed-host-save  critical, proved, vCPU") })
    let shown = try #require(found.split(separator: " ").first.flatMap { UInt64($0) })
    let written = try #require(
      Tool.lines("cat '\(folder)/written'").first.flatMap { UInt64($0) })
    #expect(shown > written && shown - written < 1_000_000_000, "\(shown - written) ns")
    // And the report at the end.
    #expect(output.contains { $0.contains("FINDINGS: missed-host-save (critical, ") })
  }

  /// Ctrl-C ends reading, and the report has its own exit code; the writer is still there.
  @Test(arguments: ["INT", "TERM"])
  func aSignalEndsTheStream(signal: String) throws {
    let script = """
      mkfifo '\(folder)/fifo'
      (cat '\(folder)/text'; exec sleep 20) > '\(folder)/fifo' & writer=$!
      \(analyze) '\(folder)/fifo' > '\(folder)/out' & reader=$!
      sleep 6; kill -\(signal) $reader; wait $reader; echo "code $?"
      kill $writer; cat '\(folder)/out'
      """
    let output = Tool.lines(script)
    #expect(output.first == "code 1")
    #expect(output.contains { $0.hasPrefix("FINDINGS: missed-host-save") })
    #expect(output.contains { $0.hasPrefix("missed-host-save  critical, proved, 356 times") })
    #expect(!output.contains { $0.contains("is cut") || $0.contains("has no end") })
  }

  /// `| head`: the program ends without a word.
  @Test func aReaderThatLeavesIsNoError() {
    let output = Tool.lines(
      "(cat '\(folder)/text' | \(analyze) - 2>'\(folder)/errors') | head -1; cat '\(folder)/errors'"
    )
    #expect(output.count == 1)
    #expect(output.first?.contains("missed-host-save") == true)
  }

  /// A stream says what the file says.
  @Test func theReportOfAStreamIsThatOfTheFile() {
    func report(_ command: String) -> [Substring] {
      Array(
        Tool.lines("\(command) || true").drop {
          !$0.hasPrefix("missed-host-save  critical, proved, 356 times")
        })
    }
    let file = report("\(analyze) '\(folder)/text'")
    #expect(file.count > 10)
    #expect(report("cat '\(folder)/text' | \(analyze) -") == file)
  }

  /// Packed or not, file or pipe: the same report but for the recording's name and size.
  @Test(arguments: ["gzip -c", "xz -0 -c", "zstd -qc"])
  func aPackedPipeIsRead(pack: String) {
    for path in [faulty.recording, "\(folder)/text"] {
      let file = Tool.lines("\(analyze) '\(path)'; echo \"code $?\"")
      let pipe = Tool.lines("\(pack) '\(path)' | \(analyze) -; echo \"code $?\"")
      let isFinding: (Substring) -> Bool = {
        !$0.hasPrefix("missed-host-save  critical, proved, 356 times")
      }
      #expect(file.drop(while: isFinding).count > 10)
      #expect(pipe.drop(while: isFinding) == file.drop(while: isFinding))
      #expect(pipe.last == "code 1")
    }
  }

  @Test func aPackedPipeThatIsCutIsRefused() {
    let output = Tool.lines(
      "gzip -c '\(faulty.recording)' | head -c 5000 | \(analyze) - 2>&1; echo \"code $?\"")
    #expect(output.first?.contains("the gzip stream is cut short") == true)
    #expect(output.last == "code 2")
  }
}
