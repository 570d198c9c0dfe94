import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// Real recordings of real kernels, against what the CPU did.
@Suite(.serialized)
struct RecordingTests {
  /// The rule a planted fault must be reported under, and its true consequences.
  static let rules: [String: (expected: String, consequences: [String])] = [
    "load-keeps-enable": ("stale-enable", ["missed-host-save"]),
    "migration-keeps-enable": ("stale-enable", ["missed-host-save"]),
    "trap-skips-host-save": ("missed-host-save", []),
    "exit-skips-guest-save": ("missed-guest-save", []),
    "partial-guest-save": ("missed-guest-save", []),
    // Nothing clears the bits of such a vCPU at load: its host slots go stale.
    "enable-without-feature": ("switch-without-feature", ["missed-host-save"]),
    "trap-while-enabled": ("trap-while-enabled", []),
    "stale-host-context": ("stale-host-context", []),
    "enter-skips-restore": ("missed-guest-restore", []),
    "api-without-apk": ("bits-differ", []),
  ]

  @Test(arguments: Corpus.all)
  func verdictRulesAndGroundTruth(corpus: Corpus) throws {
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    var runs: [Run] = []
    let analysis = try session.replay { if case .run(let run) = $0 { runs.append(run) } }
    let fault = try #require(corpus.fact("planted fault"))
    let fired = Set(analysis.findings.filter(\.rule.isCorrectness).map(\.rule.id))

    if fault == "none" {
      #expect(fired.isEmpty, "a finding on a working kernel")
      #expect(
        analysis.verdict
          == (corpus.isLossy ? .incomplete : corpus.hasProbes ? .clean : .cannotJudge))
    } else if let (expected, consequences) = Self.rules[fault] {
      if analysis.notObservable.contains(where: { $0.rule.id == expected }) {
        #expect(!corpus.hasProbes, "the full probes show \(expected)")
        #expect(analysis.verdict == .cannotJudge && fired.isEmpty)
      } else {
        #expect(analysis.verdict == .findings)
        #expect(fired.contains(expected))
        #expect(fired.subtracting(consequences + [expected]).isEmpty)
        #expect(
          analysis.findings.contains { $0.rule.id == expected && $0.level == .proved },
          "proved, not suspected")
      }
    } else {
      Issue.record("no rule is named for the fault \(fault)")
    }

    let score = try TruthScore.of(runs, corpus)
    #expect(score.contradict == 0, "\(score.examples)")
    #expect(score.matched * 10 >= score.runs * 9, "the clocks were not aligned")
    if corpus.hasProbes {
      #expect(score.agree * 100 >= score.matched * 99)
      if !corpus.isLossy {
        // Every real run of the window has its line.
        #expect(score.runs * 100 >= score.truthInside * 99)
      }
    } else {
      print(
        "\(corpus.name): \(score.agree) of \(score.matched) runs known from kvm tracepoints alone")
      #expect(score.agree > 0)
    }
  }

  @Test(arguments: Corpus.traces)
  func theKernelIsFoundBesideTheRecording(corpus: Corpus) throws {
    let session = try Session(recording: corpus.recording, vmlinux: nil, generation: nil)
    let document = try session.document(try session.replay(timeline: nil))
    #expect(document.kernel.path == corpus.vmlinux)
    #expect(document.kernel.generation?.name == (corpus.name.contains("v7") ? "v7" : "5.16"))
    #expect(document.kernel.marks.count { $0.outcome == "found" } >= 3)
    #expect(!document.kernel.marks.contains { !$0.isConsistent })
  }

  /// Counters against the ground truth's own figures: lower bounds never exceed them.
  @Test(.enabled(if: Corpus.hasShared, "needs ../shared"), arguments: Corpus.all)
  func countersAreTrueOrLowerBounds(corpus: Corpus) throws {
    guard !corpus.isLossy, let loads = corpus.fact("loads").flatMap({ UInt64($0) }),
      let traps = corpus.fact("traps").flatMap({ UInt64($0) }),
      let enabled = corpus.fact("passes_enabled").flatMap({ UInt64($0) })
    else { return }
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    let vcpus = try session.replay(timeline: nil).vcpus.map(\.counters)
    let counted = vcpus.reduce(0) { $0 + $1.loads }
    if corpus.hasProbes {
      #expect(counted == loads)
      #expect(
        vcpus.reduce(0) { $0 + $1.instructionTraps + $1.registerTraps + $1.hiddenTraps } <= traps)
    } else {
      #expect(counted <= loads)
    }
    #expect(vcpus.reduce(0) { $0 + $1.keySwitches } <= enabled)
    if corpus.hasProbes, enabled > 0 {
      #expect(vcpus.reduce(0) { $0 + $1.keySwitches } * 10 >= enabled * 8)
    }
  }
}
