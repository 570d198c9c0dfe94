import Testing

/// Deterministic random numbers (SplitMix64): a failure repeats.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// A way to break a finished perf.data that knows how it is built.
struct Mutation: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let change: @Sendable (PerfDataParts, inout SplitMix) -> [UInt8]

  static let all = [
    Mutation(testDescription: "a size of a record") { file, random in
      let record = file.record(&random)
      let size = UInt16(record.count)
      let sizes = [0, 1, 7, 8, 9, size - 8, size &+ 8, 0x7fff, 0xfff8, 0xffff]
      return file.with(sizes.randomElement(using: &random) ?? 0, at: record.lowerBound + 6)
    },
    Mutation(testDescription: "a number of the header") { file, random in
      file.with(extreme(file, &random), at: 8 + 8 * Int.random(in: 0..<12, using: &random))
    },
    Mutation(testDescription: "a place or a size of a feature") { file, random in
      file.with(
        extreme(file, &random),
        at: file.data.upperBound + 8 * Int.random(in: 0..<2 * file.featureCount, using: &random))
    },
    Mutation(testDescription: "a number in an attribute") { file, random in
      file.with(
        extreme(file, &random),
        at: file.attributes.lowerBound
          + 8 * Int.random(in: 0..<file.attributes.count / 8, using: &random))
    },
    Mutation(testDescription: "an id, a time or another number of a record") { file, random in
      let record = file.record(&random)
      let place = record.lowerBound + 8 + 4 * Int.random(in: 0..<record.count / 4, using: &random)
      return Bool.random(using: &random)
        ? file.with(extreme(file, &random), at: place)
        : file.with(UInt32(truncatingIfNeeded: random.next() >> 13), at: place)
    },
    Mutation(testDescription: "two records change places") { file, random in
      let pair = [file.record(&random), file.record(&random)].sorted {
        $0.lowerBound < $1.lowerBound
      }
      guard !pair[0].overlaps(pair[1]) else { return file.bytes }
      let bytes = file.bytes
      return Array(
        bytes[..<pair[0].lowerBound] + bytes[pair[1]]
          + bytes[pair[0].upperBound..<pair[1].lowerBound] + bytes[pair[0]]
          + bytes[pair[1].upperBound...])
    },
    Mutation(testDescription: "records and rounds twice") { file, random in
      // The features move, and their places do not: what reads them has to see that.
      let start = file.record(&random).lowerBound
      let copy = file.bytes[start..<file.data.upperBound]
      var bytes = file.bytes
      bytes.insert(contentsOf: copy, at: file.data.upperBound)
      return PerfDataParts.with(UInt64(file.data.count + copy.count), at: 48, in: bytes)
    },
    Mutation(testDescription: "cut off") { file, random in
      Array(file.bytes[..<Int.random(in: 0..<file.bytes.count, using: &random)])
    },
    Mutation(testDescription: "the end of another file, or of itself") { file, random in
      let cut = Int.random(in: 0..<file.bytes.count, using: &random)
      let other = Int.random(in: 0..<file.bytes.count, using: &random)
      return Array(file.bytes[..<cut] + file.bytes[other...])
    },
    Mutation(testDescription: "a format that lies") { file, random in
      let words = ["offset:", "size:", "ID: ", "field:"]
      let word = Array((words.randomElement(using: &random) ?? "").utf8)
      let places = file.places(of: word)
      guard let place = places.randomElement(using: &random) else { return file.bytes }
      var bytes = file.bytes
      let lie =
        ["0", "7", "9", "-", "x", "\n", "[", "99999999"].randomElement(using: &random) ?? ""
      for (index, byte) in lie.utf8.enumerated() where place + word.count + index < bytes.count {
        bytes[place + word.count + index] = byte
      }
      return bytes
    },
  ]

  private static func extreme(_ file: PerfDataParts, _ random: inout SplitMix) -> UInt64 {
    let size = UInt64(file.bytes.count)
    let numbers = [
      0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 1 << 62, 1 << 63, .max, .max - 7,
      size, size - 1, size + 1, size / 2, random.next(), random.next() % (2 * size),
    ]
    return numbers.randomElement(using: &random) ?? 0
  }
}

/// A finished perf.data, and where its parts lie.
struct PerfDataParts: Sendable {
  let bytes: [UInt8]
  let attributes: Range<Int>
  let data: Range<Int>
  let records: [Range<Int>]
  let featureCount: Int

  init(_ bytes: [UInt8]) {
    func number(_ place: Int, _ width: Int) -> Int {
      (0..<width).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
    }
    self.bytes = bytes
    attributes = number(24, 8)..<number(24, 8) + number(32, 8)
    data = number(40, 8)..<number(40, 8) + number(48, 8)
    featureCount = bytes[72..<104].reduce(0) { $0 + $1.nonzeroBitCount }
    var records: [Range<Int>] = []
    var place = data.lowerBound
    while place + 8 <= data.upperBound, number(place + 6, 2) >= 8 {
      records.append(place..<place + number(place + 6, 2))
      place += number(place + 6, 2)
    }
    self.records = records
  }

  func record(_ random: inout SplitMix) -> Range<Int> {
    records.randomElement(using: &random) ?? data
  }

  func with(_ number: some FixedWidthInteger, at place: Int) -> [UInt8] {
    Self.with(number, at: place, in: bytes)
  }

  static func with(
    _ number: some FixedWidthInteger, at place: Int, in bytes: [UInt8]
  ) -> [UInt8] {
    var bytes = bytes
    for index in 0..<number.bitWidth / 8 where place + index < bytes.count {
      bytes[place + index] = UInt8(truncatingIfNeeded: number >> (8 * index))
    }
    return bytes
  }

  func places(of word: [UInt8]) -> [Int] {
    guard let first = word.first else { return [] }
    return bytes.indices.filter {
      bytes[$0] == first && bytes[$0...].starts(with: word)
    }
  }
}
