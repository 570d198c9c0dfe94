import Glibc

/// A buffered output: standard output, a pager, or a file.
///
/// A regular file is written under another name and takes its own when it is done: until ``finish()`` an
/// older one stays as it is, and a file that this process reads is never replaced.
public final class ByteSink {
  private var descriptor: Int32
  private var pager: Pager?
  private var replacement: FileReplacement?
  private var buffer: [UInt8] = []
  private let path: String

  /// - Parameter path: "-" is standard output.
  public init(path: String) throws(ByteSinkError) {
    self.path = path
    if path == "-" {
      descriptor = STDOUT_FILENO
    } else if let replacement = try FileReplacement(of: path) {
      self.replacement = replacement
      descriptor = replacement.descriptor
    } else {
      descriptor = try Self.open(path, O_TRUNC)
    }
  }

  /// Standard output, through a pager; without one if it cannot be started.
  public init(pager: Pager) {
    self.pager = pager
    path = "-"
    descriptor = STDOUT_FILENO
  }

  /// A file that is kept and added to: what is written so far is in it whatever happens.
  public init(appendingTo path: String) throws(ByteSinkError) {
    self.path = path
    descriptor = try Self.open(path, O_APPEND)
  }

  private static func open(_ path: String, _ flag: Int32) throws(ByteSinkError) -> Int32 {
    let descriptor = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flag, 0o644)
    guard descriptor >= 0 else { throw ByteSinkError(path: path, code: errno) }
    return descriptor
  }

  public func write(_ bytes: [UInt8]) throws(ByteSinkError) {
    buffer.append(contentsOf: bytes)
    if buffer.count >= 1 << 16 { try drain() }
  }

  public func write(_ text: String) throws(ByteSinkError) { try write(Array(text.utf8)) }

  /// All is written: a file takes its name.
  public func finish() throws(ByteSinkError) {
    try drain()
    try replacement?.commit()
  }

  /// Passes on what was written so far.
  public func drain() throws(ByteSinkError) {
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
    if let pager {
      pager.end()
    } else if replacement == nil, descriptor != STDOUT_FILENO {
      close(descriptor)
    }
  }
}

/// Output could not be written.
public struct ByteSinkError: Error, Sendable, CustomStringConvertible {
  public var path: String
  /// errno; 0: the file is one of those that are read.
  public var code: Int32
  /// Its reader has gone, as after `| head`.
  public var isClosedPipe: Bool { code == EPIPE }
  public var description: String {
    if code == 0 {
      return
        "\(path): is one of the files that are read, and is left as it is; give the output another name"
    }
    return
      "\(path == "-" ? "standard output" : path): cannot be written: \(SystemMessage.text(code))"
  }
}
