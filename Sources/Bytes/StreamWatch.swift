private import CLinux
import Glibc

/// What happens while a stream is read: pauses of the writer, and signals that end the reading.
///
/// SIGINT and SIGTERM are taken as `perf record` takes them, ignored or not. The first one ends the stream: what
/// had come by then is still read, and so is what a writer that got the signal too writes as its last. After it they
/// act as they did before, so that a second one ends the process.
@safe public final class StreamWatch {
  /// All that has come is used: reading on may wait.
  public var drained: () -> Void = {}
  /// How long a writer may be silent before ``Wait/silent`` says so, in milliseconds.
  static let patience: Int32 = 150
  /// A signal ended the stream.
  public private(set) var isStopped = false

  /// Milliseconds that a writer may be silent, or go on, after the signal.
  private static let grace: Int32 = 250
  private static let deadline: UInt64 = 1000

  private let signals: CInt
  private var before = sigset_t()
  private var stopTime: UInt64 = 0

  /// - Parameter takesSignals: false leaves signals alone.
  public init(takesSignals: Bool) {
    guard takesSignals else {
      signals = -1
      return
    }
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGINT)
    unsafe sigaddset(&set, SIGTERM)
    unsafe pthread_sigmask(SIG_BLOCK, &set, &before)
    signals = unsafe signal_file(&set)
  }

  deinit {
    guard signals >= 0 else { return }
    if !isStopped { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    close(signals)
  }

  /// Milliseconds of a clock that only goes forward.
  public static var now: UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
  }

  enum Wait {
    /// There is something to read, or the end.
    case ready
    /// Nothing came for ``patience``.
    case silent
    /// A signal has ended the stream.
    case over
  }

  /// Waits for something to read.
  func wait(for descriptor: CInt) -> Wait {
    while true {
      if isStopped, Self.now - stopTime >= Self.deadline { return .over }
      var entries = [
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: isStopped ? -1 : signals, events: Int16(POLLIN), revents: 0),
      ]
      let ready = unsafe poll(&entries, 2, isStopped ? Self.grace : Self.patience)
      if ready < 0 {
        // EINTR; any other error shows in read(2).
        if errno == EINTR { continue }
        return .ready
      }
      if entries[1].revents != 0 { stop() }
      if entries[0].revents != 0 { return .ready }
      if ready == 0 { return isStopped ? .over : .silent }
    }
  }

  /// Ends the stream at once, as a signal does after its grace.
  public func end() {
    if signals >= 0, !isStopped { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    isStopped = true
    stopTime = 0
  }

  private func stop() {
    var information = signalfd_siginfo()
    _ = unsafe read(signals, &information, MemoryLayout<signalfd_siginfo>.size)
    isStopped = true
    stopTime = Self.now
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
  }
}
