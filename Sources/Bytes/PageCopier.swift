import Glibc

/// Copies pages from a file that is never at its end, as per_cpu/cpuN/trace_pipe_raw of tracefs, to a file.
///
/// One read gives one page at most, whatever its size is by then.
public final class PageCopier {
  public let output: String
  /// Bytes written.
  public private(set) var total: UInt64 = 0
  private let source: String
  private let input: Int32
  private var target: Int32
  /// More than a page, so that a larger one shows.
  private var chunk: [UInt8]

  public init(from source: String, to output: String, pageSize: Int) throws(SystemFileError) {
    self.source = source
    self.output = output
    chunk = [UInt8](repeating: 0, count: 2 * pageSize)
    input = unsafe open(source, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard input >= 0 else { throw SystemFileError("cannot be opened", source) }
    target = unsafe open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard target >= 0 else {
      let error = SystemFileError("cannot be written", output)
      close(input)
      throw error
    }
  }

  deinit {
    close(input)
    finish()
  }

  /// Nothing more is written: a file that is removed while it is open keeps its room on the disk.
  public func finish() {
    if target >= 0 { close(target) }
    target = -1
  }

  /// Copies what is there, at most `limit` bytes.
  ///
  /// - Parameter prepare: makes what one read gave fit to be written; false when it must not be.
  /// - Returns: bytes taken.
  @discardableResult
  public func drain(
    limit: Int, _ prepare: (inout [UInt8]) -> Bool
  ) throws(SystemFileError) -> Int {
    var taken = 0
    while taken < limit {
      let count = unsafe read(input, &chunk, chunk.count)
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { break }
        throw SystemFileError("cannot be read", source)
      }
      taken += count
      var page = Array(chunk[..<count])
      if prepare(&page) { try write(page) }
    }
    return taken
  }

  private func write(_ page: [UInt8]) throws(SystemFileError) {
    var done = 0
    while done < page.count {
      let offset = done
      let written = unsafe page.withUnsafeBytes {
        unsafe Glibc.write(target, $0.baseAddress?.advanced(by: offset), page.count - offset)
      }
      if written < 0 {
        if errno == EINTR { continue }
        throw SystemFileError("cannot be written", output)
      }
      done += written
    }
    total += UInt64(page.count)
  }
}
