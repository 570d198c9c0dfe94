import Glibc

/// A program that shows text on a terminal, started when the first bytes come.
///
/// It is asked for by PERF_PAGER, then PAGER, then it is less(1), as with perf; empty or `cat` is none.
public final class Pager {
  private let command: String
  private var child: pid_t = 0
  private var input: Int32 = -1

  /// nil if there is to be none.
  public init?(environment: [String: String]) {
    let asked = environment["PERF_PAGER"] ?? environment["PAGER"]
    if let asked {
      let words = asked.split(separator: " ")
      if words.isEmpty || words == ["cat"] { return nil }
      command = asked
    } else {
      let path = environment["PATH"] ?? "/usr/bin:/bin"
      guard path.split(separator: ":").contains(where: { unsafe access($0 + "/less", X_OK) == 0 })
      else { return nil }
      command = "less"
    }
    // Quit if it fits on one screen, let colours through, leave the text on the screen: as git does.
    if environment["LESS"] == nil { unsafe setenv("LESS", "FRX", 0) }
  }

  /// Starts it; the descriptor to write to, or nil if it cannot be started.
  func start() -> Int32? {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    // A pager that inherited the writing end would wait for itself.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
    let words = ["/bin/sh", "-c", command]
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in words.indices { unsafe free(arguments[index]) } }
    let code = unsafe posix_spawn(&child, words[0], &actions, nil, &arguments, environ)
    close(ends[0])
    guard code == 0 else {
      close(ends[1])
      return nil
    }
    signal(SIGPIPE, SIG_IGN)
    input = ends[1]
    return ends[1]
  }

  /// Nothing more will come: waits until the reader has seen enough.
  func end() {
    guard input >= 0 else { return }
    close(input)
    input = -1
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
  }
}
