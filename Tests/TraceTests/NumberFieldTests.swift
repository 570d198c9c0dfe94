import Testing
import Trace

struct NumberFieldTests {
  private static let bytes: [UInt8] = [0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]

  @Test(arguments: [
    (1, true, UInt64.max - 1), (1, false, 0xfe), (2, true, UInt64.max - 1), (2, false, 0xfffe),
    (4, true, UInt64.max - 1), (4, false, 0xffff_fffe), (8, true, 0x7fff_ffff_ffff_fffe),
    (8, false, 0x7fff_ffff_ffff_fffe),
  ])
  func numbersAreReadBySizeAndSign(size: Int, isSigned: Bool, expected: UInt64) {
    let field = NumberField(
      EventFormat.Field(name: "n", offset: 1, size: size, isSigned: isSigned, isScalar: true))
    let bytes = Self.bytes
    #expect(unsafe field?.read(bytes.span.bytes) == expected)
    let short = Array(bytes.prefix(size))
    #expect(unsafe field?.read(short.span.bytes) == nil)
  }

  @Test(arguments: [(0, 3, true), (-1, 4, true), (70000, 4, true), (0, 4, false)])
  func whatIsNoNumberIsNone(offset: Int, size: Int, isScalar: Bool) {
    let field = EventFormat.Field(
      name: "n", offset: offset, size: size, isSigned: false, isScalar: isScalar)
    #expect(NumberField(field) == nil)
  }
}
