import ArgumentParser
import Bytes
import Ptrauth
import Report

package struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Say what a rule means, with the sequence that breaks it.",
    discussion: """
      Without a rule, lists all of them. A rule's text says when it is broken, what follows, who can judge it (a \
      recording, the kernel's code, the model) and on what grounds, and the commits and messages it comes from.

      Examples:
        ptrauth-trace explain
        ptrauth-trace explain missed-host-save
        ptrauth-trace explain --format json

      Exit codes: 0 explained; 64 usage, or no such rule.
      """)

  @Argument(help: "Rules, by the names that reports use.", completion: .list(Rule.all.map(\.id)))
  var rules: [String] = []

  @Option(
    name: .customLong("format"),
    help: "text or json; without it, that of the output's name, else text.")
  var chosenFormat: Format?
  var format: Format { chosenFormat ?? output.impliedFormat() ?? .text }

  @OptionGroup(title: "Output") var output: OutputOptions

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  func validate() throws {
    for name in rules where Rule(id: name) == nil {
      let near = Nearest(to: name.lowercased(), among: Rule.all.map(\.id))
      throw ValidationError(
        "no rule is named \(name)"
          + (near.name.map { "; did you mean \($0)?" } ?? "; `ptrauth-trace explain` lists them"))
    }
  }

  func run() throws {
    try ExitDialect.standard.run {
      let asked = rules.compactMap { Rule(id: $0) }
      let sink = try output.sink(isText: format == .text)
      let style = output.style
      switch (format, asked.isEmpty) {
      case (.json, _): try sink.write(RuleJSON.render(asked.isEmpty ? Rule.all : asked))
      case (.text, true): try sink.write(RuleText.list(Rule.all, style: style))
      case (.text, false):
        try sink.write(
          asked.map { RuleText.explain($0, style: style) }.joined(separator: "\n\n"))
      }
      try sink.finish()
      return .clean
    }
  }
}

/// The name that was probably meant.
package struct Nearest {
  package var name: String?

  package init(to word: String, among names: [String]) {
    let ranked = names.map { ($0, Self.distance(Array(word.utf8), Array($0.utf8))) }
    let best = ranked.min { $0.1 < $1.1 }
    if let best, best.1 <= max(2, word.utf8.count / 3) {
      name = best.0
    } else {
      // A part of one name only.
      let holding = names.filter { word.count > 2 && $0.contains(word) }
      name = holding.count == 1 ? holding[0] : nil
    }
  }

  /// Levenshtein's: insertions, deletions and replacements between two words.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    guard a.count <= 64 else { return .max }
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (x == y ? 0 : 1))
        diagonal = row[j + 1]
        row[j + 1] = next
      }
    }
    return row[b.count]
  }
}
