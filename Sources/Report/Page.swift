import Printing

/// Lays out text in columns: as many as the terminal has, 80 where there is none. Control characters of what it
/// shows are written out.
struct Page {
  let width: Int
  private(set) var text = ""
  let style: Style

  /// - Parameter width: where no terminal says.
  init(_ style: Style, width: Int = 80) {
    self.style = style
    self.width = style.columns ?? width
  }

  /// Words get this many columns beside what stands in front of them; where that leaves fewer, they get lines
  /// of their own.
  private static let leastWords = 24

  mutating func line(_ words: String = "") {
    text += style.shown(ControlCharacters.escaped(words)) + "\n"
  }

  mutating func heading(_ words: String) {
    line()
    for part in lines("", words) { line(style.bold(part)) }
  }

  /// What a report begins with: one line for whoever takes the first of a file or a pipe.
  mutating func sentence(_ words: String) {
    if style.columns == nil { line(words) } else { paragraph("", words) }
  }

  /// Breaks `words` at spaces; the first line begins with `first`, the others with as many spaces.
  mutating func paragraph(_ first: String, _ words: String) {
    for part in lines(first, words) { line(part) }
  }

  private func lines(_ first: String, _ words: String) -> [String] {
    let first = ControlCharacters.escaped(first)
    let words = ControlCharacters.escaped(words)
    var column = style.columns(of: first)
    var lines: [String] = []
    var current = first
    if column + Self.leastWords > width, column + style.columns(of: words) > width {
      lines.append(Self.trimmed(first))
      column = min(first.prefix { $0 == " " }.count + 4, 8)
      current = String(repeating: " ", count: column)
    }
    let indent = String(repeating: " ", count: column)
    var isEmpty = true
    for word in Self.unbroken(words) {
      let length = style.columns(of: word)
      if !isEmpty, column + 1 + length > width {
        lines.append(current)
        current = indent
        column = indent.count
        isEmpty = true
      }
      if !isEmpty {
        current += " "
        column += 1
      }
      current += word
      column += length
      isEmpty = false
    }
    return lines + [current]
  }

  /// The parts between which a line may end: words, but what stands in backquotes is typed as it is, and stays
  /// whole with what is next to it.
  private static func unbroken(_ words: String) -> [String] {
    var parts: [String] = []
    var isQuoted = false
    for word in words.split(separator: " ").map(String.init) {
      if isQuoted, let last = parts.popLast() {
        parts.append(last + " " + word)
      } else {
        parts.append(word)
      }
      if !word.count(where: { $0 == "`" }).isMultiple(of: 2) { isQuoted.toggle() }
    }
    // A backquote without its other half quotes nothing.
    guard isQuoted, let last = parts.popLast() else { return parts }
    return parts + last.split(separator: " ").map(String.init)
  }

  static func trimmed(_ line: String) -> String {
    var line = line
    while line.last == " " { line.removeLast() }
    return line
  }
}

/// What the reader's terminal can show: colours and weights, or none; how many columns.
public struct Style: Sendable {
  public var isColoured: Bool
  /// nil: not known, as of a file or a pipe.
  public var columns: Int?
  public init(isColoured: Bool, columns: Int? = nil) {
    self.isColoured = isColoured
    self.columns = columns.map { max(Self.leastColumns, $0) }
  }

  /// What is narrower is laid out as if it had these.
  static let leastColumns = 40

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

  /// How many columns `text` takes.
  func columns(of text: String) -> Int {
    guard isColoured else { return text.count }
    return text.count - text.unicodeScalars.count { Mark(rawValue: $0.value) != nil }
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
