import Glibc

/// Copies pages from a file that is never at its end, as per_cpu/cpuN/trace_pipe_raw of tracefs, to a file.
public final class PageCopier {
  public let output: String
  /// Bytes copied.
  public private(set) var total: UInt64 = 0
  private let source: String
  private let input: Int32
  private let target: Int32
  private var page: [UInt8]

  public init(from source: String, to output: String, pageSize: Int) throws(SystemFileError) {
    self.source = source
    self.output = output
    page = [UInt8](repeating: 0, count: pageSize)
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
    close(target)
  }

  /// Copies what is there, at most `limit` bytes.
  public func drain(limit: Int) throws(SystemFileError) {
    var left = limit
    while left > 0 {
      let count = unsafe read(input, &page, page.count)
      if count == 0 { return }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return }
        throw SystemFileError("cannot be read", source)
      }
      try write(count)
      total += UInt64(count)
      left -= count
    }
  }

  private func write(_ count: Int) throws(SystemFileError) {
    var done = 0
    while done < count {
      let offset = done
      let written = unsafe page.withUnsafeBytes {
        unsafe Glibc.write(target, $0.baseAddress?.advanced(by: offset), count - offset)
      }
      if written < 0 {
        if errno == EINTR { continue }
        throw SystemFileError("cannot be written", output)
      }
      done += written
    }
  }
}
