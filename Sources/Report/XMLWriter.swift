import Printing

/// Writes indented XML 1.0 in the order it is told.
struct XMLWriter {
  private(set) var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
  private var depth = 0

  /// An element with elements inside; `body` that writes none leaves it empty.
  mutating func element(
    _ name: String, _ attributes: [(String, String?)], _ body: (inout XMLWriter) -> Void
  ) {
    open(name, attributes)
    text += ">\n"
    let before = text.utf8.count
    depth += 1
    body(&self)
    depth -= 1
    if text.utf8.count == before {
      text.removeLast(2)
      text += "/>\n"
    } else {
      indent()
      text += "</\(name)>\n"
    }
  }

  /// An element with text, or with nothing.
  mutating func element(
    _ name: String, _ attributes: [(String, String?)] = [], text content: String? = nil
  ) {
    open(name, attributes)
    text += content.map { ">\(Self.escaped($0, attribute: false))</\(name)>\n" } ?? "/>\n"
  }

  private mutating func open(_ name: String, _ attributes: [(String, String?)]) {
    indent()
    text += "<\(name)"
    for case (let key, let value?) in attributes {
      text += " \(key)=\"\(Self.escaped(value, attribute: true))\""
    }
  }

  private mutating func indent() { text += String(repeating: "  ", count: depth) }

  /// XML 1.0 §2.2 forbids most control characters even as references: they are shown as `\x1b`.
  static func escaped(_ content: String, attribute: Bool) -> String {
    var out = ""
    for scalar in content.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"" where attribute: out += "&quot;"
      // Attribute values are normalised: only a reference keeps these.
      case "\n" where attribute: out += "&#10;"
      case "\t" where attribute: out += "&#9;"
      case "\n", "\t": out.unicodeScalars.append(scalar)
      case "\r": out += "&#13;"
      default:
        switch scalar.value {
        case 0xfffe, 0xffff: out += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: out += ControlCharacters.escaped(String(scalar))
        }
      }
    }
    return out
  }
}
