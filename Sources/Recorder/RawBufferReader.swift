import Bytes
import Trace

/// Takes the pages of an instance's ring buffer, one file per CPU, and puts other keys into them: what is written
/// holds none.
final class RawBufferReader {
  /// By CPU number; nil where the kernel has no buffer.
  private(set) var cpus: [PageCopier?] = []
  private let directory: String
  /// By CPU number, as ``cpus``; all under one secret.
  private var pages: [LivePages?] = []

  /// Bytes that one CPU gives before it is the next one's turn.
  private static let turn = 1 << 20

  /// - Parameter directory: per_cpu of the instance.
  init(_ directory: String, output: String, _ live: LivePages) throws(SystemFileError) {
    self.directory = directory
    for cpu in Self.numbers(in: directory) {
      while cpus.count < cpu {
        cpus.append(nil)
        pages.append(nil)
      }
      cpus.append(
        try PageCopier(
          from: "\(directory)/cpu\(cpu)/trace_pipe_raw",
          to: UnfinishedRecording.part(of: output, cpu: cpu),
          pageSize: live.pageSize))
      pages.append(live)
    }
  }

  static func numbers(in directory: String) -> [Int] {
    SystemFile.names(in: directory).compactMap {
      $0.hasPrefix("cpu") ? Int($0.dropFirst(3)) : nil
    }.sorted()
  }

  /// Each CPU's turn; the bytes taken, by the CPU that gave most.
  @discardableResult
  func drain() throws(SystemFileError) -> Int {
    var most = 0
    for (cpu, copier) in cpus.enumerated() {
      guard let copier else { continue }
      let taken = try copier.drain(limit: Self.turn) { pages[cpu]?.prepare(&$0) ?? false }
      most = max(most, taken)
    }
    return most
  }

  /// The last ``drain()`` left something.
  static func isBehind(_ taken: Int) -> Bool { taken >= turn }

  /// Nothing more is taken.
  func finish() { for cpu in cpus { cpu?.finish() } }

  /// Pages that were not understood and not written, of one CPU.
  func refused(_ cpu: Int) -> UInt64 { pages[cpu]?.refused ?? 0 }

  /// Those of all CPUs, and why the first was not; nil without any.
  var refusal: (pages: UInt64, reason: String)? {
    guard let reason = pages.lazy.compactMap({ $0?.reason }).first else { return nil }
    return (pages.reduce(0) { $0 + ($1?.refused ?? 0) }, reason)
  }

  var total: UInt64 { cpus.reduce(0) { $0 + ($1?.total ?? 0) } }
  private var largest: UInt64 { cpus.reduce(0) { max($0, $1?.total ?? 0) } }

  /// Bytes that must be free for another ``drain()``: each CPU's turn, and the largest part once more, which is
  /// there twice while it is joined.
  var room: UInt64 { largest + UInt64((cpus.count + 1) * Self.turn) }

  /// The kernel's own counters of one CPU.
  func statistics(_ cpu: Int) -> String {
    (try? SystemFile.text("\(directory)/cpu\(cpu)/stats")) ?? ""
  }

  func counters() -> BufferCounters {
    var sum = BufferCounters()
    for (cpu, copier) in cpus.enumerated() where copier != nil {
      sum.add(statistics(cpu))
      // At least one event each.
      sum.lost &+= refused(cpu)
    }
    return sum
  }
}
