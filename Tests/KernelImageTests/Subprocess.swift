import Glibc
import Testing

struct CommandFailure: Error, CustomStringConvertible {
  let description: String
}

/// Runs a program and returns what it printed; `input` goes to its standard input.
///
/// Output goes through a file: nothing can block, whatever the amount.
@discardableResult
func run(_ program: String, _ arguments: [String], input: String? = nil) throws -> String {
  let scratch = try Scratch()
  let output = scratch.path + "/out"
  var actions = unsafe posix_spawn_file_actions_t()
  unsafe posix_spawn_file_actions_init(&actions)
  defer { unsafe posix_spawn_file_actions_destroy(&actions) }
  var source = "/dev/null"
  if let input {
    source = scratch.path + "/in"
    try write(Array(input.utf8), to: source)
  }
  unsafe posix_spawn_file_actions_addopen(&actions, 0, source, O_RDONLY, 0)
  unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
  unsafe posix_spawn_file_actions_addopen(
    &actions, 2, scratch.path + "/err", O_WRONLY | O_CREAT, 0o600)

  var words: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map { unsafe strdup($0) }
  unsafe words.append(nil)
  defer { for unsafe word in unsafe words { unsafe free(word) } }
  var child: pid_t = 0
  let started = unsafe posix_spawnp(&child, program, &actions, nil, words, environ)
  guard started == 0 else {
    throw CommandFailure(
      description: "\(program) cannot be run (error \(started)); the tests need it installed "
        + "(apt packages: dwarves, elfutils, binutils, xz-utils, zstd)")
  }
  var status: CInt = 0
  while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
  guard status == 0 else {
    let words = ([program] + arguments).joined(separator: " ")
    throw CommandFailure(
      description: "\(words) failed (\(status)): \(try readText(scratch.path + "/err"))")
  }
  return try readText(output)
}

/// A directory of its own, removed with the value.
final class Scratch {
  let path: String

  init() throws {
    var template = Array("/tmp/ptrauth-trace-test.XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw CommandFailure(description: "no scratch directory in /tmp")
    }
    path = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Scratch.remove(path) }

  static func remove(_ path: String) {
    _ = unsafe nftw(
      path,
      { path, _, _, _ in
        guard let path = unsafe path else { return 0 }
        return unsafe Glibc.remove(path)
      }, 16, FTW_DEPTH.rawValue.magnitude > 0 ? CInt(FTW_DEPTH.rawValue) | 1 : 1)
  }

  /// Creates `relative` below the directory, and returns its whole path.
  func directory(_ relative: String) throws -> String {
    try run("mkdir", ["-p", path + "/" + relative])
    return path + "/" + relative
  }

  /// One directory for as long as the process runs.
  static func forProcess() throws -> String { try process.get().path }

  nonisolated(unsafe) private static let process: Result<Scratch, any Error> = {
    let scratch = Result { try Scratch() }
    atexit { if case .success(let scratch) = unsafe Scratch.process { Scratch.remove(scratch.path) } }
    return scratch
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
      unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done)
    }
    guard count > 0 else { throw CommandFailure(description: "\(path) cannot be written") }
    done += count
  }
}
