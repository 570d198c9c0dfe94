import Bytes

/// Where a probe was hit, as its line says.
struct ProbePlace {
  /// 0: the text has a symbol.
  private(set) var address: UInt64 = 0
  /// Where the symbol starts and ends in the line; empty: the text has an address.
  private(set) var symbolStart = 0
  private(set) var symbolEnd = 0
  /// Bytes from the symbol.
  private(set) var symbolOffset: UInt64 = 0
  /// Of the symbol, in bytes, if it says so.
  private(set) var symbolSize: UInt32 = 0
  private(set) var isReturn = false
  /// Behind it, in the line.
  private(set) var end = 0

  private static let arrow: TextPattern = " <- "
  private static let addressField: TextPattern = "__probe_ip="
  private static let functionField: TextPattern = "__probe_func="
  private static let returnField: TextPattern = "__probe_ret_ip="

  /// nil when the values are no probe's. `isKernelText`: ftrace itself printed it, which has the
  /// return address first and the function behind (kernel/trace/trace_kprobe.c,
  /// print_kretprobe_event); its `print fmt` has them the other way round.
  init?(_ line: RawSpan, from values: Int, isKernelText: Bool) {
    var position = values
    guard line.u8(at: position) == Character8.openParenthesis else {
      guard takeField(line, values) else { return nil }
      return
    }
    position &+= 1
    guard takePlace(line, &position) else { return nil }
    if line.starts(with: Self.arrow, at: position) {
      let first = self
      isReturn = true
      position &+= Self.arrow.bytes.count
      guard takePlace(line, &position) else { return nil }
      // Of two symbols, the one without an offset is the function.
      let isSecond =
        first.hasOffset ? !hasOffset || isKernelText : hasOffset ? false : isKernelText
      if !isSecond {
        self = first
        isReturn = true
      }
    }
    // A probed place is always "symbol+offset[/size]": other events have words in parentheses too.
    guard line.u8(at: position) == Character8.closeParenthesis,
      position &+ 1 == line.byteCount || line.isBlank(position &+ 1),
      isReturn || hasOffset || symbolEnd == symbolStart
    else { return nil }
    end = position &+ 1
  }

  private var hasOffset = false

  /// An address of at least 8 digits, or "symbol+0x0/0x254 [module] <ffff800008038760>".
  private mutating func takePlace(_ line: RawSpan, _ position: inout Int) -> Bool {
    address = 0
    symbolStart = 0
    symbolEnd = 0
    symbolOffset = 0
    symbolSize = 0
    hasOffset = false
    var digits = position
    if let value = line.hexadecimal(&digits), digits &- position >= 8,
      line.isBlank(digits) || line.u8(at: digits) == Character8.closeParenthesis
    {
      address = value
      position = digits
      return true
    }
    symbolStart = position
    while let byte = line.u8(at: position),
      Character8.isWord(byte) || byte == Character8.dot || byte == 36
    {
      position &+= 1
    }
    symbolEnd = position
    guard symbolEnd > symbolStart else { return false }
    if line.u8(at: position) == Character8.plus {
      position &+= 1
      let start = position
      guard let offset = line.number(&position) else { return false }
      if line.u8(at: position) == Character8.slash {
        position &+= 1
        guard let size = line.number(&position) else { return false }
        symbolSize = UInt32(exactly: size) ?? 0
      } else if line.u8(at: start &+ 1) != UInt8(ascii: "x") {
        // Some tools leave the size out; the offset is in hexadecimal all the same.
        return false
      }
      symbolOffset = offset
      hasOffset = true
    }
    if line.u8(at: position &+ 1) == Character8.openBracket {
      while let byte = line.u8(at: position), byte != Character8.closeBracket { position &+= 1 }
      position &+= 1
    }
    if line.u8(at: position &+ 1) == Character8.less {
      // Trace option sym-addr. "<-" of a return is no address.
      var digits = position &+ 2
      if let value = line.hexadecimal(&digits), line.u8(at: digits) == Character8.greater {
        address = value
        position = digits &+ 1
      }
    }
    return true
  }

  /// "__probe_ip=ffff800008038760" or "__probe_func=... __probe_ret_ip=...", in hexadecimal without
  /// 0x from libtraceevent, with it from the kernel.
  private mutating func takeField(_ line: RawSpan, _ values: Int) -> Bool {
    let name =
      line.starts(with: Self.addressField, at: values) ? Self.addressField : Self.functionField
    guard line.starts(with: name, at: values) else { return false }
    isReturn = line.starts(with: Self.functionField, at: values)
    guard let value = line.hexadecimal(behind: name, from: values) else { return false }
    address = value
    end = line.wordEnd(from: values)
    var next = end
    line.skipBlanks(&next)
    if line.starts(with: Self.returnField, at: next) { end = line.wordEnd(from: next) }
    return true
  }
}
