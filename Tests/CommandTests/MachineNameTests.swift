import ArgumentParser
import Ptrauth
import Replay
import Report
import Testing
import ptrauth_trace

/// Two VMs have a vCPU 0 each: every table, lane and line tells them apart. Losses are said once, with the remedy.
struct MachineNameTests {
  /// As if the second half of the vCPUs were another VMM's.
  private static var two: Document {
    var document = Documents.faulty
    for index in document.analysis.vcpus.indices where index > 1 {
      document.analysis.vcpus[index].pid = 4711
      document.analysis.vcpus[index].vmm = "qemu-system-aar"
      document.analysis.vcpus[index].identity.number = Int32(index - 2)
      let pointer = document.analysis.vcpus[index].identity.pointer
      for finding in document.analysis.findings.indices {
        for vcpu in document.analysis.findings[finding].vcpus.indices
        where document.analysis.findings[finding].vcpus[vcpu].identity.pointer == pointer {
          document.analysis.findings[finding].vcpus[vcpu].identity.number = Int32(index - 2)
        }
      }
    }
    return document
  }

  private static func render(_ document: Document, _ format: ReportFormat) throws -> String {
    if let report = MachineReport(format, try KCIDBOptions.parse([])) {
      return String(
        decoding: report.render([TestSuite(document, failOn: .medium)]), as: UTF8.self)
    }
    return switch format {
    case .json: String(decoding: JSONReport.render(document), as: UTF8.self)
    case .html: String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    default: TextReport.render(document, style: Style(isColoured: false))
    }
  }

  @Test(arguments: [
    (ReportFormat.text, "\n  on VM 89 (kvmlab) vCPU 0: "), (.text, "VM 4711 (qemu-system-aar)\n"),
    (.ktap, "# missed-host-save: VM 4711 (qemu-system-aar) vCPU 1: "),
    (.junit, "\nVM 89 (kvmlab) vCPU 0: "), (.csv, ",4711,qemu-system-aar,"),
    (.json, "\"vmm\": \"qemu-system-aar\""), (.html, "<td>VM 4711 (qemu-system-aar)</td>"),
  ])
  func vmsAreToldApart(format: ReportFormat, words: String) throws {
    let text = try Self.render(Self.two, format)
    #expect(text.contains(words))
    if format == .text {
      #expect(!text.contains(Self.two.analysis.vcpus[0].identity.pointer.map(hexadecimal) ?? "-"))
    }
  }

  /// What is the same in all but its pointer has that.
  @Test func pointersStandWhereTheyAreNeeded() throws {
    var document = Self.two
    for index in document.analysis.vcpus.indices {
      document.analysis.vcpus[index].pid = -1
      document.analysis.vcpus[index].vmm = nil
    }
    let text = try Self.render(document, .text)
    for vcpu in document.analysis.vcpus {
      #expect(text.contains(" " + (vcpu.identity.pointer.map(hexadecimal) ?? "-")))
    }
    let lines: [Substring] = text.split(separator: "\n")
    #expect(lines.dropFirst().allSatisfy { $0.count <= 80 })
  }

  /// Two processes of one name, in the file's own records.
  @Test(.enabled(if: Corpus.hasShared, "needs ../shared/recordings"))
  func namesComeFromTheRecording() throws {
    let corpus = try #require(Corpus.all.first { $0.name == "v7/good-two-vmms" })
    let session = try Session(recording: corpus.recording, vmlinux: corpus.vmlinux)
    let (analysis, picture) = try session.picture()
    #expect(Set(analysis.vcpus.map(\.machine)) == ["VM 89 (kvmlab)", "VM 90 (kvmlab)"])
    #expect(analysis.vcpus.allSatisfy(VCPUNames(analysis).isAlone))
    let lanes = LaneOrder(picture, analysis).lanes
    #expect(Set(lanes.map(\.name)).count == 6 && lanes[0].name == "VM 89 vCPU 0")
    #expect(lanes.allSatisfy { $0.detail.hasPrefix("kvmlab, tid ") })
    var perfetto = PerfettoTrace()
    var bytes: [UInt8] = []
    _ = try session.replay { bytes += perfetto.add($0) }
    bytes += perfetto.end()
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(text.contains("\"name\":\"VM 89 vCPU 0, tid ") && text.contains("VM 90 vCPU 0, tid "))
  }

  @Test func lossesAreSaidOnceWithTheRemedy() throws {
    var document = Documents.incomplete(Documents.clean)
    document.recording.lostSamples = 32
    for (format, option) in [
      ("perf.data file mode", "perf record -m 16M"), ("trace.dat v7", "trace-cmd record -b 65536"),
      ("ftrace text", "buffer_size_kb"),
    ] {
      document.recording.format = format
      let text = try Self.render(document, .text)
      let words = text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
      #expect(
        words.contains(
          "missing 32 events lost (12 on pCPU 1, of 20 it is not said when): record with"))
      #expect(words.contains(option))
      #expect(words.ranges(of: " lost (").count == 1 && !words.contains("samples lost"))
      #expect(LossSentences(document).missing.count == 1)
    }
    document.recording.lostSamples = 12
    #expect(LossSentences(document).missing[0].hasPrefix("12 events lost (12 on pCPU 1): "))
  }
}
