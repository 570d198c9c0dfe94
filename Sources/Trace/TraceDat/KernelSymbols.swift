import Bytes

/// The copy of /proc/kallsyms in a trace.dat.
enum KernelSymbols {
  /// Run-time address of the kernel's start: of `_text`, or of `_stext` where that is missing. Nil when
  /// the recorder could not see addresses (kptr_restrict).
  static func text(in symbols: RawSpan) -> (symbol: String, address: UInt64)? {
    var second: (symbol: String, address: UInt64)?
    var position = 0
    while position < symbols.byteCount {
      // "ffff800008000000 T _text\n"
      var line: [UInt8] = []
      while let byte = symbols.u8(at: position), byte != UInt8(ascii: "\n") {
        if line.count < 64 { line.append(byte) }
        position += 1
      }
      position += 1
      let end = line.suffix(6)
      guard end.elementsEqual("_stext".utf8) || end.elementsEqual(" _text".utf8) else { continue }
      let words = line.split(separator: UInt8(ascii: " "))
      guard words.count == 3,
        let address = UInt64(String(decoding: words[0], as: UTF8.self), radix: 16), address != 0
      else { continue }
      switch String(decoding: words[2], as: UTF8.self) {
      case "_text": return ("_text", address)
      case "_stext": second = ("_stext", address)
      default: break
      }
    }
    return second
  }

  /// The address of `symbol` in the beginning of a kallsyms; nil when it is not there, or hidden.
  static func address(of symbol: String, in symbols: RawSpan) -> UInt64? {
    for line in symbols.text().split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 3, words[2] == symbol else { continue }
      return UInt64(words[0], radix: 16).flatMap { $0 == 0 ? nil : $0 }
    }
    return nil
  }

  /// The saved command lines: "pid name" lines.
  static func threadNames(in text: RawSpan) -> [Int32: String] {
    var names: [Int32: String] = [:]
    for line in text.text().split(separator: "\n") {
      guard let space = line.firstIndex(of: " "), let thread = Int32(line[..<space]) else {
        continue
      }
      names[thread] = String(line[line.index(after: space)...])
    }
    return names
  }
}
