/// A JSON text read back (RFC 8259). Objects keep the order of their members.
public enum JSONValue: Sendable {
  case null
  case flag(Bool)
  /// Its digits, as they stand.
  case number(String)
  case text(String)
  case list([JSONValue])
  case object([(name: String, value: JSONValue)])

  /// What is not JSON, and at which byte.
  public struct Fault: Error, Equatable { public var offset: Int }

  public init(_ bytes: [UInt8]) throws(Fault) {
    var reader = JSONReader(bytes: bytes)
    self = try reader.document()
  }

  /// The member of this name; null where there is none.
  subscript(name: String) -> JSONValue {
    guard case .object(let members) = self else { return .null }
    return members.first { $0.name == name }?.value ?? .null
  }

  var text: String? { if case .text(let text) = self { text } else { nil } }
  var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }
  var list: [JSONValue]? { if case .list(let list) = self { list } else { nil } }
  var members: [(name: String, value: JSONValue)]? {
    if case .object(let members) = self { members } else { nil }
  }
  func whole<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
    if case .number(let digits) = self { T(digits) } else { nil }
  }
  /// "0xffff000012340000".
  var address: UInt64? {
    guard let text, text.hasPrefix("0x") else { return nil }
    return UInt64(text.dropFirst(2), radix: 16)
  }
}

/// Where a reader of JSON stands.
private struct JSONReader {
  let bytes: [UInt8]
  var at = 0
  /// Deeper texts are refused: the stack is finite.
  private static let depthLimit = 64

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSONValue.Fault) -> JSONValue {
    let value = try self.value(depth: 0)
    skipSpace()
    guard at == bytes.count else { throw fault }
    return value
  }

  private var fault: JSONValue.Fault { JSONValue.Fault(offset: at) }
  private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 32 || byte == 10 || byte == 13 || byte == 9 { at += 1 }
  }

  private mutating func take(_ byte: Character) -> Bool {
    skipSpace()
    guard next == byte.asciiValue else { return false }
    at += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONValue.Fault) -> JSONValue {
    guard depth < Self.depthLimit else { throw fault }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return .object(try members(depth: depth))
    case UInt8(ascii: "["): return .list(try elements(depth: depth))
    case UInt8(ascii: "\""): return .text(try string())
    case UInt8(ascii: "t"): return try word("true", .flag(true))
    case UInt8(ascii: "f"): return try word("false", .flag(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try digits())
    }
  }

  private mutating func members(
    depth: Int
  ) throws(JSONValue.Fault) -> [(name: String, value: JSONValue)] {
    at += 1
    var members: [(name: String, value: JSONValue)] = []
    if take("}") { return members }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw fault }
      let name = try string()
      guard take(":") else { throw fault }
      members.append((name, try value(depth: depth + 1)))
    } while take(",")
    guard take("}") else { throw fault }
    return members
  }

  private mutating func elements(depth: Int) throws(JSONValue.Fault) -> [JSONValue] {
    at += 1
    var elements: [JSONValue] = []
    if take("]") { return elements }
    repeat { elements.append(try value(depth: depth + 1)) } while take(",")
    guard take("]") else { throw fault }
    return elements
  }

  private mutating func word(
    _ word: StaticString, _ value: JSONValue
  ) throws(JSONValue.Fault) -> JSONValue {
    for byte in "\(word)".utf8 {
      guard next == byte else { throw fault }
      at += 1
    }
    return value
  }

  private mutating func digits() throws(JSONValue.Fault) -> String {
    let begin = at
    var isWhole = true
    loop: while let byte = next {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): break
      case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"),
        UInt8(ascii: "e"):
        isWhole = false
      default: break loop
      }
      at += 1
    }
    let digits = String(decoding: bytes[begin..<at], as: UTF8.self)
    guard at > begin, isWhole || Double(digits) != nil else { throw fault }
    return digits
  }

  private mutating func string() throws(JSONValue.Fault) -> String {
    at += 1
    // Nearly no text has an escape.
    let begin = at
    while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { at += 1 }
    var units = Array(bytes[begin..<at])
    while let byte = next {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(&units)
      default: units.append(byte)
      }
    }
    throw fault
  }

  private mutating func escape(_ units: inout [UInt8]) throws(JSONValue.Fault) {
    guard let byte = next else { throw fault }
    at += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(byte)
    case UInt8(ascii: "b"): units.append(8)
    case UInt8(ascii: "f"): units.append(12)
    case UInt8(ascii: "n"): units.append(10)
    case UInt8(ascii: "r"): units.append(13)
    case UInt8(ascii: "t"): units.append(9)
    case UInt8(ascii: "u"):
      var code = UInt32(try hexadecimalUnit())
      if (0xd800..<0xdc00).contains(code), next == UInt8(ascii: "\\"), at + 1 < bytes.count,
        bytes[at + 1] == UInt8(ascii: "u")
      {
        at += 2
        let low = UInt32(try hexadecimalUnit())
        guard (0xdc00..<0xe000).contains(low) else { throw fault }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      }
      // A surrogate alone is no character.
      let scalar = Unicode.Scalar(code) ?? "\u{fffd}"
      units.append(contentsOf: String(Character(scalar)).utf8)
    default: throw fault
    }
  }

  private mutating func hexadecimalUnit() throws(JSONValue.Fault) -> UInt16 {
    guard bytes.count - at >= 4,
      let code = UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
    else { throw fault }
    at += 4
    return code
  }
}
