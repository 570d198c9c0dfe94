import Bytes

/// Where a number lies in a raw record; resolved once per event from its format.
package struct NumberField: BitwiseCopyable {
  /// From the start of the raw record, in bytes.
  let offset: UInt16
  /// 1, 2, 4 or 8 bytes; 0: the record does not have the field.
  let size: UInt8
  let isSigned: Bool
  /// Big-endian.
  let isSwapped: Bool

  static let absent = NumberField()

  private init() {
    offset = 0
    size = 0
    isSigned = false
    isSwapped = false
  }

  /// nil when the field is not one number of a size that numbers have.
  package init?(_ field: EventFormat.Field, isSwapped: Bool = false) {
    guard field.isScalar, [1, 2, 4, 8].contains(field.size),
      let offset = UInt16(exactly: field.offset)
    else { return nil }
    self.offset = offset
    size = UInt8(field.size)
    isSigned = field.isSigned
    self.isSwapped = isSwapped
  }

  var isPresent: Bool { size != 0 }

  /// The number, sign-extended to 64 bits if it is signed; nil when the record ends before it.
  @inline(__always)
  package func read(_ raw: RawSpan) -> UInt64? {
    let offset = Int(offset)
    switch size {
    case 8:
      guard let value = raw.u64(at: offset) else { return nil }
      return isSwapped ? value.byteSwapped : value
    case 4:
      guard var value = raw.u32(at: offset) else { return nil }
      if isSwapped { value = value.byteSwapped }
      return isSigned
        ? UInt64(bitPattern: Int64(Int32(bitPattern: value))) : UInt64(value)
    case 2:
      guard var value = raw.u16(at: offset) else { return nil }
      if isSwapped { value = value.byteSwapped }
      return isSigned
        ? UInt64(bitPattern: Int64(Int16(bitPattern: value))) : UInt64(value)
    case 1:
      guard let value = raw.u8(at: offset) else { return nil }
      return isSigned ? UInt64(bitPattern: Int64(Int8(bitPattern: value))) : UInt64(value)
    default: return nil
    }
  }

  @inline(__always)
  package func int32(_ raw: RawSpan) -> Int32? {
    guard let value = read(raw) else { return nil }
    return Int32(truncatingIfNeeded: value)
  }
}
