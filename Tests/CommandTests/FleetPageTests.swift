import Fleet
import FoundationEssentials
import Glibc
import Report
import Testing
import ptrauth_trace

/// The page of a merged report, in a real browser.
struct FleetPageTests {
  private struct Seen: Decodable {
    struct First: Decodable {
      var words: String
      var onFirstScreen: Bool
    }
    struct Row: Decodable {
      var words: String
      var shown: Bool
      var bad: Int
    }
    var first: First
    var order: [String]
    var row: Row
    var light: Double
    var dark: Double
    var phone: Bool
    var errors: [String]
    var requests: [String]
  }

  /// The answer is on the first screen, and one click leads to its row.
  @Test func theFirstBadKernelIsFound() throws {
    let path = "/tmp/ptrauth-trace-page-\(getpid())-\(UInt64.random(in: 0 ... .max)).html"
    defer { unsafe unlink(path) }
    let merged = try Program.run(
      Program.command, ["merge", "-q", "-o", path],
      input: FleetNight.lines(recordings: 120).shuffled()
        .map { String(decoding: $0, as: UTF8.self) }.joined())
    #expect(merged.code == 1)
    let ran = try Program.run(
      "python3", [Corpus.root + "/Tests/CommandTests/Browser/fleet.py", path],
      environment: ["PYTHONDONTWRITEBYTECODE=1"])
    try #require(ran.code == 0, "\(ran.errors)")
    let seen = try JSONDecoder().decode(Seen.self, from: Data(ran.output.utf8))
    #expect(seen.first.onFirstScreen)
    #expect(
      seen.first.words.hasPrefix(
        "The first bad one: 6.2.0 (build-id 6c0000000000); the last clean one before it: 6.2.0-rc3 "
      ))
    #expect(seen.row.shown && seen.row.bad == 1 && seen.row.words.contains("first bad"))
    #expect(seen.order.map { $0.prefix { $0 != " " } } == FleetNight.kernels.map { $0.0[...] })
    #expect(seen.light >= 4.5 && seen.dark >= 4.5, "WCAG 2.1 AA")
    #expect(
      seen.phone && seen.errors.isEmpty && seen.requests.isEmpty, "\(seen.errors) \(seen.requests)")
  }
}
