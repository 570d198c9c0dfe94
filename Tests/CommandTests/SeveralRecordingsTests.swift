import FoundationEssentials
import Testing

/// Several recordings in one call.
struct SeveralRecordingsTests {
  private let good = Corpus.traces[1].recording
  private let faulty = Corpus.traces[2].recording
  private let missing = "/nonexistent/perf.data"

  @Test func oneReportEachThenASummary() throws {
    let run = try CommandRun([good, faulty, missing])
    #expect(run.code == 1, "what was found stays true, whatever else cannot be read")
    // Each report is what the recording alone gives.
    let alone = try [good, faulty].map { try CommandRun([$0]).text }
    #expect(run.text.hasPrefix(alone[0] + "\n\n" + alone[1] + "\n\nSUMMARY of 3 recordings: "))
    let summary = try #require(run.text.components(separatedBy: "SUMMARY").last)
    #expect(summary.hasPrefix(" of 3 recordings: 1 findings, 1 unusable, 1 clean\n"))
    for words in [
      "clean        \(good)", "findings     \(faulty)", "missed-host-save",
      "unusable     \(missing)", "cannot open",
    ] {
      #expect(summary.contains(words), "\(words)")
    }
  }

  @Test func theExitCodeIsTheWorst() throws {
    #expect(try CommandRun([good, good]).code == 0)
    #expect(try CommandRun([missing, good]).code == 2)
    #expect(try CommandRun([good, faulty]).code == 1)
    #expect(try CommandRun([good, faulty, "--fail-on", "none"]).code == 0)
    #expect(try CommandRun([good, missing, "--exit-code", "bisect"]).code == 125)
    #expect(try CommandRun([faulty, missing, "--exit-code", "bisect"]).code == 1)
  }

  @Test func jsonIsAnArrayOfTheDocuments() throws {
    struct Shape: Decodable {
      struct Recording: Decodable { var path: String }
      var schema: String
      var recording: Recording
      var verdict: String
      var error: String?
    }
    let run = try CommandRun([good, missing, faulty, "--format", "json"])
    let documents = try JSONDecoder().decode([Shape].self, from: Data(run.output))
    #expect(documents.map(\.recording.path) == [good, missing, faulty])
    #expect(documents.map(\.verdict) == ["clean", "unusable", "findings"])
    #expect(documents.allSatisfy { $0.schema == "ptrauth-trace/analysis/2" })
    #expect(documents[1].error?.contains("cannot open") == true)
    #expect(documents[0].error == nil)
  }

  @Test func jsonLinesNameTheRecording() throws {
    let run = try CommandRun([good, missing, "--format", "jsonl"])
    let lines = run.text.split(separator: "\n")
    #expect(lines.first == #"{"type":"recording","path":"\#(good)"}"#)
    let alone = try CommandRun([good, "--format", "jsonl"]).text.split(separator: "\n")
    #expect(Array(lines[1...alone.count]) == alone)
    let rest = lines.dropFirst(alone.count + 1)
    let verdict = #"{"type":"verdict","path":"\#(good)","verdict":"clean","reason":""#
    #expect(alone.last?.hasPrefix(verdict) == true)
    #expect(rest.first == #"{"type":"recording","path":"\#(missing)"}"#)
    #expect(rest.last?.contains(#""verdict":"unusable","error":""#) == true)
    #expect(rest.count == 2)
  }

  @Test func standardInputOnce() {
    #expect(throws: (any Error).self) { try CommandRun(["-", "-"]) }
    #expect(throws: (any Error).self) { try CommandRun([good, "-i", good]) }
  }
}
