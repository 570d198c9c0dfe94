import ArgumentParser
import Bytes
import Probing

/// Whether the key slots are recorded.
struct KeyOptions: ParsableArguments {
  @Flag(help: "Leave the key slots out, and say which rules are then not judged.")
  var noKeys = false

  /// What is done anyway.
  @Flag(help: .hidden)
  var keys = false

  var areRecorded: Bool { !noKeys }

  func validate() throws {
    if keys, noKeys { throw ValidationError("--keys and --no-keys exclude each other") }
  }

  /// Says what it costs that they are not.
  func complain(_ plan: ProbePlan, generation: String?) {
    guard noKeys else { return }
    let rules = plan.rulesOfKeys(generation: generation)
    if rules.isEmpty { return }
    ProcessState.complain(
      "ptrauth-trace: warning: without the key slots these rules are not judged: "
        + rules.joined(separator: ", "))
  }
}
