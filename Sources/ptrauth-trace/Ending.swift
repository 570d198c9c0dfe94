import ArgumentParser
import Printing

/// How the process ends for what was thrown. Codes are the dialect's that the arguments ask for, though they may
/// be wrong otherwise: `git bisect run` is never to read 64 as "this commit is bad".
package struct Ending {
  package var code: Int32
  /// For standard output: what --help, --version and the like were asked for.
  package var answer: String?
  /// For standard error, in lines.
  package var complaint = ""

  package init(_ error: any Error, _ arguments: [String]) {
    if let code = error as? ExitCode {
      self.code = code.rawValue
      return
    }
    let dialect = ExitDialect(askedForIn: arguments)
    let text = Self.onOneLine(arguments, in: PtrauthTrace.fullMessage(for: error))
    switch PtrauthTrace.exitCode(for: error) {
    case .success:
      code = 0
      answer = text
    case .validationFailure:
      code = dialect.usage.rawValue
      complaint = text
    default:
      code = dialect.internalError.rawValue
      complaint = "ptrauth-trace: internal error: \(error); please report it"
    }
  }

  /// The parser quotes arguments as they are; what has lines, a file's name say, writes none.
  private static func onOneLine(_ arguments: [String], in text: String) -> String {
    let parts = arguments.flatMap { [$0] + $0.split(separator: "=", maxSplits: 1).map(String.init) }
    return parts.filter(ControlCharacters.areIn).reduce(text) { text, part in
      text.split(separator: part, omittingEmptySubsequences: false)
        .joined(separator: ControlCharacters.escaped(part))
    }
  }
}
