/// Writes mdoc(7): macros, and text in which nothing is taken for one.
package struct MdocSource {
  package private(set) var text = ""
  private static let width = 78

  package init() {}

  package mutating func macro(_ name: String, _ argument: String? = nil) {
    text += ".\(name)\(argument.map { " " + Self.quoted($0) } ?? "")\n"
  }

  /// `raw` is mdoc already.
  mutating func macro(_ name: String, raw: String) { text += ".\(name) \(raw)\n" }

  /// A line of macros that is mdoc already.
  mutating func control(_ raw: String) { text += ".\(raw)\n" }

  /// Text, filled; a sentence begins on a line of its own, as mdoc wants it.
  package mutating func words(_ words: String) {
    var line = ""
    func end(_ line: inout String, _ text: inout String) {
      if !line.isEmpty { text += Self.escaped(line) + "\n" }
      line = ""
    }
    for word in words.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      if !line.isEmpty, line.count + 1 + word.count > Self.width { end(&line, &text) }
      line += (line.isEmpty ? "" : " ") + word
      if (word.hasSuffix(".") && !word.hasSuffix("..")) || word.hasSuffix(".)") {
        end(&line, &text)
      }
    }
    end(&line, &text)
  }

  /// A line as it is.
  mutating func literal(_ line: String) { text += Self.escaped(line) + "\n" }

  /// No escape, and no control line: they begin with "." or "'".
  static func escaped(_ line: String) -> String {
    let inert = line.replacing("\\", with: "\\e")
    return inert.hasPrefix(".") || inert.hasPrefix("'") ? "\\&" + inert : inert
  }

  /// One argument of a macro, whatever is in it. `\&` keeps words from being called as macros.
  static func quoted(_ argument: String) -> String {
    "\"\\&" + argument.replacing("\\", with: "\\e").replacing("\"", with: "\\(dq") + "\""
  }

  /// `Fl -format Ar format`: the preferred name.
  static func spelled(_ argument: CommandDescription.Argument) -> String {
    guard let names = argument.names else { return "" }
    let name = names.first { $0.kind == .long } ?? names[0]
    return spelled(name, argument)
  }

  /// `Fl k Ar vmlinux , Fl -vmlinux Ar vmlinux`.
  static func allSpellings(_ argument: CommandDescription.Argument) -> String {
    let names = argument.names ?? []
    let sorted = names.filter { $0.kind == .short } + names.filter { $0.kind != .short }
    return sorted.map { spelled($0, argument) }.joined(separator: " , ")
  }

  private static func spelled(
    _ name: CommandDescription.Argument.Name, _ argument: CommandDescription.Argument
  ) -> String {
    let dash = name.kind == .long ? "-" : ""
    let value =
      argument.kind == .option
      ? " Ar \(quoted(argument.valueName ?? name.name))" + (argument.isRepeating ? " ..." : "") : ""
    return "Fl \(dash)\(name.name)\(value)"
  }
}
