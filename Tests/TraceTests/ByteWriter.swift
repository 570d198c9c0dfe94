/// Little-endian bytes, one value after another; big-endian while ``isBigEndian`` says so.
struct ByteWriter {
  @TaskLocal static var isBigEndian = false

  private(set) var bytes: [UInt8] = []

  mutating func add<T: FixedWidthInteger>(_ value: T) {
    var rest = Self.isBigEndian ? value.byteSwapped : value
    for _ in 0..<(T.bitWidth / 8) {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      rest = T.bitWidth > 8 ? rest >> 8 : 0
    }
  }

  mutating func add(_ more: [UInt8]) { bytes += more }
  mutating func text(_ text: String) { bytes += Array(text.utf8) + [0] }

  mutating func pad(to multiple: Int) {
    while bytes.count % multiple != 0 { bytes.append(0) }
  }

  mutating func set(_ value: UInt64, at offset: Int) { set(word: value, at: offset) }

  mutating func set(word value: some FixedWidthInteger, at offset: Int) {
    var writer = ByteWriter()
    writer.add(value)
    bytes.replaceSubrange(offset..<offset + writer.bytes.count, with: writer.bytes)
  }
}

/// A zstd stream of raw (stored) blocks, RFC 8878 section 3.1.1: cut it wherever you like.
enum StoredZstd {
  /// - Parameter isEnded: the frame ends with the bytes.
  static func stream(_ bytes: [UInt8], block: Int = 1000, isEnded: Bool = false) -> [UInt8] {
    var stream: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50]
    var offset = 0
    while offset < bytes.count {
      let size = min(block, bytes.count - offset)
      let isLast = isEnded && offset + size == bytes.count
      let header = UInt32(size) << 3 | (isLast ? 1 : 0)
      stream += [UInt8(header & 255), UInt8(header >> 8 & 255), UInt8(header >> 16)]
      stream += bytes[offset..<(offset + size)]
      offset += size
    }
    return stream
  }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
