import ArgumentParser
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// Filters choose from what was found; everything is replayed, and what is left out is said.
struct FilterTests {
  private static let faulty = Corpus.traces[2]
  private static let good = Corpus.traces[1]

  private static func analysis(_ options: [String], of corpus: Corpus = faulty) throws -> Analysis {
    let session = try Session(recording: corpus.recording, vmlinux: corpus.vmlinux)
    session.filter = try FilterOptions.parse(options).chosen
    return try session.document(try session.replay(timeline: nil)).analysis
  }

  private static func counts(_ analysis: Analysis) -> [String: UInt64] {
    Dictionary(
      analysis.findings.map { ("\($0.rule.id) \($0.level.word)", $0.count) },
      uniquingKeysWith: +)
  }

  private static func sum(_ parts: [Analysis]) -> [String: UInt64] {
    parts.map(counts).reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
  }

  /// Every occurrence is of one vCPU, and its proof too.
  @Test func thePartsOfVCPUsAreTheWhole() throws {
    let whole = try Self.analysis([])
    #expect(whole.selection == nil && whole.vcpus.count == 4)
    var parts: [Analysis] = []
    for vcpu in whole.vcpus {
      let number = try #require(vcpu.identity.number)
      let part = try Self.analysis(["--vcpu", "\(vcpu.pid):\(number)"])
      #expect(part.vcpus.map(\.tid) == [vcpu.tid])
      #expect(part.vcpus.first?.counters == vcpu.counters, "one vCPU's counters are exact")
      for finding in part.findings {
        #expect(finding.vcpus.map(\.identity.number) == [number])
        #expect(finding.evidence.contains { $0.moment.tid == vcpu.tid })
      }
      #expect(part.selection?.occurrences == Self.counts(whole).values.reduce(0, +))
      parts.append(part)
    }
    #expect(Self.sum(parts) == Self.counts(whole))
    #expect(Set(parts.map { Self.counts($0).count }).count > 1, "they differ")
  }

  /// The state before a span is known from what came before it.
  @Test func thePartsOfTimesAndOfPCPUsAreTheWhole() throws {
    let whole = try Self.analysis([])
    let half = (whole.firstTime + whole.lastTime) / 2
    func words(_ time: UInt64) -> String {
      "\(time / 1_000_000_000)." + String(1_000_000_000 + time % 1_000_000_000).dropFirst()
    }
    let times = [
      try Self.analysis(["--time", ",\(words(half))"]),
      try Self.analysis(["--time", "\(words(half + 1)),"]),
    ]
    #expect(Self.sum(times) == Self.counts(whole))
    #expect(times.allSatisfy { $0.findings.contains { $0.rule == .missedHostSave } })
    for finding in times[1].findings { #expect((finding.first?.time ?? 0) > half) }
    #expect(times[0].verdict == .findings && times[0].selection?.countersAreOfWhole == true)
    let cpus = [["0,2"], ["1,3-9"]].map { ["--cpu"] + $0 }
    #expect(Self.sum(try cpus.map { try Self.analysis($0) }) == Self.counts(whole))
  }

  @Test func rulesAreChosen() throws {
    let one = try Self.analysis(["--rule", "missed-host-save"])
    #expect(one.findings.map(\.rule) == [.missedHostSave] && one.judged == [.missedHostSave])
    #expect(one.selection?.findings == 4)
    // One that was not judged is no pass, whatever else was.
    let hidden = try Self.analysis(["--rule", "preemptible-host-save"], of: Self.good)
    #expect(hidden.verdict == .cannotJudge)
    let cost = try Self.analysis(["--rule", "redundant-switch"])
    #expect(cost.verdict == .clean && cost.isOfCosts && cost.findings.count == 1)
  }

  /// What is filtered never reads as the whole, in any format.
  @Test(arguments: ReportFormat.allCases.filter { $0 != .summary })
  func aFilteredVerdictSaysOfWhatItSpeaks(format: ReportFormat) throws {
    let options = [Self.good.recording, "-k", Self.good.vmlinux, "--format", format.rawValue]
    let run = try CommandRun(options + ["--vcpu", "1", "--time", "5.6,5.7"])
    #expect(run.code == 0)
    let text = run.text
    #expect(text.contains("--vcpu 1 --time 5.6,5.7"))
    switch format {
    case .perfetto: break
    case .text: #expect(text.hasPrefix("CLEAN of --vcpu 1 --time 5.6,5.7 ("))
    default: #expect(text.lowercased().contains("clean of --vcpu 1 --time 5.6,5.7 ("))
    }
    if format == .text || format == .ktap {
      let words = text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
      #expect(words.contains("the counters of vCPUs and pCPUs are of the whole recording"))
      #expect(words.contains("which rules were judged is of the whole recording"))
    }
  }

  @Test func theTimelineIsFilteredToo() throws {
    let options = [Self.faulty.recording, "-k", Self.faulty.vmlinux, "--format", "jsonl"]
    let lines = try CommandRun(options + ["--vcpu", "1", "--time", ",5.6"]).text.split(
      separator: "\n")
    let runs = lines.filter { $0.hasPrefix("{\"type\":\"run\"") }
    #expect(runs.count > 10 && runs.allSatisfy { $0.contains("\"vcpuId\":1,") })
    #expect(lines.contains { $0.hasPrefix("{\"type\":\"finding\"") })
    #expect(lines.first?.contains("\"filtered\":\"--vcpu 1 --time ,5.6\"") == true)
  }

  /// What is not in the recording is said, with what is.
  @Test(arguments: [
    (["--vcpu", "7"], "there is no vCPU 7; there are vCPU 0, 1, 2, 3 of VM 89 (kvmlab)"),
    (["--vcpu", "90:1"], "there is no vCPU 90:1; "),
    (["--vm", "qemu"], "there is no VM qemu; "),
    (["--vm", "kvmlab", "--vcpu", "kvmlab:4"], "of --vm kvmlab; "),
    (["--cpu", "8"], "there are 0, 1, 2, 3"),
    (["--time", "100,"], "it has 5.263924768 to 6.996692400 s"),
  ])
  func whatIsNotThereIsSaid(options: [String], words: String) throws {
    let error = #expect(throws: Problem.self) { try Self.analysis(options) }
    #expect(error?.sentence.contains(words) == true, "\(error?.sentence ?? "")")
    let run = try CommandRun([Self.faulty.recording, "-k", Self.faulty.vmlinux] + options)
    #expect(run.code == 2)
  }

  @Test func aVMIsFoundByNumberAndName() throws {
    #expect(try Self.analysis(["--vm", "89"]).vcpus.count == 4)
    #expect(try Self.analysis(["--vm", "kvmlab", "--vcpu", "kvmlab:0,2"]).vcpus.count == 2)
  }

  @Test(arguments: [
    ["--vcpu", "x"], ["--vcpu", ":1"], ["--vcpu", "1,"], ["--cpu", "3-1"], ["--cpu", ""],
    ["--time", "5-6"], ["--time", "6,5"], ["--time", "10%,20%"], ["--time", ","],
    ["--rule", "missed-host-sav"], ["--rule", ""], ["--vm", ","],
    ["--require", "stale-enable", "--rule", "missed-host-save"],
    ["--require", "critical", "--rule", "missed-host-save"],
  ])
  func whatIsWrongIsAUsageError(options: [String]) throws {
    let run = try Program.run(Program.command, ["analyze"] + options + [Self.faulty.recording])
    #expect(run.code == 64)
    #expect(run.errors.contains(options[options.count - 2]))
    if options[1] == "missed-host-sav" {
      #expect(run.errors.contains("did you mean missed-host-save?"))
    }
  }

  /// What it leaves out would seem fixed.
  @Test func aFilteredReportIsNotCompared() throws {
    let path = "/tmp/ptrauth-trace-filtered-\(UInt64.random(in: 0 ... .max)).json"
    let options = [Self.faulty.recording, "-k", Self.faulty.vmlinux, "--format", "json"]
    Corpus.write(try CommandRun(options + ["--rule", "bits-differ"]).output, to: path)
    defer { _ = try? Program.run("rm", [path]) }
    let compared = try Program.run(Program.command, ["compare", path, "--", path])
    #expect(compared.code == 2 && compared.errors.contains("shows a part of its recording"))
    let trend = try Program.run(Program.command, ["render", "--trend", path])
    #expect(trend.code == 2 && trend.errors.contains("shows a part of its recording"))
    // Shown again, it says the same.
    let shown = try Program.run(Program.command, ["render", "--format", "text", path])
    #expect(shown.output.hasPrefix("CLEAN of --rule bits-differ (0 of 4 findings): "))
  }

  @Test func itsSchemaHasThem() throws {
    let options = [Self.faulty.recording, "-k", Self.faulty.vmlinux, "--vcpu", "2", "--format"]
    for (schema, format) in [("analysis", "json"), ("lines", "jsonl")] {
      let path = "/tmp/ptrauth-trace-filtered-\(UInt64.random(in: 0 ... .max)).\(format)"
      Corpus.write(try CommandRun(options + [format]).output, to: path)
      defer { _ = try? Program.run("rm", [path]) }
      let ran = try Program.validate(
        "schemas.py", [Corpus.root + "/traces/schemas/\(schema).json", path])
      #expect(ran.code == 0, "\(ran.errors)")
    }
  }
}
