private import CLinux
import Glibc

/// A program that runs beside this one, with no signal blocked.
public final class SpawnedProcess {
  public let id: Int32
  private var input: Int32
  private var code: Int32?

  /// - Parameters:
  ///   - isGuardian: it reads from a pipe that ends with this process, in a session of its own, and says nothing.
  public init(_ words: [String], isGuardian: Bool = false) throws(SystemFileError) {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID: glibc declares it with _GNU_SOURCE only.
    let flags = Int32(POSIX_SPAWN_SETSIGMASK) | (isGuardian ? 0x80 : 0)
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
    var ends: [Int32] = [-1, -1]
    if isGuardian {
      guard unsafe closed_pipe(&ends) == 0 else {
        throw SystemFileError("cannot be started", words[0])
      }
      unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
      for output in [STDOUT_FILENO, STDERR_FILENO] {
        unsafe posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0)
      }
    }
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in words.indices { unsafe free(arguments[index]) } }
    var child: pid_t = 0
    let result = unsafe posix_spawnp(
      &child, words[0], &actions, &attributes, &arguments, environ)
    if ends[0] >= 0 { close(ends[0]) }
    guard result == 0 else {
      if ends[1] >= 0 { close(ends[1]) }
      errno = result
      throw SystemFileError("cannot be started", words[0])
    }
    id = child
    input = ends[1]
  }

  deinit { closeInput() }

  public func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// Its exit code, 128 + n after signal n; nil while it runs.
  public func ended() -> Int32? { reap(WNOHANG) }

  /// Waits for its end.
  public func wait() -> Int32 { reap(0) ?? -1 }

  public func terminate() { if code == nil { kill(id, SIGTERM) } }

  private func reap(_ options: Int32) -> Int32? {
    if let code { return code }
    var status: Int32 = 0
    var result: pid_t
    repeat { result = unsafe waitpid(id, &status, options) } while result < 0 && errno == EINTR
    guard result == id else { return result < 0 ? -1 : nil }
    code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    return code
  }
}
