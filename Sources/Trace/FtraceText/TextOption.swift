import Bytes

/// Trace options under which ftrace prints what cannot be read without the kernel's event ids.
enum TextOption: String {
  case raw, hex, bin, verbose

  /// What a line that is no event looks like; nil: like none of them.
  init?(_ line: RawSpan) {
    var position = 0
    // "28285 0 1348041207983 type: 442"
    if line.decimal(&position) != nil, line.step(&position), line.decimal(&position) != nil,
      line.step(&position), line.decimal(&position) != nil, line.u8(at: position) == 32
    {
      self = .raw
      return
    }
    // "00006e7d 00000000 00000139dd8470af type: 442"
    position = 0
    if Self.hexadecimal(line, &position, digits: 8), Self.hexadecimal(line, &position, digits: 8),
      Self.hexadecimal(line, &position, digits: 16)
    {
      self = .hex
      return
    }
    if Self.isVerbose(line) {
      self = .verbose
      return
    }
    for index in 0..<min(line.byteCount, 256) {
      guard let byte = line.u8(at: index), byte < 9 || (byte > 13 && byte < 32) else { continue }
      self = .bin
      return
    }
    return nil
  }

  private static func hexadecimal(_ line: RawSpan, _ position: inout Int, digits: Int) -> Bool {
    let start = position
    guard line.hexadecimal(&position) != nil, position - start == digits else { return false }
    return line.step(&position) || position == line.byteCount
  }

  private static let unit: TextPattern = "ms (+"

  /// With latency-format: "    bash 28285 0 0 00000000 00000001 [00139dd8] 1348.041ms (+0.002ms): ".
  private static func isVerbose(_ line: RawSpan) -> Bool {
    guard let behind = line.position(behind: unit, from: 0) else { return false }
    var position = behind &- unit.bytes.count &- 1
    while let byte = line.u8(at: position), Character8.isDigit(byte) || byte == Character8.dot {
      position &-= 1
    }
    return line.isBlank(position) && line.u8(at: position &- 1) == Character8.closeBracket
  }
}

extension RawSpan {
  /// Over one blank.
  fileprivate func step(_ position: inout Int) -> Bool {
    guard u8(at: position) == Character8.space else { return false }
    position += 1
    return true
  }
}
