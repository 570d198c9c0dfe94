/// Reads values one after another from borrowed bytes, little-endian unless told otherwise, never past
/// their end.
///
/// A failed read does not advance, so ``offset`` names the place of the missing value.
package struct ByteCursor: ~Escapable {
  package let bytes: RawSpan
  /// Position of the next value, from the start of `bytes`.
  package private(set) var offset: Int
  /// Position of the last value read, for complaints about that value.
  package private(set) var previous: Int
  /// The values are big-endian.
  package var isSwapped: Bool

  /// The bytes end before the value does.
  package struct Truncation: Error, Equatable {
    /// Where the value starts, from the start of the bytes.
    package var offset: Int
    /// How many bytes it needs.
    package var needed: UInt64

    package init(offset: Int, needed: UInt64) {
      self.offset = offset
      self.needed = needed
    }
  }

  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, at offset: Int = 0, isSwapped: Bool = false) {
    self.bytes = bytes
    self.isSwapped = isSwapped
    self.offset = offset
    previous = offset
  }

  package var remaining: Int { Swift.max(0, bytes.byteCount - offset) }

  package mutating func u8() throws(Truncation) -> UInt8 {
    guard let value = bytes.u8(at: offset) else { throw Truncation(offset: offset, needed: 1) }
    advance(1)
    return value
  }

  package mutating func u16() throws(Truncation) -> UInt16 {
    guard let value = bytes.u16(at: offset, swapped: isSwapped) else {
      throw Truncation(offset: offset, needed: 2)
    }
    advance(2)
    return value
  }

  package mutating func u32() throws(Truncation) -> UInt32 {
    guard let value = bytes.u32(at: offset, swapped: isSwapped) else {
      throw Truncation(offset: offset, needed: 4)
    }
    advance(4)
    return value
  }

  package mutating func u64() throws(Truncation) -> UInt64 {
    guard let value = bytes.u64(at: offset, swapped: isSwapped) else {
      throw Truncation(offset: offset, needed: 8)
    }
    advance(8)
    return value
  }

  /// The next `count` bytes, in place.
  @_lifetime(copy self)
  package mutating func slice(_ count: UInt64) throws(Truncation) -> RawSpan {
    guard let length = Int(exactly: count), let slice = bytes.slice(at: offset, count: length)
    else { throw Truncation(offset: offset, needed: count) }
    advance(length)
    return slice
  }

  @_lifetime(self: copy self)
  package mutating func skip(_ count: UInt64) throws(Truncation) {
    guard let length = Int(exactly: count), length <= remaining else {
      throw Truncation(offset: offset, needed: count)
    }
    advance(length)
  }

  /// A text that ends with a NUL, which is read too.
  package mutating func terminatedText() throws(Truncation) -> String {
    var end = offset
    while let byte = bytes.u8(at: end) {
      if byte == 0 {
        let text = bytes.text(at: offset)
        advance(end - offset + 1)
        return text
      }
      end += 1
    }
    throw Truncation(offset: offset, needed: UInt64(remaining) + 1)
  }

  @_lifetime(self: copy self)
  private mutating func advance(_ count: Int) {
    previous = offset
    offset += count
  }
}
