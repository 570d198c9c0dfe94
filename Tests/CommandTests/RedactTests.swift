import Bytes
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import Trace
import ptrauth_trace

/// A redacted copy: the analysis finds the same, the tools that wrote it read it, and no key is in it.
@Suite(.serialized)
struct RedactTests {
  private static let files = Corpus.all.flatMap { corpus in
    ["perf.data", "trace.dat"].map { (corpus, corpus.directory + "/" + $0) }
      .filter { Corpus.exists($0.1) }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var corpus: Corpus
    var path: String
    var testDescription: String { corpus.name + "/" + (path.split(separator: "/").last ?? "") }
  }

  /// Of each container and writer one, and those with findings about keys.
  static let cases: [Case] = files.map(Case.init).filter {
    [
      "traces/v7-good/perf.data", "traces/v7-good/trace.dat",
      "traces/v7-trap-skips-host-save/perf.data", "v7/trap-skips-host-save/trace.dat",
      "v7/good-two-vmms/trace.dat",
    ].contains($0.testDescription)
  }

  private func copy(_ path: String) throws -> String {
    let copy = "/tmp/ptrauth-trace-redact-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    _ = try Redaction.copy(path, to: copy)
    return copy
  }

  /// Every key value of a recording but zero and the reset value.
  private func keys(_ path: String) throws -> Set<UInt64> {
    var values: Set<UInt64> = []
    let file = try RecordingFile(path: path)
    try file.readEvents { event in
      guard case .probe(let hit) = event.payload else { return }
      for slots in [hit.fields.guestKeys, hit.fields.hostKeys].compactMap(\.self) {
        for index in 0..<10 where !slots.isZero(index) && !slots.isReset(index) {
          values.insert(slots.registers[index])
        }
      }
    }
    return values
  }

  /// All bytes of a recording, compressed ones unpacked.
  private func contents(_ path: String) -> [UInt8] { Corpus.bytes(path) }

  private func report(_ path: String, _ corpus: Corpus) throws -> String {
    let session = try Session(recording: path, vmlinux: corpus.vmlinux, generation: nil)
    var lines = TimelineLines()
    var text: [UInt8] = []
    let analysis = try session.replay { entry in text += Array(lines.add(entry)) }
    for finding in analysis.findings {
      let line = "\(finding.rule.id) \(finding.level.word) \(finding.count) \(finding.statement)\n"
      text += Array(line.utf8)
    }
    return String(decoding: text, as: UTF8.self)
  }

  @Test(arguments: cases)
  func theAnalysisFindsTheSame(test: Case) throws {
    let copy = try copy(test.path)
    defer { unsafe unlink(copy) }
    #expect(try report(copy, test.corpus) == report(test.path, test.corpus))
    let before = try keys(test.path)
    let after = try keys(copy)
    #expect(
      before.count == after.count && before.count > 10, "equal stays equal, different different")
    #expect(before.isDisjoint(with: after))
    // No key is anywhere in the file, in any alignment. (A fetch that failed leaves what was there before
    // in its field, numbers of two digits too: those are everywhere.)
    let secrets = before.filter { $0 > UInt64(UInt32.max) }
    var isPossible = [Bool](repeating: false, count: 1 << 16)
    for secret in secrets { isPossible[Int(secret >> 48)] = true }
    var found = 0
    var value: UInt64 = 0
    for byte in contents(copy) {
      value = value >> 8 | UInt64(byte) << 56
      if isPossible[Int(value >> 48)], secrets.contains(value) { found += 1 }
    }
    #expect(found == 0)
  }

  /// A directory of raw ring buffers becomes one, with the files that are read.
  @Test(.enabled(if: Corpus.hasShared, "needs ../shared"))
  func rawBuffers() throws {
    let corpus = try #require(Corpus.all.first { $0.name == "v7/good" })
    let copy = try copy(corpus.directory + "/text")
    defer { _ = Tool.lines("rm -rf \(copy)") }
    #expect(try report(copy, corpus) == report(corpus.directory + "/text", corpus))
    let (before, after) = (try keys(corpus.directory + "/text"), try keys(copy))
    #expect(before.count == after.count && before.isDisjoint(with: after))
    let secrets = before.filter { $0 > UInt64(UInt32.max) }
    #expect(secrets.count > 10)
    var files = 0
    for file in Tool.lines("find \(copy) -type f") {
      files += 1
      var value: UInt64 = 0
      var found = 0
      for byte in contents(String(file)) {
        value = value >> 8 | UInt64(byte) << 56
        if secrets.contains(value) { found += 1 }
      }
      #expect(found == 0, "\(file)")
    }
    #expect(files > 6)
  }

  /// A copy to share is not to hold what a link in somebody's recording leads to.
  @Test(arguments: [true, false])
  func aLinkThatLeadsOutIsRefused(isPerf: Bool) throws {
    let folder = "/tmp/ptrauth-trace-links-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let (from, to) = (folder + "/recording", folder + "/copy")
    defer { _ = Tool.lines("rm -rf \(folder)") }
    _ = Tool.lines("mkdir -p \(from)/events/kvm/kvm_entry")
    Corpus.write(Array("TOP SECRET".utf8), to: folder + "/secret")
    let good = Corpus.root + "/traces/v7-good/perf.data"
    if isPerf {
      _ = Tool.lines("cp \(good) \(from)/data; ln -s ../secret \(from)/data.0")
    } else {
      let format =
        "name: kvm_entry\nID: 7\nformat:\n\tfield:unsigned short common_type;\toffset:0;"
        + "\tsize:2;\tsigned:0;\n\nprint fmt: \"\"\n"
      Corpus.write(Array(format.utf8), to: from + "/events/kvm/kvm_entry/format")
      let header =
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
        + "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
        + "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n"
      Corpus.write(Array(header.utf8), to: from + "/events/header_page")
      Corpus.write([UInt8](repeating: 0, count: 4096), to: from + "/cpu0.trace_pipe_raw")
      _ = Tool.lines("cp -r \(from) \(from)2")
      let whole = try Program.run(Program.command, ["redact", from + "2", to + "2"])
      #expect(whole.code == 0, "\(whole.errors)")
      _ = Tool.lines("ln -s ../secret \(from)/saved_cmdlines")
    }
    let run = try Program.run(Program.command, ["redact", from, to])
    #expect(run.code == 2 && run.errors.contains("is a link that leads out of"), "\(run.errors)")
    #expect(Tool.lines("grep -rl 'TOP SECRET' \(to) || true").isEmpty)
  }

  /// perf script and trace-cmd report show the same but for the keys.
  @Test(arguments: cases)
  func theToolsReadTheCopy(test: Case) throws {
    let copy = try copy(test.path)
    defer { unsafe unlink(copy) }
    func lines(_ path: String) -> [Substring] {
      let command =
        path.hasSuffix(".dat") || test.path.hasSuffix(".dat")
        ? "trace-cmd report -t -R -i \(path)"
        : "perf script -f --ns --guestkallsyms=/dev/null -i \(path)"
      return Tool.lines(command + " | sed -E 's/(ap[idg][abg]?[ab]?key(lo|hi)_el1=)[^ ]*/\\1KEY/g'")
    }
    let original = lines(test.path)
    #expect(original.count > 1000)
    #expect(lines(copy) == original)
  }

  @Test func onlyKeysChange() throws {
    // Not compressed: byte by byte.
    let path = Corpus.traces[2].recording
    let copy = try copy(path)
    defer { unsafe unlink(copy) }
    let before = Corpus.bytes(path)
    let after = Corpus.bytes(copy)
    #expect(before.count == after.count)
    let known = try keys(path)
    var differing = 0
    var index = 0
    while index < before.count {
      guard before[index] != after[index] else {
        index += 1
        continue
      }
      differing += 1
      // A byte that differs belongs to a key that begins at most seven bytes before.
      let isOfKey = (max(0, index - 7)...index).contains { start in
        guard start + 8 <= before.count else { return false }
        let value = (0..<8).reduce(UInt64(0)) {
          $0 | UInt64(before[start + $1]) << (8 * UInt64($1))
        }
        return known.contains(value)
      }
      #expect(isOfKey, "byte \(index)")
      if !isOfKey { break }
      index += 1
    }
    #expect(differing > 1000)
  }

  @Test func text() throws {
    let path = "/tmp/ptrauth-trace-redact-text-\(getpid())"
    defer { unsafe unlink(path) }
    let sink = try ByteSink(path: path)
    try sink.write(
      """
      # tracer: nop
      #
        vm-1 [000] ..... 1.000001: put: (kvm_arch_vcpu_put+0x0/0x10) vcpu=0xffff000000000001 apiakeylo_el1=0xdeadbeef00000001 apiakeyhi_el1=0x0 host_apgakeyhi_el1=0xdeadbeef00000001
        vm-1 [000] ..... 1.000002: put: (kvm_arch_vcpu_put+0x0/0x10) apibkeylo_el1=0x1de7ec7edbadc0de apibkeyhi_el1=0xff (255) xapiakeylo_el1=0xdeadbeef00000001

      """)
    try sink.finish()
    let copy = try copy(path)
    defer { unsafe unlink(copy) }
    let text = String(decoding: Corpus.bytes(copy), as: UTF8.self)
    func value(_ name: String) -> Substring? {
      text.split { $0 == " " || $0 == "\n" }.first { $0.hasPrefix(name + "=") }?
        .dropFirst(name.count + 1)
    }
    #expect(value("apiakeylo_el1") != "0xdeadbeef00000001")
    #expect(value("apiakeylo_el1") == value("host_apgakeyhi_el1"))
    #expect(value("apiakeyhi_el1") == "0x0")
    #expect(value("apibkeylo_el1") == "0x1de7ec7edbadc0de")
    #expect(value("vcpu") == "0xffff000000000001")
    #expect(value("xapiakeylo_el1") == "0xdeadbeef00000001", "another field")
    let other = try #require(value("apibkeyhi_el1").flatMap { UInt64($0.dropFirst(2), radix: 16) })
    #expect(other != 255 && text.contains("(\(other))"))
  }

  @Test func whatCannotBeRewrittenIsRefused() throws {
    let good = Corpus.bytes(Corpus.traces[1].recording)
    let directory = "/tmp/ptrauth-trace-redact-bad-\(getpid())"
    unsafe mkdir(directory, 0o700)
    defer { _ = Tool.lines("rm -rf \(directory)") }
    func refusal(_ bytes: [UInt8]) throws -> String? {
      // What was read is not written over.
      unsafe unlink(directory + "/in")
      let sink = try ByteSink(path: directory + "/in")
      try sink.write(bytes)
      try sink.finish()
      do throws(Redaction.Failure) {
        _ = try Redaction.copy(directory + "/in", to: directory + "/out")
        return nil
      } catch {
        #expect(!Corpus.exists(directory + "/out"), "nothing is written")
        guard case .recording(let reason) = error else { return "" }
        return "\(reason)"
      }
    }
    #expect(try refusal([])?.contains("empty") == true)
    #expect(try refusal(Array(good[..<(good.count / 2)]))?.contains("missing") == true)
    #expect(try refusal(Array("hello".utf8)) != nil)
    #expect(
      try refusal(Corpus.bytes(Corpus.traces[1].directory + "/gt.log.zst"))?.contains("packed")
        == true)
    let dat = Corpus.bytes(Corpus.traces[1].directory + "/trace.dat")
    #expect(try refusal(Array(dat[..<(dat.count - 200_00)])) != nil)
    #expect(throws: Redaction.Failure.self) {
      _ = try Redaction.copy(
        directory + "/in",
        to: directory + "/../" + (directory.split(separator: "/").last ?? "") + "/in")
    }
  }
}
