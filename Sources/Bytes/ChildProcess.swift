import Glibc

/// Runs a program that reads nothing and says its result on standard output.
public enum ChildProcess {
  /// What the program printed; nil if it cannot be run, fails, or prints more than `limit` bytes.
  /// Its standard error is discarded.
  ///
  /// - Parameter input: becomes the file /dev/fd/3 of the program.
  public static func output(
    of program: String, _ arguments: [String], input: [UInt8], limit: Int = 64 << 20
  ) -> [UInt8]? {
    let source = temporaryFile()
    let result = temporaryFile()
    defer {
      if source >= 0 { close(source) }
      if result >= 0 { close(result) }
    }
    guard source >= 0, result >= 0, write(input, to: source) else { return nil }
    lseek(source, 0, SEEK_SET)
    var actions = unsafe posix_spawn_file_actions_t()
    guard unsafe posix_spawn_file_actions_init(&actions) == 0 else { return nil }
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, result, 1)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, source, 3)
    var words: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map {
      unsafe strdup($0)
    }
    unsafe words.append(nil)
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    var child: pid_t = 0
    guard unsafe posix_spawnp(&child, program, &actions, nil, words, environ) == 0 else {
      return nil
    }
    var status: CInt = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else { return nil }
    return read(result, limit)
  }

  /// Without a name, closed on exec, never 0 to 3: those are the program's.
  private static func temporaryFile() -> CInt {
    guard let file = unsafe tmpfile() else { return -1 }
    defer { unsafe fclose(file) }
    return fcntl(unsafe fileno(file), F_DUPFD_CLOEXEC, 10)
  }

  private static func write(_ bytes: [UInt8], to descriptor: CInt) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func read(_ descriptor: CInt, _ limit: Int) -> [UInt8]? {
    lseek(descriptor, 0, SEEK_SET)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      if bytes.count > limit { return nil }
    }
  }
}
