import FoundationEssentials
import Glibc
import Testing
import Trace
import ptrauth_trace

/// A host's recording and that of its guest, as `trace-cmd record -A` makes them: real ones, with the options
/// added that bind them.
final class GuestTests {
  private let folder: String
  private let hostID: UInt64 = 0xec08_be97_5986_c6ac
  private let guestID: UInt64 = 0xa5a9_e431_f9df_1746
  private var host: String { folder + "/run.dat" }
  private var guest: String { folder + "/run-vm.dat" }
  private let kernel = Corpus.traces[1].vmlinux

  init() throws {
    folder = "/tmp/ptrauth-trace-guest-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try #require(unsafe mkdir(folder, 0o700) == 0)
    // GUEST: name, its number, and of each vCPU the thread on the host.
    var list = Array("vm\0".utf8)
    Self.add(guestID, to: &list)
    for value in [2, 0, 90, 1, 91] as [UInt32] { Self.add(value, to: &list) }
    write(Corpus.traces[1].directory + "/trace.dat", [(13, list)], to: host)
    // TIME_SHIFT: the host's number, interpolate, two CPUs with three measurements.
    var shift: [UInt8] = []
    Self.add(hostID, to: &shift)
    for value in [1, 2] as [UInt32] { Self.add(value, to: &shift) }
    for _ in 0..<2 {
      Self.add(3 as UInt32, to: &shift)
      for time in [4_900_000_000, 5_100_000_000, 14_400_000_000] as [UInt64] {
        Self.add(time, to: &shift)
      }
      for offset in [700_000_001, 700_001_003, 699_999_000] as [UInt64] {
        Self.add(offset, to: &shift)
      }
      for _ in 0..<3 { Self.add(1 as UInt64, to: &shift) }
    }
    shift += [UInt8](repeating: 0, count: 48)
    write(Corpus.root + "/traces/deb-6.1-instructions/trace.dat", [(12, shift)], to: guest)
  }

  deinit { _ = unsafe system("rm -rf '\(folder)'") }

  private static func add<Number: FixedWidthInteger>(_ number: Number, to bytes: inout [UInt8]) {
    for byte in 0..<Number.bitWidth / 8 {
      bytes.append(UInt8(truncatingIfNeeded: number >> (8 * Number(byte))))
    }
  }

  /// A copy of a trace.dat of version 7 with one more list of options before its own.
  private func write(_ source: String, _ options: [(UInt16, [UInt8])], to path: String) {
    var file = Corpus.bytes(source)
    // Magic, version, byte order, size of long, page size, compression and its version; then where the first
    // options are.
    var place = 10
    func skipText() { while file[place] != 0 { place += 1 } }
    skipText()
    place += 1 + 2 + 4
    skipText()
    place += 1
    skipText()
    place += 1
    let old = Array(file[place..<place + 8])
    var body: [UInt8] = []
    for (id, data) in options + [(0, old)] {
      Self.add(id, to: &body)
      Self.add(UInt32(data.count), to: &body)
      body += data
    }
    var new: [UInt8] = []
    Self.add(UInt64(file.count), to: &new)
    file.replaceSubrange(place..<place + 8, with: new)
    for value in [0, 0] as [UInt16] { Self.add(value, to: &file) }
    Self.add(0 as UInt32, to: &file)
    Self.add(UInt64(body.count), to: &file)
    Corpus.write(file + body, to: path)
  }

  private struct Shape: Decodable {
    struct Recording: Decodable {
      var path: String
      var guests: [Guest]?
    }
    struct Guest: Decodable {
      struct VCPU: Decodable {
        enum CodingKeys: String, CodingKey {
          case number = "vcpuId"
          case tid
        }
        var number, tid: Int32
      }
      var name: String
      var vcpus: [VCPU]
      var path: String?
      var events, begin, end: UInt64?
      var hostClock: Bool?
    }
    var recording: Recording
    var verdict: String
  }

  /// The report, however its lines are broken.
  private func words(_ run: CommandRun) -> String {
    run.text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
  }

  /// One report, in which the guest's events have the times that trace-cmd gives them.
  @Test func aGuestIsPartOfItsHostsReport() throws {
    var times: [UInt64] = []
    for line in Tool.lines("trace-cmd report -t -i '\(host)' -i '\(guest)'") {
      let halves = line.split(separator: "]", maxSplits: 1)
      guard halves.count == 2, halves[0].drop(while: { $0 == " " }).hasPrefix("run-vm.dat:") else {
        continue
      }
      let word = halves[1].split(separator: " ").first { $0.hasSuffix(":") }
      let parts = (word ?? "").dropLast().split(separator: ".")
      if parts.count == 2, let seconds = UInt64(parts[0]), let rest = UInt64(parts[1]) {
        times.append(seconds * 1_000_000_000 + rest)
      }
    }
    #expect(times.count > 7000)
    for paths in [[host, guest], [guest, host], [host]] {
      let run = try CommandRun(paths + ["-k", kernel, "--format", "json"])
      let document = try JSONDecoder().decode(Shape.self, from: Data(run.output))
      #expect(run.code == 0 && document.verdict == "clean" && document.recording.path == host)
      let found = try #require(document.recording.guests?.first)
      #expect(document.recording.guests?.count == 1)
      #expect(found.name == "vm" && found.path == guest && found.hostClock == true)
      #expect(found.vcpus.map(\.number) == [0, 1] && found.vcpus.map(\.tid) == [90, 91])
      #expect(found.events == UInt64(times.count))
      #expect(found.begin == times.min() && found.end == times.max())
    }
    let text = words(try CommandRun([host, guest, "-k", kernel]))
    #expect(text.contains("guest vm: 2 vCPUs; ") && !text.contains("SUMMARY"))
  }

  /// Two recordings that are not of one session have a report each.
  @Test func strangersAreNotMerged() throws {
    let other = Corpus.root + "/traces/deb-6.1-functions/trace.dat"
    let text = words(try CommandRun([other, guest]))
    #expect(text.contains("SUMMARY of 2 recordings") && !text.contains("guest vm"))
    unsafe unlink(guest)
    let alone = words(try CommandRun([host, "-k", kernel]))
    #expect(alone.contains("guest vm: 2 vCPUs; its own recording is not here"))
  }

  @Test func aGuestAloneSaysWhatItIs() throws {
    let text = words(try CommandRun([guest]))
    #expect(
      text.contains("this is a guest's recording, made together with its host's: its times"))
    // One that holds nothing of KVM.
    let session = try Session(recording: guest)
    #expect(session.whyUnusable(session.file.recording).contains("give the host's trace.dat"))
  }
}
