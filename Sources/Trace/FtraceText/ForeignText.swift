import Bytes

/// Texts that people take for recordings.
enum ForeignText {
  case utf16
  case chromeJSON(hasText: Bool)
  case report

  var code: TraceError.Code {
    switch self {
    case .utf16: .isUTF16
    case .chromeJSON(let hasText): .isChromeJSON(hasText: hasText)
    case .report: .isReport
    }
  }

  private static let chromeEvents: TextPattern = "\"traceEvents\""
  private static let systemEvents: TextPattern = "\"systemTraceEvents\""
  private static let schema: TextPattern = "\"ptrauth-trace/"

  /// - Parameter start: the first bytes of a file; nil if it begins like none of these.
  init?(_ start: [UInt8]) {
    if start.starts(with: [0xff, 0xfe]) || start.starts(with: [0xfe, 0xff])
      || Self.alternates(start)
    {
      self = .utf16
      return
    }
    guard let first = start.first(where: { $0 > 32 }),
      first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    else { return nil }
    let bytes = start.rawBytes
    if bytes.position(behind: Self.schema, from: 0) != nil {
      self = .report
    } else if bytes.position(behind: Self.systemEvents, from: 0) != nil {
      self = .chromeJSON(hasText: true)
    } else if bytes.position(behind: Self.chromeEvents, from: 0) != nil || Self.isEventArray(bytes)
    {
      self = .chromeJSON(hasText: false)
    } else {
      return nil
    }
  }

  private static let phase: TextPattern = "\"ph\""

  /// The short form: an array of events, each with a phase.
  private static func isEventArray(_ bytes: RawSpan) -> Bool {
    bytes.position(behind: phase, from: 0) != nil
  }

  /// ASCII with a zero before or behind each character.
  private static func alternates(_ start: [UInt8]) -> Bool {
    guard start.count >= 16 else { return false }
    let head = start.prefix(64)
    return [0, 1].contains { parity in
      head.indices.allSatisfy { ($0 % 2 == parity) == (head[$0] == 0) }
    }
  }
}
