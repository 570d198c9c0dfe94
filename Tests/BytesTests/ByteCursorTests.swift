import Bytes
import Testing

struct ByteCursorTests {
  private static let bytes: [UInt8] = [1, 2, 0, 3, 0, 0, 0, 0x68, 0x69, 0, 9]

  @Test
  func valuesAreLittleEndianAndUnaligned() throws {
    let bytes = Self.bytes
    var cursor = unsafe ByteCursor(bytes.span.bytes)
    #expect(try cursor.u8() == 1)
    #expect(try cursor.u16() == 2)
    #expect(try cursor.u32() == 3)
    #expect(try cursor.terminatedText() == "hi")
    #expect(cursor.previous == 7)
    #expect(cursor.remaining == 1)
  }

  @Test
  func aFailedReadDoesNotAdvance() {
    let bytes = Self.bytes
    var cursor = unsafe ByteCursor(bytes.span.bytes, at: 10)
    var failure: ByteCursor.Truncation?
    do throws(ByteCursor.Truncation) {
      _ = try cursor.u64()
    } catch {
      failure = error
    }
    #expect(failure == ByteCursor.Truncation(offset: 10, needed: 8))
    #expect(cursor.offset == 10)
  }

  @Test
  func offsetsOutsideAreNil() {
    let bytes = Self.bytes
    let span = unsafe bytes.span.bytes
    for offset in [-1, Int.min, 11, Int.max] {
      #expect(span.u8(at: offset) == nil)
      #expect(span.u16(at: offset) == nil)
      #expect(span.u32(at: offset) == nil)
      #expect(span.u64(at: offset) == nil)
      let hasSlice = span.slice(at: offset, count: 1) != nil
      #expect(!hasSlice)
    }
    #expect(span.u64(at: 3) != nil)
    #expect(span.u64(at: 4) == nil)
    let atEnd = span.slice(at: 11, count: 0) != nil
    #expect(atEnd)
    let huge = span.slice(at: UInt64.max, count: UInt64.max) != nil
    #expect(!huge)
  }

  @Test
  func textWithoutItsEndIsRefused() {
    let bytes = Array("abc".utf8)
    var cursor = unsafe ByteCursor(bytes.span.bytes)
    var isRefused = false
    do throws(ByteCursor.Truncation) {
      _ = try cursor.terminatedText()
    } catch {
      isRefused = true
    }
    #expect(isRefused)
    #expect(cursor.offset == 0)
  }
}
