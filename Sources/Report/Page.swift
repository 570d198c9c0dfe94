import Printing

/// Lays out text in columns: 80 for terminals. Control characters of what it shows are written out.
struct Page {
  let width: Int
  private(set) var text = ""
  let style: Style

  init(_ style: Style, width: Int = 80) {
    self.style = style
    self.width = width
  }

  mutating func line(_ words: String = "") {
    text += style.shown(ControlCharacters.escaped(words)) + "\n"
  }

  mutating func heading(_ words: String) {
    line()
    line(style.bold(words))
  }

  /// Breaks `words` at spaces; the first line begins with `first`, the others with as many spaces.
  mutating func paragraph(_ first: String, _ words: String) {
    let first = ControlCharacters.escaped(first)
    let indent = String(repeating: " ", count: first.count)
    var current = first
    var isEmpty = true
    for word in ControlCharacters.escaped(words).split(separator: " ") {
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

  func bold(_ text: String) -> String { wrap(text, .bold) }
  func red(_ text: String) -> String { wrap(text, .red) }
  func green(_ text: String) -> String { wrap(text, .green) }
  func yellow(_ text: String) -> String { wrap(text, .yellow) }
  func dim(_ text: String) -> String { wrap(text, .dim) }

  /// Stands in a line for the terminal's own sequence until all other control characters are written out: a
  /// scalar of the last private plane, which can make nothing but a colour if it comes from outside.
  private enum Mark: UInt32, CaseIterable {
    case end = 0x10_ff00
    case bold, red, green, yellow, dim
    var sequence: String {
      switch self {
      case .end: "\u{1b}[0m"
      case .bold: "\u{1b}[1m"
      case .red: "\u{1b}[1;31m"
      case .green: "\u{1b}[1;32m"
      case .yellow: "\u{1b}[1;33m"
      case .dim: "\u{1b}[2m"
      }
    }
    var scalar: String { Unicode.Scalar(rawValue).map { String($0) } ?? "" }
  }

  private func wrap(_ text: String, _ mark: Mark) -> String {
    isColoured ? mark.scalar + text + Mark.end.scalar : text
  }

  /// A finished line, with the terminal's own sequences.
  func shown(_ line: String) -> String {
    guard isColoured else { return line }
    var result = ""
    for scalar in line.unicodeScalars {
      if let mark = Mark(rawValue: scalar.value) {
        result += mark.sequence
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
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
