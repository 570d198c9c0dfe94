import ArgumentParser

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
    let text = PtrauthTrace.fullMessage(for: error)
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
}
