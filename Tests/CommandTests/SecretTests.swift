import ArgumentParser
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import Trace
import ptrauth_trace

/// No key that a recording of traces/ holds is in anything that is written about it.
struct SecretTests {
  private static let files = ["perf.data", "trace.dat"].flatMap { name in
    [
      "deb-6.1-good", "v7-good", "v7-trap-skips-host-save", "deb-6.1-functions",
      "deb-6.1-instructions",
    ].map { "\(Corpus.root)/traces/\($0)/\(name)" }
  }.filter { Corpus.exists($0) }

  /// Every format of the whole, and timelines of the first events.
  @Test(arguments: files)
  func noReportHoldsAKey(path: String) throws {
    let secrets = try Secrets(path)
    try #require(secrets.count > 10 || path.contains("/deb-6.1-functions/"))
    let session = try Session(recording: path)
    var lines = TimelineLines()
    var perfetto = PerfettoTrace()
    var timeline = lines.begin()
    var trace = perfetto.begin()
    var collector = TimelineCollector(sliceCount: 512)
    var count = 0
    let analysis = try session.replay { entry in
      count += 1
      guard count <= 4000 else { return }
      timeline += lines.add(entry)
      trace += perfetto.add(entry)
      collector.add(entry)
    }
    timeline += lines.end()
    trace += perfetto.end()
    var document = try session.document(analysis)
    let suites = [TestSuite(document, failOn: .info)]
    document.picture = collector.finish()
    var outputs: [(String, [UInt8])] = [
      ("jsonl", timeline), ("perfetto", trace), ("json", JSONReport.render(document)),
      ("html", HTMLReport.render([.judged(document)])),
      ("summary", SummaryLine.of(document)),
      (
        "text",
        Array(
          TextReport.render(document, style: Style(isColoured: false), isVerbose: true).utf8)
      ),
    ]
    for format in ReportFormat.allCases {
      guard let report = MachineReport(format, try KCIDBOptions.parse([])) else { continue }
      outputs.append((format.rawValue, report.render(suites)))
    }
    for (format, output) in outputs {
      #expect(!output.isEmpty && !secrets.areIn(output), "\(format)")
    }
  }

  /// What the commands themselves say, to either stream, and what redact leaves.
  @Test(arguments: files.filter { !$0.contains("trap-skips") })
  func noCommandSaysAKey(path: String) throws {
    let secrets = try Secrets(path)
    let copy = "/tmp/ptrauth-trace-secrets-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(copy) }
    for arguments in [["info", path], ["whatif", path], ["redact", path, copy]] {
      let run = try Program.run(Program.command, arguments)
      #expect(run.code != 64, "\(run.errors)")
      #expect(!secrets.areIn(Array((run.output + run.errors).utf8)), "\(arguments[0])")
    }
    #expect(!secrets.areIn(Corpus.bytes(copy)) && Corpus.exists(copy))
  }

  /// The search finds what it looks for.
  @Test func whatIsThereIsFound() throws {
    let path = Corpus.traces[1].recording
    let secrets = try Secrets(path)
    let key = try #require(secrets.first)
    let hex = String(key, radix: 16)
    for text in [
      hex, hex.uppercased(), "0x\(hex)", "x\(String(key.byteSwapped, radix: 16)).",
      "\(key)", "\(Int64(bitPattern: key))", "00\(hex)00",
    ] { #expect(secrets.areIn(Array(" {\"a\": \"\(text)\"}".utf8)), "\(text)") }
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: key >> (8 * $0)) }
    #expect(secrets.areIn([1] + bytes + [2]) && secrets.areIn([1] + bytes.reversed() + [2]))
    #expect(!secrets.areIn(Array("{\"a\": \"\(String(key ^ 1 << 40, radix: 16))\"}".utf8)))
  }
}

/// The key values of a recording, and a search for them in any spelling.
private struct Secrets {
  private var values: Set<UInt64> = []
  /// By the upper 16 bits, for a quick no.
  private var isPossible = [Bool](repeating: false, count: 1 << 16)
  private(set) var count = 0

  var first: UInt64? { values.min() }

  /// All but zero, what a reset leaves, and numbers below 2^32: a fetch that failed leaves what was there before
  /// in its field, and small numbers are everywhere.
  init(_ path: String) throws {
    let file = try RecordingFile(path: path)
    var found: Set<UInt64> = []
    try file.readEvents { event in
      guard case .probe(let hit) = event.payload else { return }
      for slots in [hit.fields.guestKeys, hit.fields.hostKeys].compactMap(\.self) {
        for index in 0..<10 where !slots.isZero(index) && !slots.isReset(index) {
          found.insert(slots.registers[index])
        }
      }
    }
    count = found.count
    for value in found where value > UInt64(UInt32.max) {
      for spelt in [value, value.byteSwapped] {
        values.insert(spelt)
        isPossible[Int(spelt >> 48)] = true
      }
    }
  }

  private func contains(_ value: UInt64) -> Bool {
    isPossible[Int(value >> 48)] && values.contains(value)
  }

  /// As 8 bytes of either order, as 16 hexadecimal digits (fewer in front of which there are none) of either
  /// order, or in decimal with or without a sign.
  func areIn(_ output: [UInt8]) -> Bool {
    var raw: UInt64 = 0
    var hex: UInt64 = 0
    var hexDigits = 0
    var decimal: UInt64? = 0
    var decimalDigits = 0
    var isNegative = false
    func endsWithNumber() -> Bool {
      if hexDigits >= 9, hexDigits < 16, contains(hex) { return true }
      guard decimalDigits >= 10, let decimal else { return false }
      return contains(decimal) || isNegative && contains(0 &- decimal)
    }
    for (index, byte) in output.enumerated() {
      raw = raw >> 8 | UInt64(byte) << 56
      if index >= 7, contains(raw) { return true }
      let digit: UInt8? =
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
      guard let digit else {
        if endsWithNumber() { return true }
        (hex, hexDigits, decimal, decimalDigits) = (0, 0, 0, 0)
        isNegative = byte == UInt8(ascii: "-")
        continue
      }
      hex = hex << 4 | UInt64(digit)
      hexDigits += 1
      if hexDigits >= 16, contains(hex) { return true }
      if digit < 10, let known = decimal {
        let (product, overflow) = known.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
        decimal = overflow || carry ? nil : sum
        decimalDigits += 1
      } else {
        decimal = nil
      }
    }
    return endsWithNumber()
  }
}
