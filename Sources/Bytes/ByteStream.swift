private import CLinux
import Glibc

/// Bytes that come once and in order: standard input, a pipe, a FIFO.
@safe package struct ByteStream: ~Copyable {
  private let descriptor: CInt
  private let isOwned: Bool
  private let peeked = Peeked()
  private let watch: StreamWatch?

  /// Bytes that were looked at and not read yet.
  private final class Peeked {
    var bytes: [UInt8] = []
    var position = 0
  }

  /// What `read` failed with.
  package struct Failure: Error {
    /// errno.
    package var number: CInt
  }

  /// - Parameters:
  ///   - path: "-" is standard input.
  ///   - watch: is told of the writer's pauses; nil just waits.
  package init(path: String, watch: StreamWatch? = nil) throws(Failure) {
    self.watch = watch
    if path == "-" {
      descriptor = STDIN_FILENO
      isOwned = false
    } else {
      descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      isOwned = true
      guard descriptor >= 0 else { throw Failure(number: errno) }
      InputFiles.note(descriptor)
    }
  }

  /// `path` ("-": standard input) is something to read once and in order. Does not open it: a FIFO's
  /// writer would notice.
  package static func isStream(_ path: String) -> Bool {
    var status = stat()
    let result = unsafe path == "-" ? fstat(STDIN_FILENO, &status) : stat(path, &status)
    let kind = status.st_mode & S_IFMT
    guard result == 0, kind != S_IFREG else {
      // trace_pipe and the like say that they are regular and empty.
      return unsafe result == 0 && status.st_size == 0 && is_trace_file(path) == 1
    }
    return kind != S_IFDIR && kind != S_IFBLK
  }

  /// Standard input is a terminal: nobody types a recording.
  package static var standardInputIsTerminal: Bool { isatty(STDIN_FILENO) == 1 }

  deinit { if isOwned { close(descriptor) } }

  /// Reads what is there into `buffer`, at least one byte; 0 at the end of the stream.
  @unsafe func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    let left = peeked.bytes.count - peeked.position
    if left > 0 {
      let count = min(left, buffer.count)
      unsafe buffer.copyBytes(from: peeked.bytes[peeked.position..<(peeked.position + count)])
      peeked.position += count
      if count == left {
        peeked.bytes = []
        peeked.position = 0
      }
      return count
    }
    return unsafe try readOn(into: buffer)
  }

  /// A signal ended the stream.
  package var isStopped: Bool { watch?.isStopped ?? false }

  /// What a stream has next.
  package enum Piece {
    case bytes([UInt8])
    /// Nothing came for ``StreamWatch/patience``; only with a watch.
    case silence
    case end
  }

  /// Reads what is there, at most `limit` bytes.
  package func next(limit: Int) throws(Failure) -> Piece {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 16)
    defer { unsafe buffer.deallocate() }
    if peeked.position == peeked.bytes.count, let watch {
      watch.drained()
      switch watch.wait(for: descriptor) {
      case .ready: break
      case .silent: return .silence
      case .over: return .end
      }
    }
    let count = try unsafe read(into: buffer)
    return count == 0 ? .end : unsafe .bytes([UInt8](buffer[..<count]))
  }

  /// The next bytes, which a later read gets again: at least `count`, fewer only at the end of the
  /// stream.
  package func peek(_ count: Int) throws(Failure) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(count, 1 << 16), alignment: 16)
    defer { unsafe buffer.deallocate() }
    while peeked.bytes.count - peeked.position < count {
      let count = try unsafe readOn(into: buffer)
      if count == 0 { break }
      unsafe peeked.bytes.append(contentsOf: buffer[..<count])
    }
    return Array(peeked.bytes[peeked.position...])
  }

  @unsafe private func readOn(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(Failure) -> Int {
    if let watch {
      watch.drained()
      var wait = watch.wait(for: descriptor)
      while wait == .silent { wait = watch.wait(for: descriptor) }
      if wait == .over { return 0 }
    }
    while true {
      let count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno != EINTR { throw Failure(number: errno) }
    }
  }
}
