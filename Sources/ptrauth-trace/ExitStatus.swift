package import ArgumentParser
import Bytes
import Ptrauth
package import Replay

/// What a command found, as far as its exit code tells. Exit codes are part of the interface.
///
/// From the best to the worst: what was found stays true, whatever else could not be read.
package enum Outcome: Comparable {
  case clean
  /// Input unusable, events missing, no correctness rule that could be judged, or a required one that could
  /// not.
  case cannotJudge
  /// Findings of a comparison, of which it cannot be said that they are new.
  case undatedFindings
  /// Findings at or above `--fail-on`.
  case findings

  package init(_ analysis: Analysis) {
    guard analysis.failing.isEmpty else {
      self = .findings
      return
    }
    switch analysis.verdict {
    case .clean, .findings:
      let isOpen = analysis.isIncomplete || !analysis.requiredNotJudged.isEmpty
      self = isOpen ? .cannotJudge : .clean
    case .incomplete, .cannotJudge, .unusable: self = .cannotJudge
    }
  }
}

/// Whose exit codes are spoken.
///
///                   clean  findings  cannot judge  usage  internal error
///     standard          0         1             2     64              70
///     bisect            0         1           125    129             125
///     kselftest         0         1             4     64              70
///
/// Findings that may be older than the base of a comparison are findings, and to a bisection no answer: 125.
package enum ExitDialect: String, CaseIterable {
  case standard
  /// `git bisect run`: 125 is "cannot test this revision", 128 and above stop the bisection (git-bisect(1)),
  /// everything else is "bad".
  case bisect
  /// Kernel selftests: 4 is KSFT_SKIP, what is not named there a failure.
  case kselftest

  /// What `--exit-code` in these arguments names, whether or not they can be parsed. A dialect that does not
  /// exist is `bisect`: its codes for a usage error mislead nobody.
  package init(askedForIn arguments: [String]) {
    self = .standard
    var arguments = arguments.prefix { $0 != "--" }[...]
    while let word = arguments.popFirst() {
      if word == "--exit-code" {
        self = ExitDialect(rawValue: arguments.popFirst() ?? "") ?? .bisect
      } else if word.hasPrefix("--exit-code=") {
        self = ExitDialect(rawValue: String(word.dropFirst("--exit-code=".count))) ?? .bisect
      }
    }
  }

  /// The arguments are wrong. A bisection stops: they will be wrong at every commit.
  var usage: ExitCode { self == .bisect ? ExitCode(129) : .validationFailure }

  /// A fault of this program.
  package var internalError: ExitCode { ExitCode(self == .bisect ? 125 : 70) }

  func code(_ outcome: Outcome) -> ExitCode {
    switch (outcome, self) {
    case (.clean, _): ExitCode(0)
    case (.undatedFindings, .bisect): ExitCode(125)
    case (.findings, _), (.undatedFindings, _): ExitCode(1)
    case (.cannotJudge, .standard): ExitCode(2)
    case (.cannotJudge, .bisect): ExitCode(125)
    case (.cannotJudge, .kselftest): ExitCode(4)
    }
  }

  /// Runs a command's body and ends the process with its outcome's code; a failure is one sentence on
  /// standard error, and `cannotJudge`.
  func run(_ body: () throws -> Outcome) throws {
    let outcome: Outcome
    do {
      outcome = try body()
    } catch let problem as Problem {
      complain(problem.sentence)
      outcome = .cannotJudge
    } catch let error as ByteSinkError {
      // Whoever read standard output has seen enough.
      if !error.isClosedPipe { complain("\(error)") }
      outcome = .cannotJudge
    }
    let code = code(outcome)
    if code != ExitCode(0) { throw code }
  }

  private func complain(_ sentence: String) {
    ProcessState.complain("ptrauth-trace: \(sentence)")
  }
}
