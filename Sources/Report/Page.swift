/// Lays out text in columns: 80 for terminals.
struct Page {
  let width: Int
  private(set) var text = ""
  let style: Style

  init(_ style: Style, width: Int = 80) {
    self.style = style
    self.width = width
  }

  mutating func line(_ words: String = "") { text += words + "\n" }

  mutating func heading(_ words: String) {
    line()
    line(style.bold(words))
  }

  /// Breaks `words` at spaces; the first line begins with `first`, the others with as many spaces.
  mutating func paragraph(_ first: String, _ words: String) {
    let indent = String(repeating: " ", count: first.count)
    var current = first
    var isEmpty = true
    for word in words.split(separator: " ") {
      if !isEmpty, current.count + 1 + word.count > width {
        line(current)
        current = indent
        isEmpty = true
      }
      if !isEmpty { current += " " }
      current += word
      isEmpty = false
    }
    line(current)
  }
}

/// Colours and weights, or none.
public struct Style: Sendable {
  public var isColoured: Bool
  public init(isColoured: Bool) { self.isColoured = isColoured }

  func bold(_ text: String) -> String { wrap(text, "1") }
  func red(_ text: String) -> String { wrap(text, "1;31") }
  func green(_ text: String) -> String { wrap(text, "1;32") }
  func yellow(_ text: String) -> String { wrap(text, "1;33") }
  func dim(_ text: String) -> String { wrap(text, "2") }

  private func wrap(_ text: String, _ code: String) -> String {
    isColoured ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}

extension String {
  /// Cut or filled with spaces on the right.
  func padded(_ width: Int) -> String {
    count >= width ? self : self + String(repeating: " ", count: width - count)
  }
  /// Filled with spaces on the left.
  func right(_ width: Int) -> String {
    count >= width ? self : String(repeating: " ", count: width - count) + self
  }
}

/// Nanoseconds as perf script --ns prints them: seconds with nine decimals.
func seconds(_ nanoseconds: UInt64) -> String {
  let fraction = String(nanoseconds % 1_000_000_000)
  return "\(nanoseconds / 1_000_000_000)."
    + String(repeating: "0", count: 9 - fraction.count) + fraction
}

/// A duration with three significant decimals of a second.
func duration(_ nanoseconds: UInt64) -> String {
  let fraction = String(nanoseconds % 1_000_000_000 / 1_000_000)
  return "\(nanoseconds / 1_000_000_000)."
    + String(repeating: "0", count: 3 - fraction.count) + fraction + " s"
}

/// "3.7 MB" (10^6), "512 bytes".
func size(_ bytes: UInt64) -> String {
  switch bytes {
  case ..<1000: "\(bytes) bytes"
  case ..<1_000_000: "\(bytes / 1000).\(bytes % 1000 / 100) kB"
  default: "\(bytes / 1_000_000).\(bytes % 1_000_000 / 100_000) MB"
  }
}

/// "1 run", "2 runs".
func counted(_ count: UInt64, _ noun: String, _ plural: String? = nil) -> String {
  count == 1 ? "1 \(noun)" : "\(count) \(plural ?? noun + "s")"
}
