/// Characters that make a terminal or a reader of lines do something instead of showing them: C0 and C1
/// controls, DEL, line and paragraph separators, and the marks that turn the direction of text.
///
/// File names, releases, command lines and names of tasks come from outside and may hold any of them. Where
/// text is written for terminals and for readers of lines, they are written out, as C would.
public enum ControlCharacters {
  /// `text` on one line, without any of them: ESC is `\x1b`, a line feed `\n`, U+202E `\u{202e}`.
  public static func escaped(_ text: String) -> String {
    guard areIn(text) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if contains(scalar) { result += name(scalar) } else { result.unicodeScalars.append(scalar) }
    }
    return result
  }

  public static func contains(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f..<0xa0, 0x61c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
  }

  public static func areIn(_ text: String) -> Bool {
    // The first bytes of those behind ASCII; nearly no text has any.
    text.utf8.contains { $0 < 0x20 || $0 == 0x7f || $0 == 0xc2 || $0 == 0xd8 || $0 == 0xe2 }
      && text.unicodeScalars.contains(where: contains)
  }

  private static func name(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default:
      scalar.value < 0x100
        ? "\\x" + (scalar.value < 0x10 ? "0" : "") + String(scalar.value, radix: 16)
        : "\\u{" + String(scalar.value, radix: 16) + "}"
    }
  }
}
