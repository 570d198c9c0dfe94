import Glibc

/// A buffered output: standard output, or a file that is replaced.
public final class ByteSink {
  private var descriptor: Int32
  private var pager: Pager?
  private var buffer: [UInt8] = []
  private let path: String

  /// - Parameter path: "-" is standard output.
  public init(path: String) throws(ByteSinkError) {
    self.path = path
    if path == "-" {
      descriptor = STDOUT_FILENO
    } else {
      descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { throw ByteSinkError(path: path, code: errno) }
    }
  }

  /// Standard output, through a pager; without one if it cannot be started.
  public init(pager: Pager) {
    self.pager = pager
    path = "-"
    descriptor = STDOUT_FILENO
  }

  /// A file that is kept and added to.
  public init(appendingTo path: String) throws(ByteSinkError) {
    self.path = path
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw ByteSinkError(path: path, code: errno) }
  }

  public func write(_ bytes: [UInt8]) throws(ByteSinkError) {
    buffer.append(contentsOf: bytes)
    if buffer.count >= 1 << 16 { try flush() }
  }

  public func write(_ text: String) throws(ByteSinkError) { try write(Array(text.utf8)) }

  public func flush() throws(ByteSinkError) {
    if descriptor == STDOUT_FILENO, !buffer.isEmpty, let input = pager?.start() {
      descriptor = input
    }
    let isPaged = pager != nil && descriptor != STDOUT_FILENO
    var done = 0
    while done < buffer.count {
      let offset = done
      let written = unsafe buffer.withUnsafeBytes { bytes in
        unsafe Glibc.write(
          descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
      }
      if written < 0 {
        if errno == EINTR { continue }
        // Who leaves the pager has seen enough: the result stays what it is.
        if errno == EPIPE, isPaged { break }
        throw ByteSinkError(path: path, code: errno)
      }
      done += written
    }
    buffer.removeAll(keepingCapacity: true)
  }

  deinit {
    if let pager { pager.end() } else if descriptor != STDOUT_FILENO { close(descriptor) }
  }
}

/// Output could not be written.
public struct ByteSinkError: Error, Sendable, CustomStringConvertible {
  public var path: String
  /// errno.
  public var code: Int32
  /// Its reader has gone, as after `| head`.
  public var isClosedPipe: Bool { code == EPIPE }
  public var description: String {
    "\(path == "-" ? "standard output" : path): cannot be written: \(SystemMessage.text(code))"
  }
}
