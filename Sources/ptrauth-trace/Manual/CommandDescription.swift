import ArgumentParser
import FoundationEssentials

/// A command as argument-parser describes it to other programs (`--experimental-dump-help`).
package struct CommandDescription: Decodable {
  package var commandName: String
  var abstract: String?
  var discussion: String?
  var superCommands: [String]?
  var subcommands: [CommandDescription]?
  package var arguments: [Argument]?
  var shouldDisplay: Bool?

  package struct Argument: Decodable {
    package enum Kind: String, Decodable { case positional, option, flag }
    package struct Name: Decodable {
      package enum Kind: String, Decodable { case long, short, longWithSingleDash }
      package var kind: Kind
      package var name: String
    }
    package var kind: Kind
    package var names: [Name]?
    package var valueName: String?
    package var defaultValue: String?
    var allValues: [String]?
    package var abstract: String?
    var discussion: String?
    var sectionTitle: String?
    var isOptional: Bool
    var isRepeating: Bool
    var parsingStrategy: String?
    package var shouldDisplay: Bool
  }

  /// The whole command and everything below it.
  package static func ofProgram() throws(Problem) -> CommandDescription {
    struct Dump: Decodable { var command: CommandDescription }
    do {
      return try JSONDecoder().decode(Dump.self, from: Data(PtrauthTrace._dumpHelp().utf8)).command
    } catch {
      throw Problem("the command line cannot describe itself: \(error)")
    }
  }

  /// "ptrauth-trace-analyze": the name of the page.
  package var pageName: String { ((superCommands ?? []) + [commandName]).joined(separator: "-") }

  /// Commands with a page: argument-parser's own `help` is said by --help.
  package var shownSubcommands: [CommandDescription] {
    (subcommands ?? []).filter { $0.shouldDisplay ?? true && $0.commandName != "help" }
  }

  /// The paragraphs of the discussion; examples and `Exit codes:` have sections of their own.
  package var paragraphs: [Paragraph] { Paragraph.split(discussion ?? "") }

  package enum Paragraph: Hashable {
    case words(String)
    /// Lines that are typed as they are; what they are for, unless they are just examples.
    case examples(String?, [String])
    case exitCodes(String)

    package static func split(_ text: String) -> [Paragraph] {
      var paragraphs: [Paragraph] = []
      var lines: [Substring] = []
      for line in (text + "\n\n").split(separator: "\n", omittingEmptySubsequences: false) {
        guard line.isEmpty else {
          lines.append(line)
          continue
        }
        if let first = lines.first {
          if lines.count > 1, first.hasSuffix(":"),
            lines.dropFirst().allSatisfy({ $0.hasPrefix("  ") })
          {
            let isPlain = first == "Examples:" || first == "Example:"
            paragraphs.append(
              .examples(
                isPlain ? nil : String(first), lines.dropFirst().map { String($0.dropFirst(2)) }))
          } else if first.hasPrefix("Exit codes: ") {
            let words = lines.joined(separator: " ").dropFirst("Exit codes: ".count)
            paragraphs.append(.exitCodes(String(words)))
          } else {
            paragraphs.append(.words(lines.joined(separator: " ")))
          }
        }
        lines = []
      }
      return paragraphs
    }
  }
}
