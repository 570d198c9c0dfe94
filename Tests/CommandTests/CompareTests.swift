import ArgumentParser
import FoundationEssentials
import Glibc
import Ptrauth
import Regression
import Replay
import Report
import Testing
import Trace
import ptrauth_trace

/// `compare` as a user runs it.
struct CompareTests {
  private struct Shape: Decodable {
    struct Finding: Decodable {
      var rule: String
      var change: String
      var correctness: Bool
    }
    struct Rate: Decodable {
      var metric: String
      var baseMedian: Double?
      var newMedian: Double?
      var ratio: Double?
      var p: Double?
      var significant: Bool
      var lowerBound: Bool
    }
    struct Threshold: Decodable {
      var condition: String
      var crossed: Bool?
    }
    var schema: String
    var verdict: String
    var findings: [Finding]
    var rates: [Rate]
    var thresholds: [Threshold]

    func change(_ rule: String) -> String? { findings.first { $0.rule == rule }?.change }
    func ratio(_ metric: String) -> Double? { rates.first { $0.metric == metric }?.ratio }
    var news: [String] { findings.filter { $0.correctness && $0.change == "new" }.map(\.rule) }
  }

  private func run(_ arguments: [String]) throws -> (code: Int32, bytes: [UInt8]) {
    let path = "/tmp/ptrauth-trace-compare-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    let command = try Compare.parse(["-q", "-o", path] + arguments)
    do {
      try command.run()
      return (0, Corpus.bytes(path))
    } catch let exit as ExitCode {
      return (exit.rawValue, Corpus.bytes(path))
    }
  }

  private func text(_ arguments: [String]) throws -> String {
    String(decoding: try run(arguments).bytes, as: UTF8.self)
  }

  private func compare(_ arguments: [String]) throws -> (code: Int32, report: Shape) {
    let (code, bytes) = try run(["--format", "json"] + arguments)
    return (code, try JSONDecoder().decode(Shape.self, from: Data(bytes)))
  }

  private let good = Corpus.traces[1].recording
  private let faulty = Corpus.traces[2].recording
  private let stock = Corpus.traces[0].recording

  @Test func theSameTwiceIsNoRegression() throws {
    let (code, report) = try compare([good, "--", good])
    #expect(code == 0 && report.verdict == "no regression" && report.news.isEmpty)
    #expect(report.rates.allSatisfy { $0.ratio == 1 && !$0.significant })
    #expect(report.rates.count == Metric.all.count)
  }

  @Test func aFaultIsNewAndAFixIsGone() throws {
    let (code, report) = try compare([good, "--", faulty])
    #expect(code == 1 && report.verdict == "regression")
    #expect(report.news == ["missed-host-save"])
    let (back, fixed) = try compare([faulty, "--", good])
    #expect(back == 0 && fixed.change("missed-host-save") == "gone")
    let (still, same) = try compare([faulty, "--", faulty])
    #expect(still == 0 && same.change("missed-host-save") == "same")
    #expect(try compare(["--fail-on", "none", good, "--", faulty]).code == 0)
  }

  /// A JSON report says the same as its recording.
  @Test func reportsStandForRecordings() throws {
    let path = "/tmp/ptrauth-trace-report-\(getpid()).json"
    Corpus.write(try CommandRun([faulty, "--format", "json"]).output, to: path)
    defer { unsafe unlink(path) }
    let both = path + ".both"
    Corpus.write(try CommandRun([good, faulty, "--format", "json"]).output, to: both)
    defer { unsafe unlink(both) }
    let (code, report) = try compare([path, "--", faulty])
    #expect(code == 0 && report.change("missed-host-save") == "same")
    #expect(report.rates.allSatisfy { $0.ratio == 1 })
    let (several, array) = try compare([good, "--", both])
    #expect(several == 1 && array.news == ["missed-host-save"])
    // Cut in the middle: no report, and no pass.
    Corpus.write(Array(Corpus.bytes(path).prefix(2000)), to: path)
    #expect(try compare([path, "--", good]).code == 2)
  }

  /// Two inputs need no `--`; an empty side (a pattern that matched nothing) is no side.
  @Test func twoInputsAreBaseAndNew() throws {
    #expect(try compare([good, faulty]).code == 1)
    #expect(try compare([faulty, good]).code == 0)
    for arguments in [[good, faulty, "--"], [good, faulty, good]] {
      #expect(throws: (any Error).self) { try Compare.parse(arguments) }
    }
  }

  @Test func whatCannotBeJudgedIsNoPass() throws {
    #expect(try compare([good, "--", "/nonexistent"]).code == 2)
    #expect(try compare(["/nonexistent", "--", good]).code == 2)
    #expect(try compare(["/nonexistent", "--", faulty]).code == 2, "new against nothing")
    #expect(try compare(["--exit-code", "bisect", good, "--", "/nonexistent"]).code == 125)
    #expect(try compare(["--exit-code", "kselftest", good, "--", "/nonexistent"]).code == 4)
    // A recording with lost events is no pass, but its findings count.
    let path = "/tmp/ptrauth-trace-lossy-\(getpid()).json"
    defer { unsafe unlink(path) }
    for (document, code) in [
      (Documents.incomplete(Documents.clean), 2), (Documents.incomplete(Documents.faulty), 1),
    ] {
      Corpus.write(JSONReport.render(document), to: path)
      #expect(try compare([good, "--", path]).code == Int32(code))
    }
  }

  @Test(arguments: [["--help"], ["-h"], ["--quiet", "--help"]])
  func helpIsHelp(arguments: [String]) {
    do {
      _ = try Compare.parse(arguments)
      Issue.record("parsed")
    } catch {
      #expect(Compare.exitCode(for: error) == .success)
      #expect(Compare.fullMessage(for: error).contains("Exit codes: 0 no regression"))
    }
  }

  /// What the new side cannot show is no pass: neither fixed nor unbroken. Who compares rates alone does not ask.
  @Test func whatIsLostFromSightIsSaid() throws {
    let path = "/tmp/ptrauth-trace-blind-\(getpid()).json"
    defer { unsafe unlink(path) }
    var document = Documents.real[1]
    document.analysis.notObservable.append(
      .init(rule: .staleEnable, reason: "not sampled", remedy: "probe it"))
    Corpus.write(JSONReport.render(document), to: path)
    func words(_ arguments: [String]) throws -> String {
      try text(arguments).split { $0.isWhitespace }.joined(separator: " ")
    }
    let said = "the new side cannot show what the base can: stale-enable"
    let (seen, other) = (try words([good, "--", path]), try words([path, "--", good]))
    #expect(seen.contains("CANNOT JUDGE: " + said) && !other.contains("cannot show what"))
    #expect(try compare([good, "--", path]).code == 2)
    #expect(try compare(["--exit-code", "bisect", good, "--", path]).code == 125)
    #expect(try compare(["--fail-on", "none", good, "--", path]).code == 0)
    #expect(try compare([good, "--", path, good]).code == 0, "one of the new side shows it")
    #expect(try compare([path, "--", good]).code == 0)
    // What a kernel cannot break needs no showing.
    document.analysis.notObservable[document.analysis.notObservable.count - 1].applies = false
    Corpus.write(JSONReport.render(document), to: path)
    #expect(try compare([good, "--", path]).code == 0)
    // Found in the base, and not to be seen on the new side: not "gone".
    document = Documents.faulty
    document.analysis.findings = []
    document.analysis.verdict = .clean
    document.analysis.notObservable.append(
      .init(rule: .missedHostSave, reason: "not sampled", remedy: "probe it"))
    Corpus.write(JSONReport.render(document), to: path)
    let (code, hidden) = try compare([faulty, "--", path])
    #expect(code == 2 && hidden.change("missed-host-save") == "not judged")
    Corpus.write(JSONReport.render(Documents.blind), to: path)
    #expect(try compare([path, "--", path]).code == 2)
  }

  @Test func thresholdsMakeARegression() throws {
    let (code, report) = try compare([
      "--fail-if", "switches-per-run>+1000%", "--fail-if", "new.switches-per-run>0.01", good, "--",
      good,
    ])
    #expect(code == 1 && report.verdict == "regression")
    #expect(report.thresholds.map(\.crossed) == [false, true])
  }

  @Test(arguments: [
    ["a"], ["--", "b"], ["--fail-if", "nonsense>1", "a", "--", "b"], ["a", "--", "b", "--quiet"],
    ["--regzbot", "a b", "a", "--", "b"],
    ["--format", "xml", "a", "--", "b"],
  ])
  func usageErrors(arguments: [String]) {
    do {
      _ = try Compare.parse(arguments)
      Issue.record("accepted")
    } catch {
      #expect(Compare.exitCode(for: error).rawValue == 64)
    }
  }

  /// A mail: 72 columns but for names that cannot be broken, and regzbot's line on a line of its own.
  @Test func theTextIsAMail() throws {
    let mail = try text(["--regzbot", "v5.1..v5.2", good, "--", faulty])
    let lines = mail.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.first?.hasPrefix("REGRESSION: missed-host-save is new") == true)
    let wide = lines.filter {
      $0.count > 72 && !$0.contains(Corpus.root) && !$0.hasPrefix("#regzbot")
    }
    #expect(wide.isEmpty)
    let at = try #require(lines.firstIndex(of: "#regzbot introduced: v5.1..v5.2"))
    #expect(lines[at - 1].isEmpty)
    #expect(mail.contains("single comparison") && mail.contains(">="))
  }

  @Test func markdownAndHTML() throws {
    let markdown = try text(["--format", "markdown", good, "--", faulty])
    #expect(markdown.hasPrefix("### ptrauth-trace: regression"))
    #expect(
      markdown.contains("| **new** | `missed-host-save` | critical | 0 of 1 | 1 of 1 (356 times) |")
    )
    let page = try text(["--format", "html", good, "--", faulty])
    #expect(page.ranges(of: "<section class=\"timeline\">").count == 2)
  }

  // MARK: Several runs a side

  /// A recording cut into 64 pieces, dealt in turn to 8 runs: each has seen every phase of the workload.
  private func runs(_ corpus: Corpus) throws -> [Sample] {
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    let events = try corpus.events()
    var runs: [Sample] = []
    for number in 0..<64 {
      let part = events[(events.count * number / 64)..<(events.count * (number + 1) / 64)]
      let sample = Sample(name: "", kernel: "", session.replay(Array(part), timeline: nil))
      guard number >= 8 else {
        runs.append(sample)
        continue
      }
      runs[number % 8].counters.add(sample.counters, hasFeature: true)
      runs[number % 8].guestTime = runs[number % 8].counters.guestTime
      runs[number % 8].redundantAccesses += sample.redundantAccesses
      runs[number % 8].findings += sample.findings
    }
    for run in runs.indices { runs[run].verdict = .clean }
    return runs
  }

  /// Every other run of one recording against those between: the same guests on the same kernel, four runs a
  /// side. Nothing is new, and no rate moved.
  @Test(arguments: Corpus.traces)
  func runsOfOneRecordingDoNotDiffer(corpus: Corpus) throws {
    let all = try runs(corpus).enumerated()
    let comparison = Regression.Comparison(
      base: all.filter { $0.offset % 2 == 0 }.map(\.element),
      new: all.filter { $0.offset % 2 == 1 }.map(\.element))
    // Where saves are skipped, nothing counts them.
    let isShown = all.allSatisfy { run in Metric.all.allSatisfy { $0.isShown(by: run.element) } }
    #expect(comparison.rates.count == (isShown ? Metric.all.count : 7))
    #expect(isShown == !corpus.directory.contains("trap-skips-host-save"))
    #expect(comparison.rates.allSatisfy { $0.p != nil }, "tested, not a single comparison")
    let moved = comparison.rates.filter(\.isSignificant).map { "\($0.metric.name) \($0.p ?? 9)" }
    #expect(moved.isEmpty)
    #expect(comparison.regressions(.low).isEmpty)
  }

  /// The same test sees what does differ: runs of a lazy kernel against runs of an eager one.
  @Test(.enabled(if: Corpus.hasShared, "../shared/recordings is not there"))
  func runsOfTwoSchemesDiffer() throws {
    func corpus(_ name: String) throws -> Corpus {
      try #require(Corpus.all.first { $0.name == name })
    }
    let comparison = Regression.Comparison(
      base: try runs(corpus("deb-6.1/good")), new: try runs(corpus("deb-6.12/good")))
    let traps = try #require(comparison.rates.first { $0.metric == .trapsPerSecond })
    let switches = try #require(comparison.rates.first { $0.metric == .switchesPerRun })
    #expect(traps.isSignificant && traps.newMedian == 0 && (traps.baseMedian ?? 0) > 0)
    #expect(switches.isSignificant && (switches.ratio ?? 0) > 1)
  }

  // MARK: On the recordings with planted faults

  static let shared = Corpus.shared + "/"
  static let faults: [String: String] = [
    "enable-without-feature": "switch-without-feature",
    "exit-skips-guest-save": "missed-guest-save",
    "load-keeps-enable": "stale-enable", "migration-keeps-enable": "stale-enable",
    "trap-skips-host-save": "missed-host-save",
  ]

  private func kernel(_ recording: String) -> String {
    Self.shared + "kernels/\(recording.split(separator: "/")[0])/vmlinux.slim.xz"
  }

  private func pair(_ base: String, _ new: String) throws -> (code: Int32, report: Shape) {
    let kernels =
      kernel(base) == kernel(new)
      ? ["-k", kernel(base)] : ["--base-vmlinux", kernel(base), "--new-vmlinux", kernel(new)]
    return try compare(
      kernels + [Self.shared + base + "/perf.data", "--", Self.shared + new + "/perf.data"])
  }

  @Test(
    .enabled(if: Corpus.hasShared, "../shared/recordings is not there"),
    arguments: faults.keys.sorted())
  func everyPlantedFaultIsNew(fault: String) throws {
    let (code, report) = try pair("v7/good", "v7/" + fault)
    #expect(code == 1)
    #expect(report.news.contains(Self.faults[fault] ?? ""), "\(report.news)")
  }

  @Test(.enabled(if: Corpus.hasShared, "../shared/recordings is not there"))
  func twoGoodRunsDifferInNothingThatCounts() throws {
    let (code, report) = try pair("v7/good", "v7/good-two-vmms")
    #expect(code == 0 && report.news.isEmpty && !report.rates.contains { $0.significant })
  }

  /// What the base could not have shown may be older: a finding all the same, and no answer to a bisection.
  @Test func whatTheBaseCannotShowIsNotNew() throws {
    let blind = "/tmp/ptrauth-trace-blind-base-\(getpid()).data"
    _ = Tool.lines("cp \(good) \(blind)")
    defer { unsafe unlink(blind) }
    let sides = ["--new-vmlinux", Corpus.traces[2].vmlinux, blind, "--", faulty]
    let (code, report) = try compare(sides)
    #expect(code == 1)
    #expect(report.verdict == "faulty, not known to be new")
    #expect(try compare(["--exit-code", "bisect"] + sides).code == 125)
    #expect(try compare(["--exit-code", "kselftest"] + sides).code == 1)
  }

  /// Of a side that misses events nothing is gone.
  @Test(.enabled(if: Corpus.hasShared, "../shared/recordings is not there"))
  func whatMissesEventsMendsNothing() throws {
    let (code, report) = try pair("v7/migration-keeps-enable", "v7/lossy-good")
    #expect(code == 2)
    #expect(report.findings.contains { $0.rule == "stale-enable" && $0.change == "not judged" })
    #expect(!report.findings.contains { $0.correctness && $0.change == "gone" })
  }

  /// 6.12 sets the bits and saves the host's keys at every load: no traps, more switches and saves.
  @Test(.enabled(if: Corpus.hasShared, "../shared/recordings is not there"))
  func lazyAgainstEagerIsATrade() throws {
    let (code, report) = try pair("deb-6.1/good", "deb-6.12/good")
    #expect(code == 0, "a trade, no regression")
    #expect(report.ratio("traps-per-second") == 0)
    #expect((report.ratio("switches-per-run") ?? 0) > 1.1)
    #expect((report.ratio("host-saves-per-load") ?? 0) > 1)
    let (back, reverse) = try pair("deb-6.12/good", "deb-6.1/good")
    #expect(back == 0 && (reverse.ratio("switches-per-run") ?? 9) < 0.9)
  }
}
