import ArgumentParser
import Glibc
import ptrauth_trace

/// One run of `analyze`, as from the command line: its exit code and what it wrote.
struct CommandRun {
  var code: Int32
  var output: [UInt8]

  init(_ arguments: [String]) throws { try self.init(Analyze.self, arguments) }

  init<Command: ParsableCommand>(_ command: Command.Type, _ arguments: [String]) throws {
    let path = "/tmp/ptrauth-trace-run-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    var command = try Command.parse(arguments + ["-q", "-o", path])
    do {
      try command.run()
      code = 0
    } catch let exit as ExitCode {
      code = exit.rawValue
    }
    output = Corpus.bytes(path)
  }

  var text: String { String(decoding: output, as: UTF8.self) }
}
