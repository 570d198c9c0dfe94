import Glibc
import Testing

struct CommandFailure: Error, CustomStringConvertible {
  let description: String
}

/// Runs a program and returns what it printed; `input` goes to its standard input.
///
/// Output goes through a file: nothing can block, whatever the amount.
///
/// - Parameter isAnswer: what it printed is what was asked for, whatever its exit code; nil: the exit code tells.
@discardableResult
func run(
  _ program: String, _ arguments: [String], input: String? = nil,
  isAnswer: ((String) -> Bool)? = nil
) throws -> String {
  let scratch = try Scratch()
  var source = "/dev/null"
  if let input {
    source = scratch.path + "/in"
    try write(Array(input.utf8), to: source)
  }
  let output = scratch.path + "/out"
  let errors = scratch.path + "/err"
  let status = spawn(program, arguments, input: source, output: output, errors: errors)
  guard status != nil else {
    throw CommandFailure(
      description: "\(program) cannot be run; the tests need it installed "
        + "(apt packages: dwarves, elfutils, binutils, xz-utils, zstd)")
  }
  guard try status == 0 || isAnswer?(readText(output)) ?? false else {
    let words = ([program] + arguments).joined(separator: " ")
    throw CommandFailure(description: "\(words) failed: \(try readText(errors))")
  }
  return try readText(output)
}

/// The wait status of a program run to its end, nil if it cannot be run.
private func spawn(
  _ program: String, _ arguments: [String], input: String, output: String, errors: String
) -> CInt? {
  var actions = unsafe posix_spawn_file_actions_t()
  unsafe posix_spawn_file_actions_init(&actions)
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  unsafe posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
  unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
  unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT, 0o600)
  var words: [UnsafeMutablePointer<CChar>?] = unsafe []
  for word in [program] + arguments { unsafe words.append(strdup(word)) }
  unsafe words.append(nil)
  let count = unsafe words.count
  defer { for index in 0..<count { unsafe free(words[index]) } }
  var child: pid_t = 0
  guard unsafe posix_spawnp(&child, program, &actions, nil, words, environ) == 0 else { return nil }
  var status: CInt = 0
  while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
  return status
}

/// A directory of its own, removed with the value.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/ptrauth-trace-test.XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw CommandFailure(description: "no scratch directory in /tmp")
    }
    path = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { remove() }

  fileprivate func remove() {
    _ = spawn(
      "rm", ["-rf", "--", path], input: "/dev/null", output: "/dev/null", errors: "/dev/null")
  }

  /// Creates `relative` below the directory, and returns its whole path.
  func directory(_ relative: String) throws -> String {
    try run("mkdir", ["-p", path + "/" + relative])
    return path + "/" + relative
  }

  /// One directory for as long as the process runs.
  static func forProcess() throws -> String { try process.get().path }

  private static let process: Result<Scratch, any Error> = {
    atexit { if case .success(let scratch) = Scratch.process { scratch.remove() } }
    return Result { try Scratch() }
  }()
}

func readBytes(_ path: String) throws -> [UInt8] {
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw CommandFailure(description: "\(path) cannot be opened") }
  defer { close(descriptor) }
  var status = stat()
  guard unsafe fstat(descriptor, &status) == 0 else { return [] }
  var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
  var done = 0
  while done < bytes.count {
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe read(descriptor, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done)
    }
    guard count > 0 else { break }
    done += count
  }
  return Array(bytes[..<done])
}

func readText(_ path: String) throws -> String {
  String(decoding: try readBytes(path), as: UTF8.self)
}

func write(_ bytes: [UInt8], to path: String) throws {
  let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw CommandFailure(description: "\(path) cannot be written") }
  defer { close(descriptor) }
  var done = 0
  while done < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe Glibc.write(
        descriptor, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done)
    }
    guard count > 0 else { throw CommandFailure(description: "\(path) cannot be written") }
    done += count
  }
}
