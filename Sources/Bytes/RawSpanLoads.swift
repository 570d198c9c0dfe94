import Glibc

extension [UInt8] {
  /// The bytes, borrowed.
  package var rawBytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(span.bytes, borrowing: self) }
  }
}

/// Bounds-checked little-endian loads at any alignment. An offset outside of the bytes, negative or
/// too large, gives nil, never a trap: offsets are taken from hostile files.
extension RawSpan {
  @inlinable
  package func u8(at offset: Int) -> UInt8? {
    guard offset >= 0, offset < byteCount else { return nil }
    return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  @inlinable
  package func u16(at offset: Int) -> UInt16? {
    guard offset >= 0, byteCount >= 2, offset <= byteCount &- 2 else { return nil }
    return unsafe UInt16(
      littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
  }

  @inlinable
  package func u32(at offset: Int) -> UInt32? {
    guard offset >= 0, byteCount >= 4, offset <= byteCount &- 4 else { return nil }
    return unsafe UInt32(
      littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
  }

  @inlinable
  package func u64(at offset: Int) -> UInt64? {
    guard offset >= 0, byteCount >= 8, offset <= byteCount &- 8 else { return nil }
    return unsafe UInt64(
      littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
  }

  /// Ten 64-bit numbers one behind another.
  @inlinable
  package func words(at offset: Int) -> InlineArray<10, UInt64>? {
    guard let bytes = slice(at: offset, count: 80) else { return nil }
    var words = InlineArray<10, UInt64>(repeating: 0)
    for index in 0..<10 {
      words[index] = unsafe UInt64(
        littleEndian: bytes.unsafeLoadUnaligned(
          fromUncheckedByteOffset: index &* 8, as: UInt64.self))
    }
    return words
  }

  /// The loads for headers of files that may be of either byte order; `swapped`: big-endian.
  package func u16(at offset: Int, swapped: Bool) -> UInt16? {
    swapped ? u16(at: offset)?.byteSwapped : u16(at: offset)
  }

  package func u32(at offset: Int, swapped: Bool) -> UInt32? {
    swapped ? u32(at: offset)?.byteSwapped : u32(at: offset)
  }

  package func u64(at offset: Int, swapped: Bool) -> UInt64? {
    swapped ? u64(at: offset)?.byteSwapped : u64(at: offset)
  }

  /// `count` bytes from `offset`, nil when they are not all there.
  @inlinable
  @_lifetime(copy self)
  package func slice(at offset: Int, count: Int) -> RawSpan? {
    guard offset >= 0, count >= 0, offset <= byteCount, count <= byteCount &- offset else {
      return nil
    }
    return unsafe extracting(unchecked: offset..<(offset &+ count))
  }

  /// `count` bytes from `offset`, where a file says both as 64-bit numbers.
  @inlinable
  @_lifetime(copy self)
  package func slice(at offset: UInt64, count: UInt64) -> RawSpan? {
    guard let offset = Int(exactly: offset), let count = Int(exactly: count) else { return nil }
    return slice(at: offset, count: count)
  }

  /// The text from `offset` up to the first NUL or the end of the bytes; invalid UTF-8 is repaired.
  package func text(at offset: Int = 0) -> String {
    var scalars: [UInt8] = []
    var position = offset
    while let byte = u8(at: position), byte != 0 {
      scalars.append(byte)
      position &+= 1
    }
    return String(decoding: scalars, as: UTF8.self)
  }

  /// Where the next such byte is, at or after `start` and before `end`; nil: there is none, or `start` is outside of the
  /// bytes.
  package func position(of byte: UInt8, from start: Int, to end: Int = .max) -> Int? {
    let end = min(end, byteCount)
    guard start >= 0, start < end else { return nil }
    return unsafe withUnsafeBytes { bytes in
      guard let base = unsafe bytes.baseAddress,
        let found = unsafe memchr(base + start, Int32(byte), end &- start)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }

  /// As many bytes, and each as there.
  package func isSame(as other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    let whole = byteCount & ~7
    for offset in stride(from: 0, to: whole, by: 8) where u64(at: offset) != other.u64(at: offset) {
      return false
    }
    return (whole..<byteCount).allSatisfy { u8(at: $0) == other.u8(at: $0) }
  }

  /// A copy of the bytes.
  package func copied() -> [UInt8] {
    unsafe withUnsafeBytes { unsafe [UInt8]($0) }
  }
}

extension [UInt8] {
  /// The bytes, to be read in place.
  package func withRawSpan<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(span.bytes)
  }
}
