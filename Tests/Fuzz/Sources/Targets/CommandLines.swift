// The fuzzers are a package of their own, which sees what is `package` here only like this.
#if FUZZING
  @testable import ptrauth_trace
#else
  import ptrauth_trace
#endif

extension Target {
  /// Arguments, with a NUL between them: understood or refused, and never run.
  static let commandLine = Target(name: "command-line") { bytes, _ in
    let arguments = bytes.split(separator: 0, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    do {
      _ = try Program.command(arguments)
    } catch {
      let ending = Ending(error, arguments)
      // README, "Exit codes": an answer, or a usage error in some dialect.
      precondition(
        ending.answer == nil
          ? [64, 129].contains(ending.code) && !ending.complaint.isEmpty
          : ending.code == 0)
    }
  }
}
