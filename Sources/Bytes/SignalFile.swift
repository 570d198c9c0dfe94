private import CLinux
import Glibc

/// SIGINT, SIGTERM and SIGHUP, and the end of children, taken as they come and not as interruptions.
@safe public final class SignalFile {
  /// One of the signals that end a program came.
  public private(set) var isStopped = false
  private let descriptor: CInt
  private var before = sigset_t()

  public init() {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGCHLD] { unsafe sigaddset(&set, number) }
    unsafe pthread_sigmask(SIG_BLOCK, &set, &before)
    descriptor = unsafe signal_file(&set)
  }

  deinit {
    close(descriptor)
    unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
  }

  /// Waits for a signal.
  public func wait(milliseconds: Int32) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&entry, 1, milliseconds) > 0 else { return }
    var information = signalfd_siginfo()
    _ = unsafe read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size)
    if information.ssi_signo != UInt32(SIGCHLD) { isStopped = true }
  }
}
