import Fleet
import Glibc
import Ptrauth
import Regression
import Replay
import Report
import Testing
import ptrauth_trace

/// A merged report says no more than its recordings do one by one.
struct MergeHonestyTests {
  private func merge(_ lines: [[UInt8]], _ options: [String] = []) throws -> Program {
    try Program.run(
      Program.command, ["merge", "-q"] + options,
      input: lines.map { String(decoding: $0, as: UTF8.self) }.joined())
  }

  private func words(_ program: Program) -> String {
    program.output.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
  }

  /// One recording merged is what analyze says of it: no critical rule that was not judged goes unsaid.
  @Test(arguments: Corpus.traces)
  func aCleanMergeSaysWhatItDoesNotStandOn(corpus: Corpus) throws {
    let document = try Documents.document(corpus)
    let hidden = document.analysis.criticalNotJudged.map(\.rule.id)
    let line = SummaryLine.of(document)
    let text = try words(merge([line, line]))
    let names = hidden.joined(separator: ", ")
    #expect(text.contains("not judged: " + names) == !hidden.isEmpty)
    guard document.analysis.verdict == .clean else { return }
    #expect(text.hasPrefix("CLEAN, but ") == !hidden.isEmpty, "\(text.prefix(200))")
    #expect(text.hasPrefix("CLEAN: ") == hidden.isEmpty)
    for format in ["html", "markdown"] {
      let shown = try merge([line], ["--format", format]).output
      for rule in hidden {
        #expect(shown.contains("clean, but ") && shown.contains(rule), "\(format)")
      }
    }
  }

  /// Judged for one kernel is not judged for the other.
  @Test func ofWhichRowsARuleWasNotJudged() throws {
    var blind = Documents.clean
    blind.recording.osRelease = "7.0.0"
    blind.analysis.notObservable.append(
      .init(rule: .missedHostSave, reason: "no keys", remedy: "record keys"))
    let lines = [SummaryLine.of(Documents.clean), SummaryLine.of(blind)]
    let text = try words(merge(lines))
    #expect(text.hasPrefix("CLEAN, but missed-host-save (in 1 of 2 rows)"), "\(text.prefix(200))")
    let json = try merge(lines, ["--format", "json"]).output
    #expect(
      json.ranges(of: "\"missed-host-save\"\n").count
        + json.ranges(of: "\"missed-host-save\",\n").count == 2)
    // A kernel that judges nothing of it is no last good one.
    var faulty = Documents.faulty
    faulty.recording.osRelease = "8.0.0"
    let page = try merge(lines + [SummaryLine.of(faulty)], ["--format", "html"]).output
    #expect(page.contains("; the last clean one before it: 6."))
    #expect(page.contains("; 1 between them cannot say"))
    let alone = try merge([SummaryLine.of(blind), SummaryLine.of(faulty)], ["--format", "html"])
      .output
    #expect(alone.contains("; none of the 1 before it judges and keeps what it breaks"))
  }

  /// A kernel of which one recording cannot be read, and the others keep the rule, can say so; one that has it among what
  /// is known is no good one.
  @Test func theLastGoodOneIsOfTheRule() throws {
    func line(_ document: Document, _ release: String) -> [UInt8] {
      var document = document
      document.recording.osRelease = release
      document.kernel.recordedBuildID = nil
      document.kernel.buildID = nil
      return SummaryLine.of(document)
    }
    var known = Documents.faulty
    var list = Known()
    list.findings = known.analysis.findings.map { ($0.rule, $0.level) }
    known.analysis.known = list
    let good = [line(Documents.clean, "6.1.0"), line(Documents.clean, "6.2.0")]
    let bad = [line(Documents.unusable, "6.2.0"), line(Documents.faulty, "6.4.0")]
    let page = try merge(good + bad, ["--format", "html"]).output
    #expect(
      page.contains("; the last before it that keeps what it breaks: 6.2.0."), "\(page.prefix(0))")
    #expect(!page.contains("cannot say"))
    let later = try merge(
      good + bad + [line(known, "6.3.0"), line(Documents.unusable, "6.3.1")], ["--format", "html"])
    #expect(
      later.output.contains(
        "keeps what it breaks: 6.2.0; 1 between them cannot say; in 1 between them it is known"))
    let text = try words(merge(good + bad + [line(known, "6.2.0")]))
    #expect(text.contains("first in 6.4.0; last kept in 6.1.0"), "\(text)")
  }

  /// What --by left out nobody knows any more: that is not "not said", and not an unknown kernel.
  @Test func whatWasMergedOverIsSaid() throws {
    let labels: [(key: String, value: String?)] = [("board", "a"), ("x", "1")]
    let lines = [Documents.clean, Documents.faulty].map { SummaryLine.of($0, labels: labels) }
    let boards = try merge(lines, ["--format", "summary", "--by", "label:board"]).output
    #expect(boards.count { $0 == "\n" } == 1 && boards.contains(#""by":["label:board"]"#))
    let line = Array(boards.utf8)
    #expect(
      try words(merge([line], ["--by", "kernel"])).contains(
        "first in recordings merged over kernels;"))
    #expect(try words(merge([line], ["--by", "label:x"])).contains("first in x merged over;"))
    #expect(try words(merge([line], ["--by", "label:board"])).contains("first in board a;"))
    #expect(try words(merge(lines, ["--by", "label:y"])).contains("first in y not said;"))
    #expect(try merge([line], ["--format", "summary"]).output == boards)
    // A line from before that was written.
    let old = Array(boards.replacing(#""by":["label:board"],"#, with: "").utf8)
    #expect(try words(merge([old], ["--by", "kernel"])).contains("merged over kernels;"))
  }

  /// A result of KCIDB is of one build, whatever the rows are, and its excerpt as long as the schema has it.
  @Test func kcidbKnowsTheBuildAndTheLimit() throws {
    let line = SummaryLine.of(Documents.faulty, labels: [("board", "a")])
    let build = try #require(
      Documents.faulty.kernel.recordedBuildID ?? Documents.faulty.kernel.buildID)
    let run = try merge([line], ["--format", "kcidb", "--by", "label:board"]).output
    #expect(run.contains("ptrauth_trace:\(build)") && !run.contains(":unknown"))
    let given = try merge(
      [line], ["--format", "kcidb", "--by", "label:board", "--kcidb-build-id", "a:b"])
    #expect(!given.output.contains(build) && given.output.contains("\"a:b\""))
    var long = Documents.faulty
    long.recording.path = String(repeating: "a\u{300}", count: 20_000)
    let excerpts = try merge([SummaryLine.of(long)], ["--format", "kcidb"]).output
      .split(separator: "\n").filter { $0.contains("\"log_excerpt\"") }
    let most = excerpts.map { $0.unicodeScalars.count }.max() ?? 0
    #expect(most > 16_384 && most < 16_384 + 60, "\(most)")
  }

  @Test func oneBuildIsOfOneKernel() throws {
    var other = Documents.faulty
    other.recording.osRelease = "8.0.0"
    let lines = [SummaryLine.of(Documents.faulty), SummaryLine.of(other)]
    let run = try merge(lines, ["--format", "kcidb", "--kcidb-build-id", "a:b"])
    #expect(run.code == 64 && run.output.isEmpty && run.errors.contains("are of 2 kernels"))
  }

  @Test func aListOfNoDamageIsDamage() throws {
    let line = Array(
      #"{"schema":"\#(JSONFormat.summary.name)","damaged":{"total":0,"named":{}}}"#.utf8)
    let run = try merge([line + [10], SummaryLine.of(Documents.clean)])
    #expect(run.code == 2, "\(run.output.prefix(200)) \(run.errors)")
  }

  private func sample(_ documents: [Document]) throws -> Sample {
    var all = Tally()
    for document in documents {
      guard case .tally(let tally, _) = try SavedSummary(SummaryLine.of(document)) else { continue }
      all.merge(tally)
    }
    return try #require(Sample(all, name: "merged", kernel: "6.1"))
  }

  /// A sketch moves all values one way: those of recordings beside it are moved alike.
  @Test func mergedAndWholeAreComparedAlike() throws {
    for document in [Documents.clean, Documents.faulty] {
      let whole = Sample(name: "whole", kernel: "6.1", document.analysis)
      let rates = try Comparison(base: [sample([document])], new: [whole]).rates
      #expect(rates.contains { $0.base.contains { $0 != 0 } })
      for rate in rates { #expect(rate.base == rate.new, "\(rate.metric.name)") }
    }
  }

  /// perf counts a loss where it was, and once more without saying when.
  @Test func aLossIsCountedOnce() {
    var document = Documents.clean
    document.analysis.lostEvents = [(cpu: 0, count: 20), (cpu: 1, count: 12)]
    document.recording.lostSamples = 32
    #expect(Tally(document).lost == 32)
    document.recording.lostSamples = 40
    #expect(Tally(document).lost == 40)
  }

  /// Recordings that cannot break a rule say nothing of those that do not judge it.
  @Test func whatCannotBeBrokenIsNotShown() throws {
    func document(applies: Bool) -> Document {
      var document = Documents.clean
      document.analysis.notObservable.removeAll { $0.rule == .missedHostSave }
      document.analysis.notObservable.append(
        .init(rule: .missedHostSave, reason: "no", remedy: "record keys", applies: applies))
      return document
    }
    let mixed = try sample([document(applies: false), document(applies: true)])
    #expect(mixed.hidden.contains("missed-host-save") && !mixed.judges(.missedHostSave))
    #expect(!mixed.showsAbsence(of: "missed-host-save"))
    let faulty = try sample([Documents.faulty])
    #expect(Comparison(base: [mixed], new: [faulty]).findings.first?.baseIsBlind == true)
    #expect(Comparison(base: [faulty], new: [mixed]).notJudged.contains(.missedHostSave))
    let never = try sample([document(applies: false)])
    #expect(
      never.impossible.contains("missed-host-save") && !never.hidden.contains("missed-host-save"))
  }

  @Test(arguments: ["x.csv", "x.sarif", "x.ktap"])
  func formatsThatMergeHasNot(name: String) throws {
    let run = try Program.run(
      Program.command, ["merge", "-o", "/nonexistent/" + name], input: "")
    #expect(run.code == 64 && run.errors.contains("merge writes no \(name.dropFirst(2))"))
  }

  /// Findings that are known are findings.
  @Test func knownIsNotClean() throws {
    var document = Documents.faulty
    var known = Known()
    known.findings = document.analysis.findings.map { ($0.rule, $0.level) }
    document.analysis.known = known
    let line = SummaryLine.of(document)
    let text = try merge([line])
    #expect(text.code == 0 && Outcome(document.analysis, failOn: .medium) == .clean)
    #expect(
      text.output.hasPrefix("FINDINGS, all known: missed-host-save is known in 1 of 1 recording"))
    #expect(!text.output.contains("no correctness rule is broken"))
    let xml = try merge([line], ["--format", "junit"]).output
    #expect(xml.contains("message=\"known, and does not count\""))
    #expect(try merge([line], ["--format", "html"]).output.contains("findings, all known"))
    let json = try merge([line], ["--format", "json"]).output
    #expect(json.contains("\"verdict\": \"findings\""))
  }

  /// What is only suspected where events are missing is no pass of its rule.
  @Test func doubtfulIsNoPass() throws {
    var document = Documents.incomplete(Documents.faulty)
    document.analysis.verdict = .incomplete
    let xml = try merge([SummaryLine.of(document)], ["--format", "junit"]).output
    #expect(xml.contains("may only seem broken in 1 recording, as events are missing"))
    let kcidb = try merge([SummaryLine.of(document)], ["--format", "kcidb"]).output
    #expect(
      !kcidb.contains("\"status\": \"PASS\"")
        || !kcidb.contains("missed-host-save\",\n      \"status\": \"PASS\""))
    let clean = SummaryLine.of(Documents.incomplete(Documents.clean))
    let gaps = try merge([clean], ["--format", "junit"]).output
    #expect(gaps.contains("not broken outside the gaps, and events are missing"))
  }

  /// Lines that contradict themselves: each was a clean recording before someone edited it.
  @Test(arguments: [
    ("\"verdicts\":{\"clean\":1}", "\"verdicts\":{\"unusable\":1}"),
    ("\"verdicts\":{\"clean\":1}", "\"verdicts\":{\"incomplete\":1}"),
    ("\"verdicts\":{\"clean\":1}", "\"verdicts\":{\"cannot judge\":1}"),
    ("\"verdicts\":{\"clean\":1}", "\"verdicts\":{\"findings\":1}"),
    ("\"eventsMissing\":0", "\"eventsMissing\":1"), ("\"open\":0", "\"open\":2"),
    ("\"stale-enable\":{\"kept\":1}", "\"stale-enable\":{\"broken\":1,\"proved\":3}"),
    ("\"stale-enable\":{\"kept\":1}", "\"stale-enable\":{\"kept\":1,\"proved\":3}"),
    ("\"kept\":1", "\"notJudged\":1"),
    ("\"recordings\":1,\"verdicts\":{\"clean\":1}", "\"recordings\":0,\"verdicts\":{}"),
    ("\"vms\":1,", "\"vms\":0,"), ("\"loads\":0}", "\"loads\":5}"),
  ])
  func aContradictionIsNoSummary(member: String, other: String) throws {
    let line = String(decoding: SummaryLine.of(Documents.clean), as: UTF8.self)
    #expect(line.contains(member))
    let run = try Program.run(
      Program.command, ["merge"], input: line.replacing(member, with: other))
    #expect(
      run.code == 2 && run.output.contains("1 line of the input is no summary"), "\(run.errors)")
  }

  /// Whatever merge writes it reads, sums beyond 2^63 too.
  @Test func hugeSumsAreReadAgain() throws {
    let line = String(decoding: SummaryLine.of(Documents.clean), as: UTF8.self)
    let huge = String(UInt64.max - 1)
    let text = line.replacing(
      #""events":\#(Documents.clean.analysis.eventCount),"#, with: "\"events\":\(huge),")
    #expect(text != line)
    let twice = try Program.run(
      Program.command, ["merge", "--format", "summary"], input: text + text)
    #expect(twice.code == 0 && twice.output.contains("\"events\":\(UInt64.max),"))
    let again = try Program.run(
      Program.command, ["merge", "--format", "summary"], input: twice.output)
    #expect(again.code == 0 && again.output == twice.output)
  }

  @Test func aFileOfNothingAndOneGivenTwiceAreSaid() throws {
    let base = "/tmp/ptrauth-trace-merge-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let (good, empty) = (base + ".jsonl", base + "-empty.jsonl")
    defer { for path in [good, empty] { unsafe unlink(path) } }
    Corpus.write(SummaryLine.of(Documents.clean), to: good)
    Corpus.write(Array("\n".utf8), to: empty)
    let run = try Program.run(Program.command, ["merge", good, empty])
    #expect(run.code == 2 && run.errors.contains("there is no summary in the file"))
    #expect(run.output.contains("CANNOT JUDGE: no correctness rule is broken in 1 recording"))
    let twice = try Program.run(Program.command, ["merge", good, good])
    #expect(twice.code == 64 && twice.errors.contains("is given twice"))
    // However it is spelled.
    let other = "/tmp/../tmp/" + good.dropFirst("/tmp/".count)
    for arguments in [["merge", good, other], ["compare", good, other, "--", good]] {
      let again = try Program.run(Program.command, arguments)
      #expect(again.code == 64 && again.errors.contains("is given twice"))
    }
    #expect(try Program.run(Program.command, ["compare", good, "--", other]).code != 64)
    // A line that another program has written with blanks is a side too.
    let spaced = String(decoding: SummaryLine.of(Documents.clean), as: UTF8.self)
      .replacing("{\"schema\":", with: "{ \"schema\": ")
    Corpus.write(Array(spaced.utf8), to: empty)
    let compared = try Program.run(Program.command, ["compare", good, "--", empty])
    #expect(
      compared.code == 0 && compared.output.contains("new   1 recording"), "\(compared.errors)")
  }

  /// A side of `compare` on standard input, from a file or a pipe, is a recording: what else it is is said, and where it goes.
  @Test(arguments: ["", "cat | "])
  func comparedFromStandardInputIsNoRecording(pipe: String) throws {
    for input in [SummaryLine.of(Documents.clean), JSONReport.render(Documents.clean)] {
      let run = try Program.run(
        "sh", ["-c", "\(pipe)\(Program.command) compare - -- traces/v7-good/perf.data"],
        input: String(decoding: input, as: UTF8.self))
      #expect(run.code == 2)
      #expect(
        run.errors.contains(
          "-: these are reports or summaries of ptrauth-trace and no recording; `ptrauth-trace compare` reads them from files"
        ), "\(run.errors)")
    }
  }
}
