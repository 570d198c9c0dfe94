import ArgumentParser
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What is known fails no run again; what is new does, and what has gone is said.
struct KnownTests {
  private static let faulty = Corpus.traces[2]
  private static let options = [faulty.recording, "-k", faulty.vmlinux]

  private static func with(
    _ document: Document, known: Document
  ) -> Document {
    var list = KnownFindings()
    list.add(known)
    var document = document
    document.analysis.known = list.known(in: document)
    return document
  }

  /// The same rule at the same place, as what follows from another fault, is not the one that is known.
  @Test func anotherCauseIsAnotherFault() throws {
    let session = try Session(
      recording: Corpus.traces[2].recording, vmlinux: Corpus.traces[2].vmlinux)
    let document = try session.document(try session.replay(timeline: nil))
    let index = try #require(
      document.analysis.findings.firstIndex { $0.rule == .missedHostSave })
    var followed = document
    followed.analysis.findings[index].causes = [
      Finding.Cause(rule: .staleEnable, count: document.analysis.findings[index].count)
    ]
    for (now, then) in [(document, followed), (followed, document)] {
      let judged = Self.with(now, known: then)
      #expect(!judged.analysis.isKnown(judged.analysis.findings[index]))
    }
    let same = Self.with(followed, known: followed)
    #expect(same.analysis.isKnown(same.analysis.findings[index]))
  }

  /// Written, read, and shown: the exit code is 0, and no pass either.
  @Test func aListIsWrittenAndRead() throws {
    let path = "/tmp/ptrauth-trace-known-\(UInt64.random(in: 0 ... .max)).json"
    defer { _ = try? Program.run("rm", [path]) }
    #expect(try CommandRun(Self.options + ["--write-known", path]).code == 1)
    let text = String(decoding: Corpus.bytes(path), as: UTF8.self)
    let lines = text.split(separator: "\n").filter { $0.contains("\"rule\"") }
    #expect(lines.count == 4)
    #expect(
      text.contains(
        #"{"rule":"missed-host-save","level":"proved","places":["kvm_arm_vcpu_ptrauth_trap (arch/arm64/kvm/handle_exit.c)"]}"#
      ))
    #expect(!text.contains("perf.data") && !text.contains("0x"))
    let ran = try Program.validate(
      "schemas.py", [Corpus.root + "/traces/schemas/known.json", path])
    #expect(ran.code == 0, "\(ran.errors)")
    let again = try CommandRun(Self.options + ["--known", path])
    #expect(again.code == 0)
    #expect(again.text.hasPrefix("FINDINGS, all known: missed-host-save (critical, 356 proved); "))
    #expect(
      again.text.contains(
        "\n  missed-host-save     critical, proved, 356 times on 3 vCPUs\n"))
    #expect(!again.text.contains("\n  look at "), "one line each")
    let json = try CommandRun(Self.options + ["--known", path, "--format", "json"])
    let part = try #require(try SavedReport(JSONValue(json.output)).parts.first)
    guard case .judged(let saved) = part else { return #expect(Bool(false)) }
    #expect(saved.analysis.known?.findings.count == 4 && saved.analysis.failing.isEmpty)
    let report = path + ".report.json"
    Corpus.write(json.output, to: report)
    defer { _ = try? Program.run("rm", [report]) }
    let fits = try Program.validate(
      "schemas.py", [Corpus.root + "/traces/schemas/analysis.json", report])
    #expect(fits.code == 0, "\(fits.errors)")
    // Of several recordings a known one may be in any.
    let several = try Program.run(
      Program.command,
      ["analyze", "--known", path, "--format", "ktap", "--no-audit"]
        + ["traces/v7-good/perf.data", "traces/v7-trap-skips-host-save/perf.data"])
    #expect(several.code == 0 && !several.errors.contains("known"))
    let good = try Program.run(
      Program.command, ["analyze", "--known", path, "--no-audit", "traces/v7-good/perf.data"])
    #expect(good.code == 0 && good.output.hasPrefix("CLEAN"))
    #expect(good.output.contains("\n  missed-host-save (proved): not seen any more\n"))
  }

  @Test func whatIsNewCounts() throws {
    let document = Documents.faulty
    #expect(Outcome(Self.with(document, known: document).analysis) == .clean)
    // Another place in the source, none known before, and a rule that was suspected.
    var moved = document
    moved.kernel.sources["missed-host-save"]?.function = "kvm_arch_vcpu_load"
    #expect(Outcome(Self.with(moved, known: document).analysis) == .findings)
    var placeless = document
    placeless.kernel.sources = [:]
    #expect(Outcome(Self.with(document, known: placeless).analysis) == .findings)
    var line = document
    line.kernel.sources["missed-host-save"]?.line = 1
    #expect(Outcome(Self.with(line, known: document).analysis) == .clean, "lines move")
    var suspected = document
    suspected.analysis.findings[0].level = .suspected
    #expect(Outcome(Self.with(document, known: suspected).analysis) == .findings)
    #expect(Outcome(Self.with(suspected, known: document).analysis) == .clean)
    var fewer = document
    fewer.analysis.findings.removeFirst()
    #expect(Outcome(Self.with(document, known: fewer).analysis) == .findings)
  }

  /// "Not seen any more" takes a judgement.
  @Test func whatIsGoneIsSaidAsFarAsItWasJudged() throws {
    var fixed = Documents.faulty
    fixed.analysis.findings.removeFirst()
    let known = try #require(Self.with(fixed, known: Documents.faulty).analysis.known)
    #expect(known.gone == [.init(rule: "missed-host-save", level: .proved, isJudged: true)])
    let cut = Self.with(Documents.incomplete(fixed), known: Documents.faulty)
    #expect(cut.analysis.known?.gone.map(\.isJudged) == [false])
    let text = TextReport.render(cut, style: Style(isColoured: false))
    #expect(text.contains("missed-host-save (proved): this recording does not show whether"))
    var hidden = fixed
    hidden.analysis.notObservable.append(
      .init(rule: .missedHostSave, reason: "a", remedy: "b", applies: true))
    #expect(
      Self.with(hidden, known: Documents.faulty).analysis.known?.gone.map(\.isJudged) == [false])
  }

  @Test(arguments: [
    (ReportFormat.ktap, "ok 1 missed-host-save # SKIP known, and does not count\n"),
    (.ktap, "\n# known 4 of 4 findings, not counted: missed-host-save (proved), "),
    (.ktap, "\nok 1 "), (.junit, "<skipped message=\"known, and does not count\"/>"),
    (.junit, "<property name=\"known\" value=\"4 of 4 findings"),
    (.sarif, "\"baselineState\": \"unchanged\""), (.sarif, "\"suppressions\""),
    (.github, "::notice file=arch/arm64/kvm/handle_exit.c,line=193,title=missed-host-save"),
    (.kcidb, "\"known\": true"), (.lava, "TEST_CASE_ID=missed-host-save RESULT=skip"),
    (.lava, "\nknown 4 of 4 findings"), (.html, "<h2>Known</h2>"), (.json, "\"known\": {"),
    (.jsonl, "\"known\":{\"findings\":[{\"rule\":\"missed-host-save\",\"level\":\"proved\"}"),
  ])
  func everyFormatSaysIt(format: ReportFormat, words: String) throws {
    let document = Self.with(Documents.faulty, known: Documents.faulty)
    func render(_ document: Document) throws -> String {
      if let report = MachineReport(format, try KCIDBOptions.parse([])) {
        return String(
          decoding: report.render([TestSuite(document, failOn: .medium)]), as: UTF8.self)
      }
      let bytes =
        switch format {
        case .html: HTMLReport.render([.judged(document)])
        case .jsonl:
          SummaryLines.verdict(Summary.Line(path: "x", result: .judged(document.analysis)))
        default: JSONReport.render(document)
        }
      return String(decoding: bytes, as: UTF8.self)
    }
    let text = try render(document)
    #expect(text.contains(words) && text.lowercased().contains("findings, all known"))
    #expect(try !render(Documents.faulty).contains(words))
  }

  /// The list does not take the report's place, however its file is spelled.
  @Test func theReportsFileIsNoList() throws {
    let path = "/tmp/ptrauth-trace-both-\(getpid()).json"
    defer { unsafe unlink(path) }
    let run = try Program.run(
      Program.command,
      ["analyze"] + Self.options + [
        "-o", path, "--write-known", "/tmp/../\(path)", "--format", "json",
      ])
    #expect(run.code == 2 && run.errors.contains("holds the report"))
    #expect(String(decoding: Corpus.bytes(path), as: UTF8.self).contains("\"verdict\""))
  }

  @Test func whatIsNoListIsSaid() throws {
    for path in ["README.md", "/nonexistent", "traces/schemas/known.json"] {
      let run = try Program.run(
        Program.command, ["analyze", "--known", path, "traces/v7-good/perf.data"])
      #expect(run.code == 2 && run.errors.contains("--write-known") && run.output.isEmpty)
    }
  }
}
