import Glibc
import Testing

/// A program run to its end: its exit code (128 + n for signal n), and what it wrote.
struct Program {
  var code: Int32
  var output: String
  var errors: String

  struct Missing: Error, CustomStringConvertible {
    var program: String
    var description: String { "\(program) cannot be run; .ci/packages --test installs it" }
  }

  /// - Parameter environment: added to the environment of the tests.
  static func run(
    _ program: String, _ arguments: [String], input: String? = nil,
    directory: String = Corpus.root, environment: [String] = []
  ) throws -> Program {
    let base = "/tmp/ptrauth-trace-program-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let files = ["in", "out", "err"].map { base + "." + $0 }
    defer { for file in files { unsafe unlink(file) } }
    if let input { Corpus.write(Array(input.utf8), to: files[0]) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    let source = input == nil ? "/dev/null" : files[0]
    unsafe posix_spawn_file_actions_addopen(&actions, 0, source, O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, files[1], O_WRONLY | O_CREAT, 0o600)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, files[2], O_WRONLY | O_CREAT, 0o600)
    let words = ["/usr/bin/env", "-C", directory] + environment + [program] + arguments
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in words.indices { unsafe free(pointers[index]) } }
    var child: pid_t = 0
    guard unsafe posix_spawn(&child, words[0], &actions, nil, &pointers, environ) == 0 else {
      throw Missing(program: words[0])
    }
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7f
    let ended = Program(
      code: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
      output: String(decoding: Corpus.bytes(files[1]), as: UTF8.self),
      errors: String(decoding: Corpus.bytes(files[2]), as: UTF8.self))
    // What env(1) says of a program it cannot find.
    if ended.code == 127 { throw Missing(program: program) }
    return ended
  }

  /// The command itself, beside the tests' own executable.
  static let command: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes { bytes in
      unsafe bytes.withMemoryRebound(to: CChar.self) { chars in
        guard let base = chars.baseAddress else { return 0 }
        return unsafe readlink("/proc/self/exe", base, chars.count)
      }
    }
    let path = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    return path[..<(path.lastIndex(of: "/") ?? path.startIndex)] + "/ptrauth-trace"
  }()

  /// Where .ci/packages --test puts what comes from neither Debian nor this project.
  static let cache: String = {
    func variable(_ name: String) -> String? {
      unsafe getenv(name).map { unsafe String(cString: $0) }
    }
    let home = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "/root") + "/.cache"
    return home + "/ptrauth-trace"
  }()

  /// Runs a Python program of Tests/CommandTests/Validators in the environment of the validators.
  static func validate(_ validator: String, _ arguments: [String]) throws -> Program {
    try run(
      cache + "/venv/bin/python3",
      [Corpus.root + "/Tests/CommandTests/Validators/" + validator] + arguments,
      environment: ["PYTHONDONTWRITEBYTECODE=1", "PTRAUTH_TRACE_CACHE=" + cache])
  }
}

extension Corpus {
  static func write(_ bytes: [UInt8], to path: String) {
    guard let file = unsafe fopen(path, "w") else {
      Issue.record("\(path) cannot be written")
      return
    }
    defer { unsafe fclose(file) }
    unsafe fwrite(bytes, 1, bytes.count, file)
  }
}
