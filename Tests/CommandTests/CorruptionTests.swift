import Glibc
import KernelImage
import Ptrauth
import Replay
import Testing
import Trace
import ptrauth_trace

/// One byte of a recording is another one. What that takes away is never passed over in silence; once it is seen
/// that bytes were changed nothing is proved any more.
///
/// What changes a value and nothing else is not seen: perf.data has no checksums, nor have its compressed records.
struct CorruptionTests {
  struct Damage: CustomTestStringConvertible, Sendable {
    var path: String
    var offset: Int
    var change: UInt8
    var testDescription: String { "\(path), byte \(offset) ^ \(change)" }
  }

  /// Each was clean with events lost, or "proved" what the intact recording does not have.
  static let known = [
    Damage(path: "v7-good/trace.dat", offset: 391795, change: 233),
    Damage(path: "v7-good/perf.data", offset: 175830, change: 193),
    Damage(path: "v7-good/perf.data", offset: 48026, change: 240),
    Damage(path: "v7-good/perf.data", offset: 165388, change: 34),
    Damage(path: "deb-6.1-good/perf.data", offset: 200729, change: 215),
    Damage(path: "deb-6.1-good/perf.data", offset: 172333, change: 15),
    Damage(path: "deb-6.1-good/perf.data", offset: 268467, change: 245),
  ]

  /// Others, $PTRAUTH_TRACE_DAMAGES of each recording.
  static let random = [
    "v7-good/trace.dat", "v7-good/perf.data", "deb-6.1-good/perf.data",
    "v7-trap-skips-host-save/perf.data", "deb-6.1-functions/trace.dat",
    "deb-6.1-instructions/trace.dat",
  ].flatMap { path in
    let size = Corpus.bytes("\(Corpus.root)/traces/\(path)").count
    return (0..<UInt64(Corpus.count("DAMAGES") ?? 2)).map { seed in
      var random = SplitMix(state: seed &* 977 &+ UInt64(size))
      return Damage(
        path: path, offset: Int(random.next() % UInt64(size)),
        change: UInt8(1 + random.next() % 255))
    }
  }

  /// Nil: it is refused, with a sentence.
  private func replay(_ path: String, _ vmlinux: String) -> (Session, Analysis)? {
    do throws(Problem) {
      let session = try Session(recording: path, vmlinux: vmlinux)
      session.auditsCode = false
      return (session, try session.replay(timeline: nil))
    } catch {
      #expect(!error.sentence.isEmpty && !error.sentence.contains("\n"))
      return nil
    }
  }

  @Test(arguments: known + random)
  func nothingIsLostInSilence(damage: Damage) throws {
    let source = "\(Corpus.root)/traces/\(damage.path)"
    var bytes = Corpus.bytes(source)
    bytes[damage.offset] ^= damage.change
    // Recordings of one host may share the vmlinux of the first.
    let kernel = damage.path.hasPrefix("deb-6.1") ? "deb-6.1-good" : "v7-good"
    let path = "/tmp/ptrauth-trace-damaged-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    Corpus.write(bytes, to: path)
    defer { unsafe unlink(path) }
    guard let (session, analysis) = replay(path, "\(Corpus.root)/traces/\(kernel)/vmlinux.slim.zst")
    else { return }
    let intact = try Intact.counts(source)
    let counts = Intact.counts(session.file.recording)
    let isLess = intact.contains { counts[$0.key, default: 0] < $0.value }
    if isLess { #expect(analysis.verdict != .clean, "\(counts)") }
    if session.file.recording.isDamaged {
      #expect(session.file.recording.isIncomplete)
      #expect(!analysis.findings.contains { $0.rule.isCorrectness && $0.level == .proved })
    }
    if Self.known.contains(where: { $0.path == damage.path && $0.offset == damage.offset }) {
      #expect(session.file.recording.isDamaged)
    }
  }
}

/// How often each event is in a recording.
private enum Intact {
  static func counts(_ path: String) throws -> [String: UInt64] {
    let file = try RecordingFile(path: path)
    try file.readEvents { _ in }
    return counts(file.recording)
  }

  static func counts(_ recording: Recording) -> [String: UInt64] {
    Dictionary(recording.recordedEvents.map { ($0.label, $0.count) }) { $0 + $1 }
  }
}
