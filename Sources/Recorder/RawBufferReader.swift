import Bytes

/// Takes the pages of an instance's ring buffer, one file per CPU.
final class RawBufferReader {
  /// By CPU number; nil where the kernel has no buffer.
  private(set) var cpus: [PageCopier?] = []
  private let directory: String

  /// Bytes that one CPU gives before it is the next one's turn.
  private static let turn = 1 << 20

  /// - Parameter directory: per_cpu of the instance.
  init(_ directory: String, output: String, pageSize: Int) throws(SystemFileError) {
    self.directory = directory
    for cpu in Self.numbers(in: directory) {
      while cpus.count < cpu { cpus.append(nil) }
      cpus.append(
        try PageCopier(
          from: "\(directory)/cpu\(cpu)/trace_pipe_raw", to: Self.part(output, cpu),
          pageSize: pageSize))
    }
  }

  static func numbers(in directory: String) -> [Int] {
    SystemFile.names(in: directory).compactMap {
      $0.hasPrefix("cpu") ? Int($0.dropFirst(3)) : nil
    }.sorted()
  }

  /// The file of one CPU until all are joined; trace-cmd's name for it.
  static func part(_ output: String, _ cpu: Int) -> String { "\(output).cpu\(cpu)" }

  /// Each CPU's turn; the bytes copied, by the CPU that gave most.
  @discardableResult
  func drain() throws(SystemFileError) -> UInt64 {
    var most: UInt64 = 0
    for case let cpu? in cpus {
      let before = cpu.total
      try cpu.drain(limit: Self.turn)
      most = max(most, cpu.total - before)
    }
    return most
  }

  /// The last ``drain()`` left something.
  static func isBehind(_ copied: UInt64) -> Bool { copied >= UInt64(turn) }

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
    for (cpu, copier) in cpus.enumerated() where copier != nil { sum.add(statistics(cpu)) }
    return sum
  }
}
