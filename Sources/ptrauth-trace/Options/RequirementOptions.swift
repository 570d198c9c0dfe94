import ArgumentParser
import Ptrauth
package import Replay

/// Which rules a verdict has to stand on.
package struct RequirementOptions: ParsableArguments {
  package init() {}

  @Option(
    name: .customLong("require"),
    help: ArgumentHelp(
      """
      Rules without which nothing is clean, by commas: where one was not judged, the verdict is "cannot judge". \
      critical: every critical rule that this kernel can break; all: every correctness rule. May be given again.
      """,
      valueName: "rule,..."),
    completion: .list(Self.scopes + Self.rules))
  var names: [String] = []

  private static let scopes = ["critical", "all"]
  private static let rules = Analysis.judgedRules.map(\.id)

  /// As they were given.
  var words: [String] {
    names.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
  }

  /// What was asked for; valid after `validate`.
  package var requirement: Requirement {
    let words = words
    return Requirement(
      named: words.compactMap { Rule(id: $0) },
      least: words.contains("all") ? .info : words.contains("critical") ? .critical : nil)
  }

  package func validate() throws {
    for word in words where !Self.scopes.contains(word) && !Self.rules.contains(word) {
      if Rule(id: word) != nil {
        throw ValidationError(
          "--require \(word): no recording shows this rule; `ptrauth-trace audit` tells it from the code"
        )
      }
      let near = Nearest(to: word.lowercased(), among: Self.scopes + Self.rules)
      throw ValidationError(
        "--require: no rule is named \(word.isEmpty ? "\"\"" : word)"
          + (near.name.map { "; did you mean \($0)?" } ?? "; `ptrauth-trace explain` lists them"))
    }
  }
}
