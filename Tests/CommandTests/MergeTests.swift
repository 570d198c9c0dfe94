import ArgumentParser
import Fleet
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// `analyze --format summary` and `merge`, as a lab uses them.
struct MergeTests {
  static let formats = Merge.Format.allCases.map(\.rawValue)

  private func merge(_ lines: [[UInt8]], _ options: [String] = []) throws -> Program {
    try Program.run(
      Program.command, ["merge", "-q"] + options,
      input: lines.map { String(decoding: $0, as: UTF8.self) }.joined())
  }

  private func fleet(_ lines: [[UInt8]], by grouping: Grouping = .everything) throws -> Fleet {
    var fleet = Fleet(by: grouping)
    for line in lines {
      switch try SavedSummary(Array(line.dropLast())) {
      case .tally(let tally, let group): fleet.add(tally, of: group)
      case .damaged(let damaged): fleet.damaged.merge(damaged)
      }
    }
    return fleet
  }

  private func lines(_ bytes: [UInt8]) -> [[UInt8]] {
    bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
  }

  // MARK: - One recording

  /// One line, without the folder that it lies in, and what the report says is what it says.
  @Test(arguments: Corpus.traces)
  func aRecordingIsALine(corpus: Corpus) throws {
    let options = [corpus.recording, "-k", corpus.vmlinux, "--label", "board=x"]
    let run = try CommandRun(options + ["--format", "summary"])
    let document = try Documents.document(corpus)
    #expect(run.output == SummaryLine.of(document, labels: [("board", "x")]))
    #expect(run.output.count { $0 == 10 } == 1 && run.output.last == 10)
    #expect(!run.text.contains(corpus.directory) && !run.text.contains("vmlinux"))
    let tally = Tally(document)
    for rule in Analysis.judgedRules {
      #expect(tally.rules[rule]?.outcomes.values.reduce(0, +) == 1, "\(rule.id) is one of them")
    }
    #expect(tally.counters.runs == document.analysis.vcpus.reduce(0) { $0 + $1.counters.runs })
  }

  /// A saved report says the same as the recording.
  @Test(arguments: Corpus.traces)
  func aReportIsTheSameLine(corpus: Corpus) throws {
    let path = "/tmp/ptrauth-trace-merge-\(getpid())-\(UInt64.random(in: 0 ... .max)).json"
    defer { unsafe unlink(path) }
    let options = [corpus.recording, "-k", corpus.vmlinux]
    Corpus.write(try CommandRun(options + ["--format", "json"]).output, to: path)
    let rendered = try CommandRun(Render.self, [path, "--format", "summary"])
    #expect(try CommandRun(options + ["--format", "summary"]).output == rendered.output)
  }

  /// What cannot be read has its line, which says why and not where it lay.
  @Test func nothingIsLost() throws {
    let run = try Program.run(
      Program.command,
      [
        "analyze", "--format", "summary", "/nonexistent/a.data", "README.md",
        Corpus.traces[1].recording,
      ])
    #expect(run.code == 2)
    let written = lines(Array(run.output.utf8))
    #expect(written.count == 3 && !run.output.contains("/nonexistent"))
    let merged = try fleet(written).total
    #expect(merged.recordings == 3 && merged.count(.unusable) == 2 && merged.open == 2)
    #expect(merged.openNames.sorted.contains { $0.name == "a.data" })
    #expect(merged.troubles.sorted.allSatisfy { !$0.name.contains("a.data") && $0.name.count > 9 })
  }

  @Test(arguments: [
    ["--label", "board"], ["--label", "=x"], ["--label", "a b=c"],
    ["--label", "a=1", "--label", "a=2"],
    ["--time", "1,2"], ["--vcpu", "0"],
  ])
  func wrongOptionsAreUsage(options: [String]) throws {
    let run = try Program.run(
      Program.command, ["analyze", "--format", "summary", "traces/v7-good/perf.data"] + options)
    #expect(run.code == 64 && run.output.isEmpty)
    let text = try Program.run(
      Program.command, ["analyze", "--label", "a=b", "traces/v7-good/perf.data"])
    #expect(text.code == 64)
  }

  // MARK: - Sums

  /// Associative and commutative: the bytes of every report are the same in whatever order and grouping.
  @Test(arguments: 0..<6)
  func anyOrderAndGroupingIsTheSame(round: Int) throws {
    var random = SystemRandomNumberGenerator()
    let all =
      SummaryLine.fixed + [SummaryLine.hostile]
      + (0..<40).map { _ in SummaryLine.random(&random) }
    let whole = try fleet(all)
    // Merges of merges, each written and read back.
    var parts = all.shuffled(using: &random).map { [$0] }
    while parts.count > 1 {
      parts.shuffle(using: &random)
      let taken = (0..<min(parts.count, Int.random(in: 2...5, using: &random))).map { _ in
        parts.removeLast()
      }
      parts.append(lines(SummaryReport.render(try fleet(taken.flatMap(\.self)))))
    }
    let merged = try fleet(parts[0])
    #expect(SummaryReport.render(merged) == SummaryReport.render(whole))
    // Looking at less of it before or after is the same.
    let byBoard = try #require(Grouping("label:board"))
    let late = try fleet(parts[0], by: byBoard)
    let early = try fleet(lines(SummaryReport.render(try fleet(all, by: byBoard))), by: byBoard)
    #expect(
      FleetJSON.render(FleetReport(late, failOn: .medium))
        == FleetJSON.render(FleetReport(early, failOn: .medium)))
    let (a, b) = (FleetReport(whole, failOn: .medium), FleetReport(merged, failOn: .medium))
    #expect(
      FleetText.render(a, style: Style(isColoured: false))
        == FleetText.render(b, style: Style(isColoured: false)))
    #expect(FleetHTML.render(a) == FleetHTML.render(b))
    #expect(
      FleetKCIDB(origin: "x", buildID: nil).render(a, suite: "s")
        == FleetKCIDB(origin: "x", buildID: nil).render(b, suite: "s"))
  }

  @Test func nothingIsTheUnit() throws {
    let line = try fleet([SummaryLine.of(Documents.faulty)])
    var sum = Fleet(by: .everything)
    sum.merge(line)
    sum.merge(Fleet(by: .everything))
    #expect(SummaryReport.render(sum) == SummaryReport.render(line))
  }

  /// The exit code is that of analyze on all of them: the worst.
  @Test func exitCodesAreThoseOfAnalyze() throws {
    let documents = [
      Documents.clean, Documents.faulty, Documents.incomplete(Documents.clean), Documents.unusable,
      Documents.unfulfilled, Documents.incomplete(Documents.faulty), Documents.blind,
    ]
    for mask in 1..<(1 << documents.count) where mask.nonzeroBitCount < 4 {
      let some = documents.indices.filter { mask >> $0 & 1 == 1 }.map { documents[$0] }
      for failOn in [Rule.Severity?.none, .medium, .info] {
        let report = FleetReport(try fleet(some.map { SummaryLine.of($0) }), failOn: failOn)
        let outcome: Outcome =
          report.failing.isEmpty ? (report.isOpen ? .cannotJudge : .clean) : .findings
        #expect(outcome == some.map { Outcome($0.analysis, failOn: failOn) }.max(), "\(mask)")
      }
    }
    #expect(try merge([SummaryLine.of(Documents.clean)]).code == 0)
    #expect(
      try merge([SummaryLine.of(Documents.clean), SummaryLine.of(Documents.faulty)]).code == 1)
    #expect(try merge([SummaryLine.of(Documents.faulty)], ["--fail-on", "none"]).code == 0)
    #expect(try merge([SummaryLine.of(Documents.unusable)]).code == 2)
    #expect(try merge([SummaryLine.of(Documents.unusable)], ["--exit-code", "bisect"]).code == 125)
    #expect(try merge([]).code == 2, "no recording is no pass")
    #expect(try merge([], ["--by", "kernels"]).code == 64)
  }

  // MARK: - Damage

  /// A line that is none is counted and named; the others are there; a merge of the merge says it too.
  @Test(arguments: [
    "{}", "not JSON", "{\"schema\":\"ptrauth-trace/analysis/2\"}", "[1]",
    "{\"schema\":\"ptrauth-trace/summary/2\",\"recordings\":1}", "\u{0}",
  ])
  func aDamagedLineIsSaid(line: String) throws {
    let good = String(decoding: SummaryLine.of(Documents.clean), as: UTF8.self)
    let run = try Program.run(
      Program.command, ["merge", "--format", "summary"], input: good + line + "\n\n" + good)
    #expect(run.code == 2)
    #expect(run.errors.hasPrefix("ptrauth-trace: standard input, line 2: "), "\(run.errors)")
    let again = try Program.run(Program.command, ["merge"], input: run.output)
    #expect(again.code == 2 && again.output.contains("2 recordings"))
    #expect(again.output.contains("1 line of the input is no summary"))
    #expect(again.output.contains("standard input:2"))
  }

  /// Every prefix of a line, and members that are no sums of anything.
  @Test func cutAndImpossibleLinesAreNone() throws {
    let line = SummaryLine.of(Documents.faulty).dropLast()
    for count in stride(from: 0, to: line.count, by: 61) {
      #expect(throws: SavedFault.self) { try SavedSummary(Array(line.prefix(count))) }
    }
    let text = String(decoding: line, as: UTF8.self)
    for (member, other) in [
      ("\"recordings\":1,", "\"recordings\":2,"), ("\"broken\":1", "\"broken\":2"),
      ("\"events\":", "\"events\":-"), ("\"missed-host-save\"", "\"missed-host-sav\""),
      ("\"total\":1", "\"total\":0"), ("\"traps-per-load\"", "\"traps-per-lode\""),
      ("\"bytes\":", "\"bytes\":999999999999999"),
    ] {
      #expect(text.contains(member))
      #expect(throws: SavedFault.self, "\(other)") {
        try SavedSummary(Array(text.replacing(member, with: other).utf8))
      }
    }
  }

  @Test func aFolderAndAMissingFileAreSaid() throws {
    let path = "/tmp/ptrauth-trace-merge-\(getpid())-\(UInt64.random(in: 0 ... .max)).jsonl"
    defer { unsafe unlink(path) }
    Corpus.write(SummaryLine.of(Documents.clean), to: path)
    for missing in ["/nonexistent.jsonl", "traces"] {
      let run = try Program.run(Program.command, ["merge", path, missing])
      #expect(run.code == 2 && run.output.contains("1 recording"))
      #expect(run.errors.contains("cannot be read: "))
    }
    let over = try Program.run(Program.command, ["merge", path, "-o", path])
    #expect(over.code == 2 && !Corpus.bytes(path).isEmpty, "the input is not written over")
  }

  // MARK: - Formats

  @Test func formatsAreRead() throws {
    let all = SummaryLine.fixed + [SummaryLine.hostile]
    let report = FleetReport(try fleet(all, by: .kernels), failOn: .medium)
    try Reader.lines("junit.py", FleetJUnit.render(report, suite: "x"))
    try Reader.lines("kcidb.py", FleetKCIDB(origin: "x", buildID: nil).render(report, suite: "x"))
    let one = FleetReport(try fleet([SummaryLine.of(Documents.clean)]), failOn: .medium)
    let xml = FleetJUnit.render(one, suite: "x")
    #expect(xml.contains("failures=\"0\" errors=\"0\""))
  }

  /// Failures and errors of the test formats are the exit code.
  @Test func testFormatsAgreeWithTheExitCode() throws {
    for line in SummaryLine.fixed {
      let report = FleetReport(try fleet([line]), failOn: .medium)
      let xml = FleetJUnit.render(report, suite: "x")
      #expect(xml.contains("<failure ") == !report.failing.isEmpty)
      if report.failing.isEmpty { #expect(xml.contains("<error ") == report.isOpen) }
    }
  }

  @Test(arguments: formats)
  func hostileNamesAreWrittenOut(format: String) throws {
    let lines = [SummaryLine.hostile, SummaryLine.of(Documents.clean)]
    let run = try merge(lines, ["--format", format, "--by", "kernel,label:board"])
    #expect(run.code == 1 && !run.output.isEmpty)
    for scalar in run.output.unicodeScalars {
      let isControl = scalar.value < 32 || (0x7f..<0xa0).contains(scalar.value)
      // HTML and XML have tabs, and show them as blanks.
      let isBlank = scalar == "\t" && ["html", "junit"].contains(format)
      #expect(!isControl || scalar == "\n" || isBlank, "\(format)")
    }
    #expect(!run.output.contains("<&>") || format != "html")
    for line in run.output.split(separator: "\n") { #expect(!line.hasPrefix("not ok")) }
    if format == "text" { #expect(run.output.contains("\\x1b[31m")) }
  }

  @Test(arguments: formats)
  func theNameOfTheOutputSaysTheFormat(format: String) throws {
    let names = [
      "text": "txt", "json": "json", "html": "html", "markdown": "md", "summary": "jsonl",
      "junit": "xml",
    ]
    guard let name = names[format] else { return }
    let path = "/tmp/ptrauth-trace-merge-\(getpid())-\(UInt64.random(in: 0 ... .max)).\(name)"
    defer { unsafe unlink(path) }
    let line = SummaryLine.of(Documents.clean)
    _ = try merge([line], ["-o", path])
    #expect(
      String(decoding: Corpus.bytes(path), as: UTF8.self)
        == (try merge([line], ["--format", format]).output))
  }

  // MARK: - The answer

  /// Three kernels in no order: the first that is bad is named, and the last that was good.
  @Test func theFirstBadKernelIsNamed() throws {
    let all = FleetNight.lines(recordings: 60)
    let run = try merge(all.shuffled())
    #expect(run.code == 1)
    #expect(
      run.output.hasPrefix(
        "FINDINGS: missed-host-save in 30 of 60 recordings, first in 6.2.0 (build-id 6c0000000000)")
    )
    let words = run.output.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
    #expect(words.contains("findings 6.2.0 (build-id 6c0000000000) <= the first bad one"))
    #expect(words.contains("last kept in 6.2.0-rc3 (build-id 630000000000)"))
    #expect(words.ranges(of: "<= the first bad one").count == 1)
  }

  // MARK: - compare

  /// Merged, recordings say what they say one by one.
  @Test func comparingMergesIsComparingReports() throws {
    let base = "/tmp/ptrauth-trace-merge-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let sides: [[Document]] = [
      Array(repeating: Documents.real[1], count: 5), Array(repeating: Documents.real[2], count: 5),
    ]
    var files: [[String]] = []
    defer { for file in files.flatMap(\.self) { unsafe unlink(file) } }
    for (number, side) in sides.enumerated() {
      let reports = side.indices.map { "\(base)-\(number)-\($0).json" }
      for (file, document) in zip(reports, side) {
        Corpus.write(JSONReport.render(document), to: file)
      }
      let merged = "\(base)-\(number).jsonl"
      Corpus.write(SummaryReport.render(try fleet(side.map { SummaryLine.of($0) })), to: merged)
      files += [reports, [merged]]
    }
    for (old, new) in [(0, 2), (2, 0), (0, 0)] {
      let reports = try Program.run(
        Program.command, ["compare", "--format", "json"] + files[old] + ["--"] + files[new])
      let merged = try Program.run(
        Program.command, ["compare", "--format", "json"] + files[old + 1] + ["--"] + files[new + 1])
      #expect(reports.code == merged.code, "\(merged.errors)")
      func said(_ text: String) -> [String] {
        // What merged recordings say more comes behind it.
        text.split(separator: "\n").map { $0.hasSuffix(",") ? String($0.dropLast()) : String($0) }
          .filter { line in
            [
              "\"verdict\"", "\"rule\"", "\"change\"", "\"count\"", "\"significant\"",
              "\"baseIsBlind\"",
            ].contains {
              line.contains($0)
            } && !line.contains("clean") && !line.contains(" findings\"")
              && !line.hasSuffix("\"findings\"")
          }
      }
      #expect(said(reports.output) == said(merged.output))
      #expect(merged.output.contains("\"recordings\": 5"))
    }
    let text = try Program.run(Program.command, ["compare", files[1][0], "--", files[3][0]])
    #expect(text.code == 1 && text.output.contains("base  5 recordings"))
    #expect(text.output.contains("new 5 of 5 (1780 times) (shares p=0.008)"), "\(text.output)")
  }
}
