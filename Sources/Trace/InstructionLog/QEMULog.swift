import Bytes

/// QEMU's `-d exec,nochain` log: one line for each block of instructions, before it runs
/// (accel/tcg/cpu-exec.c, log_cpu_exec).
///
///     Trace 1: 0x7faa356560c0 [0000000000003301/ffff800008087498/00000251/ff080200] __guest_enter
///           ^ CPU  ^ host code  ^ cs_base        ^ address        ^ flags  ^ cflags
///     Stopped execution of TB chain before 0x7faa356560c0 [ffff800008087498] __guest_enter
///
/// The second kind takes the line before it back: that block did not run. There are no times; only the order of
/// one CPU's lines is certain.
public struct QEMULog: ~Copyable {
  private let map: MappedFile
  private let path: String

  /// A block that ran, and where the CPU's next one begins (nil: the log ends).
  public struct Block: Sendable {
    public var cpu: Int
    public var address: UInt64
    public var next: UInt64?
  }

  private struct Pending {
    var host: UInt64
    var address: UInt64
    var line = 0
  }

  /// CPUs of an emulated machine at most.
  private static let cpuLimit: UInt64 = 4096

  public init(path: String) throws(TraceError) {
    self.path = path
    do throws(MappedFile.Failure) {
      map = try MappedFile(path: path, unpackedLimit: RecordingFile.unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  /// The file at `path`, packed or not, begins like such a log: one of its first lines is a block.
  public static func isLog(_ path: String) -> Bool {
    guard let map = try? MappedFile(headOf: path, limit: headLimit) else { return false }
    return isLog(map.bytes)
  }

  static func isLog(_ bytes: RawSpan) -> Bool {
    let head = bytes.extracting(first: 1 << 16)
    var walk = LineWalk()
    while walk.next(head) {
      guard let line = head.slice(at: walk.start, count: walk.end &- walk.start) else { continue }
      if trace(line) != nil { return true }
    }
    return false
  }

  /// Bytes of a packed file that are unpacked to see what it is.
  private static let headLimit: UInt64 = 4 << 20

  /// Delivers all blocks, those of one CPU in order.
  public borrowing func readBlocks(_ body: (Block) -> Void) throws(TraceError) {
    let bytes = map.bytes
    guard bytes.byteCount > 0 else { throw TraceError(.isEmpty, path: path) }
    var pending: [Int: Pending] = [:]
    var walk = LineWalk()
    var blocks = 0
    while walk.next(bytes) {
      guard let line = bytes.slice(at: walk.start, count: walk.end &- walk.start) else { continue }
      if let (cpu, traced) = Self.trace(line) {
        var block = traced
        block.line = walk.number
        blocks += 1
        if let last = pending.updateValue(block, forKey: cpu) {
          body(Block(cpu: cpu, address: last.address, next: block.address))
        }
      } else if let stopped = Self.stopped(line) {
        // Host code is shared: of several CPUs about to run it, the one that said so last.
        let owner = pending.filter { $0.value.host == stopped }.max {
          $0.value.line < $1.value.line
        }
        if let owner { pending[owner.key] = nil }
      }
    }
    guard blocks > 0 else { throw TraceError(.isNoInstructionLog, path: path) }
    for (cpu, last) in pending.sorted(by: { $0.key < $1.key }) {
      body(Block(cpu: cpu, address: last.address, next: nil))
    }
  }

  private static let traceMark: TextPattern = "Trace "
  private static let stoppedMark: TextPattern = "Stopped execution of TB chain before 0x"

  private static func trace(_ line: RawSpan) -> (Int, Pending)? {
    guard line.starts(with: traceMark, at: 0) else { return nil }
    var position = traceMark.bytes.count
    guard let cpu = line.decimal(&position), cpu < cpuLimit,
      line.u8(at: position) == Character8.colon
    else { return nil }
    position += 2
    guard let host = line.number(&position), line.u8(at: position) == Character8.space,
      line.u8(at: position + 1) == Character8.openBracket
    else { return nil }
    position += 2
    guard line.hexadecimal(&position) != nil, line.u8(at: position) == Character8.slash else {
      return nil
    }
    position += 1
    guard let address = line.hexadecimal(&position), line.u8(at: position) == Character8.slash
    else { return nil }
    return (Int(cpu), Pending(host: host, address: address))
  }

  private static func stopped(_ line: RawSpan) -> UInt64? {
    guard line.starts(with: stoppedMark, at: 0) else { return nil }
    var position = stoppedMark.bytes.count
    return line.hexadecimal(&position)
  }
}
