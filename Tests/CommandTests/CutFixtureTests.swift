import FoundationEssentials
import Glibc
import Testing
import ptrauth_trace

/// Every file that others made, cut at $PTRAUTH_TRACE_CUTS places: what is left is read, or refused with one sentence.
@Suite(.enabled(if: Corpus.hasShared, "needs ../shared"))
struct CutFixtureTests {
  private struct Shape: Decodable {
    var verdict: String?
    var error: String?
  }

  @Test(arguments: FixtureTests.files)
  func endsInAVerdictOrASentence(file: String) throws {
    let whole = Corpus.bytes(FixtureTests.root + "/" + file)
    var template = Array("/tmp/ptrauth-trace-cut-XXXXXX".utf8CString)
    let folder = try #require(unsafe mkdtemp(&template).map { unsafe String(cString: $0) })
    let path = folder + "/" + (file.split(separator: "/").last ?? "")
    defer {
      unsafe unlink(path)
      unsafe rmdir(folder)
    }
    var random = SplitMix(state: UInt64(whole.count))
    for _ in 0..<(Corpus.count("CUTS") ?? 2) where !whole.isEmpty {
      let size = Int(random.next() % UInt64(whole.count))
      Corpus.write(Array(whole[..<size]), to: path)
      // Of two, what is refused is in the document.
      let run = try CommandRun([path, path, "--format", "json"])
      #expect(run.code == 2, "\(size) bytes")
      for shape in try JSONDecoder().decode([Shape].self, from: Data(run.output)) {
        #expect(shape.verdict == "unusable" || shape.error != nil, "\(size) bytes")
        if let error = shape.error {
          #expect(!error.isEmpty && !error.contains("\n"), "\(size) bytes: \(error)")
        }
      }
    }
  }
}
