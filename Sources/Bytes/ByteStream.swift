import Glibc

/// Bytes that come once and in order: standard input, a pipe, a FIFO.
@safe package struct ByteStream: ~Copyable {
  private let descriptor: CInt
  private let isOwned: Bool

  /// What `read` failed with.
  package struct Failure: Error {
    /// errno.
    package var number: CInt
  }

  /// - Parameter path: "-" is standard input.
  package init(path: String) throws(Failure) {
    if path == "-" {
      descriptor = STDIN_FILENO
      isOwned = false
    } else {
      descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      isOwned = true
      guard descriptor >= 0 else { throw Failure(number: errno) }
    }
  }

  /// `path` ("-": standard input) is something to read once and in order. Does not open it: a FIFO's
  /// writer would notice.
  package static func isStream(_ path: String) -> Bool {
    var status = stat()
    let result = unsafe path == "-" ? fstat(STDIN_FILENO, &status) : stat(path, &status)
    let kind = status.st_mode & S_IFMT
    return result == 0 && kind != S_IFREG && kind != S_IFDIR && kind != S_IFBLK
  }

  /// Standard input is a terminal: nobody types a recording.
  package static var standardInputIsTerminal: Bool { isatty(STDIN_FILENO) == 1 }

  deinit { if isOwned { close(descriptor) } }

  /// Reads what is there into `buffer`, at least one byte; 0 at the end of the stream.
  @unsafe func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    while true {
      let count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno != EINTR { throw Failure(number: errno) }
    }
  }
}
