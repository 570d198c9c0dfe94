import Printing

/// HTML under construction. What is text is escaped; only tags written here are not.
struct Markup {
  private(set) var bytes: [UInt8] = []

  /// Tags, as they are.
  mutating func raw(_ tags: StaticString) { bytes.append(contentsOf: "\(tags)".utf8) }
  /// A part of the page that comes with the program.
  mutating func part(_ source: [UInt8]) { bytes.append(contentsOf: source) }

  mutating func text(_ words: String) {
    // Whatever turns the direction of text is in none of what a page says of itself.
    let turned =
      words.utf8.contains { $0 > 0x7f }
      && words.unicodeScalars.contains { $0.value > 0x7f && ControlCharacters.contains($0) }
    let shown =
      turned
      ? words.unicodeScalars.map {
        $0.value > 0x7f ? ControlCharacters.escaped(String($0)) : String($0)
      }.joined() : words
    for byte in shown.utf8 {
      switch byte {
      case UInt8(ascii: "&"): bytes.append(contentsOf: "&amp;".utf8)
      case UInt8(ascii: "<"): bytes.append(contentsOf: "&lt;".utf8)
      case UInt8(ascii: ">"): bytes.append(contentsOf: "&gt;".utf8)
      case UInt8(ascii: "\""): bytes.append(contentsOf: "&quot;".utf8)
      case UInt8(ascii: "'"): bytes.append(contentsOf: "&#39;".utf8)
      // HTML has no control characters, not even escaped ones.
      case 0..<9, 11..<32, 127: bytes.append(contentsOf: "\u{fffd}".utf8)
      default: bytes.append(byte)
      }
    }
  }

  /// `<name attributes>body</name>`
  mutating func element(
    _ name: StaticString, _ attributes: [(StaticString, String)], _ body: (inout Markup) -> Void
  ) {
    open(name, attributes)
    body(&self)
    bytes.append(contentsOf: "</\(name)>".utf8)
  }

  mutating func element(_ name: StaticString, _ body: (inout Markup) -> Void) {
    element(name, [], body)
  }

  mutating func element(
    _ name: StaticString, _ attributes: [(StaticString, String)], _ words: String
  ) {
    element(name, attributes) { $0.text(words) }
  }

  mutating func element(_ name: StaticString, _ words: String) { element(name, [], words) }

  mutating func open(_ name: StaticString, _ attributes: [(StaticString, String)]) {
    bytes.append(contentsOf: "<\(name)".utf8)
    for (key, value) in attributes {
      bytes.append(contentsOf: " \(key)=\"".utf8)
      text(value)
      bytes.append(UInt8(ascii: "\""))
    }
    bytes.append(UInt8(ascii: ">"))
  }

  /// JSON inside `<script>`: `</` and `<!--` end or change scripts, so every `<` is written `\u003c`.
  /// (A `<` of JSON is always inside a string.)
  mutating func json(_ json: [UInt8]) {
    for byte in json {
      if byte == UInt8(ascii: "<") {
        bytes.append(contentsOf: "\\u003c".utf8)
      } else {
        bytes.append(byte)
      }
    }
  }
}
