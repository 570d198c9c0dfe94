import ArgumentParser
import Glibc
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// What `render` makes of saved reports is what `analyze` made of the recordings.
struct RenderTests {
  private func saved(_ documents: [Document]) throws -> [HTMLReport.Part] {
    let texts = documents.map { String(decoding: JSONReport.render($0), as: UTF8.self) }
    let json = "[" + texts.joined(separator: ",") + "]"
    return try SavedReport(try JSONValue(Array(json.utf8))).parts
  }

  /// Of every kind of report.
  static let documents: [Document] = {
    var required = Documents.blind
    required.analysis.require(Requirement(named: [.missedHostSave], least: .critical))
    var broken = Documents.faulty
    if let first = broken.analysis.findings.indices.first {
      broken.analysis.findings[first].code = [
        CodeLine(
          address: 0xffff_8000_0806_0c60, word: 0xd518_2100, symbol: "__guest_enter+0x70",
          source: "arch/arm64/kvm/hyp/entry.S:64", text: "msr apiakeylo_el1, x4")
      ]
      broken.analysis.findings[first].level = .static
    }
    return Documents.real + [
      Documents.incomplete(Documents.faulty), Documents.unusable, required, broken,
    ]
  }()

  @Test(arguments: documents.indices)
  func everyFormatIsTheSame(index: Int) throws {
    var document = Self.documents[index]
    document.picture = nil
    guard case .judged(let read) = try #require(try saved([document]).first) else {
      Issue.record("it is refused")
      return
    }
    let style = Style(isColoured: false)
    func formats(_ document: Document) throws -> [(String, [UInt8])] {
      let text = TextReport.render(document, style: style, isVerbose: true)
      let machines: [ReportFormat] = [.ktap, .junit, .sarif, .github, .kcidb, .lava, .csv]
      return [
        ("json", JSONReport.render(document)), ("text", Array(text.utf8)),
        ("html", HTMLReport.render([.judged(document)])),
      ]
        + (try machines.map { format in
          let report = try #require(MachineReport(format, try KCIDBOptions.parse([])))
          return (format.rawValue, report.render([TestSuite(document, failOn: .medium)]))
        })
    }
    for (one, other) in zip(try formats(read), try formats(document)) {
      let isSame = one.1 == other.1
      #expect(isSame && one.1.count > 100, "\(one.0)")
    }
  }

  /// The picture is the same too, from the timeline's lines.
  @Test(arguments: Excerpt.all)
  func thePictureIsTheSame(excerpt: Excerpt) throws {
    let entries = try excerpt.replay(2000).entries
    var lines = TimelineLines()
    var collector = TimelineCollector()
    var bytes = lines.begin()
    for entry in entries {
      bytes += lines.add(entry)
      collector.add(entry)
    }
    let read = try #require(try SavedTimeline.read(bytes).first)
    var analysis = Analysis(reported: .clean, firstTime: 0, lastTime: 0, eventCount: 0)
    analysis.vcpus = read.vcpus
    #expect(
      PictureJSON.render(read.picture, analysis) == PictureJSON.render(collector.finish(), analysis)
    )
  }

  @Test func fromFileToPage() throws {
    let folder = "/tmp/ptrauth-trace-render-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    _ = unsafe mkdir(folder, 0o700)
    defer { _ = try? Program.run("rm", ["-r", folder]) }
    func run(_ arguments: [String]) throws -> Program {
      try Program.run(Program.command, arguments)
    }
    func text(_ name: String) -> String {
      String(decoding: Corpus.bytes("\(folder)/\(name)"), as: UTF8.self)
    }
    // The format is that of the output's name; --format wins.
    let recording = "traces/v7-good/perf.data"
    for name in ["a.json", "a.jsonl", "a.html"] {
      #expect(try run(["analyze", "-q", recording, "-o", "\(folder)/\(name)"]).code == 0)
    }
    #expect(text("a.json").hasPrefix("{\n  \"schema\"") && text("a.jsonl").hasPrefix("{\"type\":"))
    _ = try run(["analyze", "-q", recording, "-o", "\(folder)/b.html", "--format", "ktap"])
    #expect(text("b.html").hasPrefix("KTAP"))
    // The page is analyze's own.
    let both = ["\(folder)/a.json", "\(folder)/a.jsonl"]
    #expect(try run(["render", "-o", "\(folder)/c.html"] + both).code == 0)
    #expect(text("c.html") == text("a.html") && !text("c.html").isEmpty)
    // A timeline alone says its verdict, and that it is one.
    #expect(try run(["render", "-o", "\(folder)/d.html", both[1]]).code == 0)
    #expect(text("d.html").contains("<span class=\"word\">CLEAN</span>"))
    #expect(text("d.html").contains("<section class=\"timeline\">"))
    // One that is cut is not clean.
    Corpus.write(Array(text("a.jsonl").utf8.dropLast(700)), to: "\(folder)/cut.jsonl")
    #expect(try run(["render", "-o", "\(folder)/e.html", "\(folder)/cut.jsonl"]).code == 0)
    #expect(text("e.html").contains("it was cut") && !text("e.html").contains(">CLEAN<"))
    // A trend: in the order given; not judged is not 0.
    Corpus.write(JSONReport.render(Documents.faulty), to: "\(folder)/f.json")
    Corpus.write(JSONReport.render(Documents.blind), to: "\(folder)/g.json")
    let reports = ["f", "a", "g"].map { "\(folder)/\($0).json" }
    #expect(try run(["render", "--trend", "-o", "\(folder)/t.html"] + reports).code == 0)
    let row = try #require(
      text("t.html").split(separator: "<tr>").first { $0.contains("<code>missed-host-save</code>") }
    )
    let cells = row.split(separator: "<td class=\"n\">").dropFirst().map { $0.prefix(3) }
    #expect(cells == ["356", "0</", "?</"], "\(row)")
    #expect(
      text("t.html").contains("Content-Security-Policy") && !text("t.html").contains("<script"))
    // What is no report is a sentence.
    for (input, words) in [
      (Array("{\"schema\": 1}".utf8), "schema is no string"),
      (Array(text("a.json").replacing("analysis/2", with: "analysis/1").utf8), "analysis/1"),
      (Array(text("a.json").utf8.dropLast(9)), "this is no JSON"),
      (Array(text("a.json").replacing("redundant-switch", with: "late").utf8), "does not know"),
      (Array(repeating: UInt8(ascii: "["), count: 100_000), "byte 65: this is no JSON"),
    ] {
      Corpus.write(input, to: "\(folder)/x.json")
      let ran = try run(["render", "\(folder)/x.json"])
      #expect(ran.code == 2 && ran.output.isEmpty && ran.errors.contains(words), "\(ran.errors)")
    }
  }

  /// All recordings in a directory, the summary first; one that is a recording is itself.
  @Test func aDirectoryIsItsRecordings() throws {
    let folder = "/tmp/ptrauth-trace-folder-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    _ = unsafe mkdir(folder, 0o700)
    _ = unsafe mkdir(folder + "/c", 0o700)
    defer { _ = try? Program.run("rm", ["-r", folder]) }
    let good = Corpus.root + "/traces/v7-good/"
    Corpus.write(Array("notes\n".utf8), to: folder + "/README")
    for name in ["a.data", "b.data", "c/data"] {
      _ = try Program.run("cp", [good + "perf.data", "\(folder)/\(name)"])
    }
    _ = try Program.run("gzip", [folder + "/b.data"])
    let vmlinux = ["-k", good + "vmlinux.slim.zst", "--no-audit"]
    let all = try Program.run(Program.command, ["analyze", folder] + vmlinux)
    let names = ["a.data", "b.data.gz", "c"].map { "\(folder)/\($0)" }
    #expect(all.output.hasPrefix("SUMMARY of 3 recordings: 3 clean"), "\(all.output.prefix(300))")
    let places = names.compactMap { all.output.firstRange(of: "\nrecording  \($0)")?.lowerBound }
    #expect(places.count == 3 && places == places.sorted())
    #expect(all.errors.contains("\(folder): files in it that are no recordings: 1"))
    let one = try Program.run(Program.command, ["analyze", "-q", folder + "/c"] + vmlinux)
    #expect(one.code == 0 && one.output.hasPrefix("CLEAN"))
  }
}
