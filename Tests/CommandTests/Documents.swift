import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What the formats are shown with: the documents of the recordings in traces/, and variants that no
/// recording at hand has.
struct Documents {
  /// One of each recording of traces/, with paths as seen from the project.
  static let real: [Document] = Corpus.traces.compactMap { try? document($0) }

  static func document(_ corpus: Corpus) throws -> Document {
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    return relative(try session.document(try session.replay(timeline: nil)))
  }

  /// Its paths as seen from the project.
  static func relative(_ document: Document) -> Document {
    var document = document
    document.recording.path = relative(document.recording.path)
    document.kernel.path = document.kernel.path.map(relative)
    return document
  }

  private static func relative(_ path: String) -> String {
    path.hasPrefix(Corpus.root + "/") ? String(path.dropFirst(Corpus.root.count + 1)) : path
  }

  /// Clean, on a kernel that shows little; clean; with findings.
  static var stock: Document { real[0] }
  /// As if preemptible-host-save alone had not been judged.
  static var clean: Document { without([.missedHostRestore, .missedGuestRestore], real[1]) }
  static var faulty: Document { without([.missedHostRestore, .missedGuestRestore], real[2]) }

  private static func without(_ rules: [Rule], _ document: Document) -> Document {
    var document = document
    document.analysis.notObservable.removeAll { rules.contains($0.rule) }
    return document
  }

  /// The same with lost events.
  static func incomplete(_ document: Document) -> Document {
    var document = document
    document.analysis.lostEvents = [(cpu: 1, count: 12)]
    document.analysis.isIncomplete = true
    if document.analysis.verdict == .clean { document.analysis.verdict = .incomplete }
    return document
  }

  /// Kvm tracepoints alone: no correctness rule shows, some costs do.
  static var blind: Document {
    var document = clean
    document.analysis.verdict = .cannotJudge
    document.analysis.code = CodeJudgement(reason: "no vmlinux")
    document.analysis.findings = []
    document.analysis.notObservable = Analysis.judgedRules.filter(\.isCorrectness).map {
      .init(
        rule: $0, reason: "API and APK are not sampled", remedy: "set the probes",
        isInCode: !$0.isJudged(by: .events))
    }
    return document
  }

  /// Clean, but for a critical rule that is required and was not judged.
  static var unfulfilled: Document { required(clean, .critical) }

  static func required(_ document: Document, _ least: Rule.Severity) -> Document {
    var document = document
    document.analysis.require(Requirement(least: least))
    return document
  }

  static var unusable: Document {
    var document = clean
    document.analysis.verdict = .unusable
    document.analysis.vcpus = []
    document.analysis.findings = []
    document.recording.warnings = ["no kvm_entry was recorded"]
    return document
  }

  /// Names and texts that hurt every format.
  static var hostile: Document {
    var document = faulty
    document.recording.path = "- a#b,\"c\"/<&>/\u{1b}[31m\u{0}\n%::é\t]]>.data"
    document.recording.warnings = ["not ok 1 x\nok 2 y # SKIP", "<LAVA_SIGNAL_TESTCASE x>"]
    document.kernel.sources["missed-host-save"] = SourcePlace(
      function: "f", file: "a b,c:d%\n.c", line: 1)
    document.analysis.findings[0].statement = "ends ]]> & <b> \u{1}\r\nnot ok 1 missed-host-save"
    return document
  }

  /// Every case that a format must tell apart, with its name.
  static var suites: [TestSuite] {
    SuiteNames.give(
      SuiteNames.standard,
      to: [
        stock, clean, faulty, incomplete(clean), incomplete(faulty), blind, unusable, unfulfilled,
      ]
      .enumerated().map { number, document in
        var document = document
        document.recording.path = "\(number)/\(document.recording.path)"
        return TestSuite(document, failOn: .medium)
      } + [TestSuite(unreadable: "nothing.data", because: "cannot open nothing.data: No such file")]
    )
  }
}

extension Outcome {
  init(_ analysis: Analysis, failOn: Rule.Severity?) {
    var analysis = analysis
    analysis.failOn = failOn
    self.init(analysis)
  }
}
