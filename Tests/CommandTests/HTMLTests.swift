import FoundationEssentials
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import Trace
import ptrauth_trace

/// The page, used in a real browser as a reader uses it.
struct HTMLTests {
  /// What Browser/timeline.py saw.
  private struct Seen: Decodable {
    var readyMs: Int
    var requests: [String]
    var lanes: Int
    var runs: Int
    var marks: Int
    var colours: Int
    var setColour: Int
    var wheelZoom: Double
    var wheelKeepsPlace: Double
    var dragMoved: Double
    var keyZoom: Double
    var keyMoved: Double
    var keyAll: Bool
    var keyMark: String
    var jumped: String?
    var jumpShows: Bool?
    var jumpZoom: Double?
    var framed: Bool
    var walk: [Int?]
    var lastFirst: Int
    var mostShare: Double
    var link: String
    var linkIsOffered: Bool
    var linked: Bool
    var tip: String
    var chosen: String?
    var tableRows: Int
    var unnamedButtons: Int
    var contrast: Contrast
    var errors: [String]
    struct Contrast: Decodable {
      var light: Double
      var dark: Double
      var lightGround: String
      var darkGround: String
    }
  }

  private func use(_ page: [UInt8]) throws -> Seen {
    let path = "/tmp/ptrauth-trace-page-\(getpid())-\(UInt64.random(in: 0 ... .max)).html"
    Corpus.write(page, to: path)
    defer { unsafe unlink(path) }
    let ran = try Program.run(
      "python3", [Corpus.root + "/Tests/CommandTests/Browser/timeline.py", path],
      environment: ["PYTHONDONTWRITEBYTECODE=1"])
    try #require(ran.code == 0, "\(ran.errors)")
    return try JSONDecoder().decode(Seen.self, from: Data(ran.output.utf8))
  }

  private func expectUsable(_ seen: Seen) {
    #expect(seen.errors.isEmpty, "the console")
    #expect(seen.requests.isEmpty, "the network")
    #expect(seen.colours >= 5 && seen.setColour > 100, "the timeline is drawn")
    #expect(seen.wheelZoom > 4)
    #expect(seen.wheelKeepsPlace < 0.02, "the wheel zooms around the pointer")
    #expect((0.9...1.1).contains(seen.dragMoved), "a drag moves by what the pointer moved")
    #expect((1.9...2.1).contains(seen.keyZoom) && seen.keyMoved > 0.05 && seen.keyAll)
    #expect(seen.keyMark.contains("pCPU") || seen.keyMark.contains("CPU 0"))
    #expect(seen.tip.contains("kvm_entry") && (seen.chosen ?? "").contains("API="))
    #expect(seen.tableRows > seen.lanes, "the table alternative")
    #expect(seen.framed, "a proof is shown whole")
    if seen.walk[0] != nil {
      #expect(seen.walk == [0, 1, 0] && seen.lastFirst == 0, "findings are walked from the first")
    }
    #expect((20...100).contains(seen.mostShare), "shares of time")
    #expect(seen.linked && seen.linkIsOffered && seen.link.contains("&vcpu="), "\(seen.link)")
    #expect(seen.unnamedButtons == 0)
    #expect(seen.contrast.light >= 4.5 && seen.contrast.dark >= 4.5, "WCAG 2.1 AA")
    #expect(seen.contrast.lightGround != seen.contrast.darkGround)
  }

  @Test func aRecordingWithFindings() throws {
    let run = try CommandRun([Corpus.traces[2].recording, "--format", "html"])
    #expect(run.code == 1)
    let seen = try use(run.output)
    expectUsable(seen)
    #expect(seen.runs == 2714, "every run is in the picture")
    #expect(seen.lanes == 8)
    #expect(seen.jumped == "missed-host-save" && seen.jumpShows == true)
    #expect((seen.jumpZoom ?? 0) > 100)
  }

  /// On a phone nothing that is to be read is off the screen.
  @Test func aPhone() throws {
    let path = "/tmp/ptrauth-trace-page-\(getpid())-\(UInt64.random(in: 0 ... .max)).html"
    defer { unsafe unlink(path) }
    let run = try CommandRun([Corpus.traces[2].recording, "--format", "html"])
    Corpus.write(run.output, to: path)
    let seen = try Program.run(
      "python3", [Corpus.root + "/Tests/CommandTests/Browser/phone.py", path],
      environment: ["PYTHONDONTWRITEBYTECODE=1"])
    #expect(seen.output == "evidence: 18\n", "\(seen.output) \(seen.errors)")
  }

  /// What is only suspected is not shown like what is proved.
  @Test func suspectedCostsSaySo() throws {
    var document = Documents.hostile
    document.analysis.findings[0].rule = .redundantHostSave
    document.analysis.findings[0].level = .suspected
    let page = String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    #expect(page.contains("or of the same keys (suspected)</td>"))
    document.analysis.findings[0].level = .proved
    let proved = String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    #expect(!proved.contains("(suspected)</td>"))
  }

  /// More than 100,000 runs are drawn within 2 s from less than 5 MB, and a finding's moment is there at
  /// full resolution.
  @Test func aLongRecording() throws {
    let document = SyntheticRecording(runs: 120_000).document
    let page = HTMLReport.render([.judged(document)])
    #expect(page.count < 5_000_000)
    let seen = try use(page)
    expectUsable(seen)
    #expect(seen.runs == 120_000)
    #expect(seen.marks < 120_000 && seen.marks > MarkKeeper.headCount)
    #expect(seen.readyMs < 2000)
    #expect(seen.jumped == "stale-enable" && seen.jumpShows == true)
  }

  /// A million events: a real recording 42 times over. What is drawn is as large, and as fast, as before.
  @Test func aMillionEvents() throws {
    let corpus = Corpus.traces[2]
    let events = try corpus.events()
    let length = (events.last?.time ?? 0) - (events.first?.time ?? 0) + 1_000_000
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    var collector = TimelineCollector()
    var replayer = Replayer(session.configuration(false)) { collector.add($0) }
    var count = 0
    for round in 0..<UInt64(42) {
      for event in events {
        replayer.consume(
          Event(
            time: event.time + round * length, cpu: event.cpu, pid: event.pid, tid: event.tid,
            payload: event.payload))
        count += 1
      }
    }
    try #require(count > 1_000_000)
    var document = try session.document(replayer.finish())
    document.picture = collector.finish()
    let page = HTMLReport.render([.judged(document)])
    #expect(page.count < 5_000_000)
    let seen = try use(page)
    expectUsable(seen)
    #expect(seen.runs > 100_000 && seen.readyMs < 2000)
    #expect(seen.jumped == "missed-host-save" && seen.jumpShows == true)
  }

  /// After a loss nothing is known of the pCPU until its next run: the picture says so, exact and in slices.
  @Test func aLossIsAWall() throws {
    var collector = TimelineCollector()
    let vcpu = VCPUIdentity(pointer: 1, number: 0, kind: .probe)
    let known = KnownBits(.set, .observed)
    func run(_ enter: UInt64) -> TimelineEntry {
      .run(
        Run(
          vcpu: vcpu, tid: 5, pid: 5, cpu: 3, enter: enter, exit: enter + 100, ret: 0, ec: nil,
          atEntry: known, atExit: known))
    }
    collector.add(run(1000))
    collector.add(.loss(Moment(time: 5000, cpu: 3, tid: 0), since: 2000, count: 7))
    collector.add(.loss(Moment(time: 5500, cpu: 3, tid: 0), since: 5000, count: 7))
    // Said late: it ended before the loss.
    collector.add(run(1500))
    collector.add(run(9000))
    collector.add(run(9500))
    let picture = collector.finish()
    #expect(picture.gaps.map { [UInt64($0.cpu), $0.begin, $0.end] } == [[3, 2000, 9000]])
    let unknown = picture.cpus[0].lane.slices.reduce(0) {
      $0 + $1.time[TimeBins.State.unknown.rawValue]
    }
    #expect(unknown == 7000)
    var document = Documents.incomplete(Documents.clean)
    document.picture = picture
    let page = String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    #expect(page.contains("\"gaps\":[[3,"))
  }

  @Test func severalRecordingsAreOnePage() throws {
    let several = try CommandRun(
      [Corpus.traces[1].recording, "/nonexistent.data", Corpus.traces[2].recording]
        + ["--format", "html"])
    let text = several.text
    let pictures = text.components(of: "<section class=\"timeline\">")
    let isRefused = text.contains(">/nonexistent.data</a>")
    #expect(several.code == 1 && pictures == 2 && isRefused)
  }

  /// Nothing of a recording becomes markup.
  @Test func textIsText() throws {
    var document = Documents.hostile
    var collector = TimelineCollector()
    let at = Moment(time: 5, cpu: 0, tid: 1)
    collector.add(.load(VCPUIdentity(number: 0, thread: 1, kind: .thread), at, isImplied: false))
    document.picture = collector.finish()
    document.analysis.findings[0].evidence[0].detail = "</script><img src=x onerror=alert(1)>"
    let page = String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    #expect(!page.contains("<img") && !page.contains("]]> & <b>"))
    #expect(page.components(of: "</script>") == 2)
    #expect(!page.utf8.contains { $0 < 32 && ![9, 10].contains($0) })
  }

  @Test func withoutAVCPUThereIsNoPicture() throws {
    var document = Documents.unusable
    document.picture = TimelineCollector().finish()
    let page = String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    #expect(page.contains("there is nothing to draw") && page.contains("UNUSABLE"))
  }

}

extension String {
  /// How often `part` is in it.
  fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
