/// Orders releases as people do: 6.2 before 6.10, 6.2.0-rc1 before 6.2.0, 6.2.0 before 6.2.0-56, numbers before names.
package enum VersionOrder {
  package static func precedes(_ a: String, _ b: String) -> Bool {
    let (one, other) = (parts(a), parts(b))
    guard one == other else { return one.lexicographicallyPrecedes(other) }
    return Spelling(a) < Spelling(b)
  }

  /// What a release is compared by, part by part.
  private struct Part: Comparable {
    enum Kind: Int { case early, end, number, byte }
    var kind: Kind
    var value: UInt64 = 0

    static func < (a: Part, b: Part) -> Bool {
      (a.kind.rawValue, a.value) < (b.kind.rawValue, b.value)
    }
  }

  private static func parts(_ text: String) -> [Part] {
    var parts: [Part] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.first {
      let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      if rest.starts(with: "-rc".utf8) {
        parts.append(Part(kind: .early))
        rest = rest.dropFirst(3)
      } else if digits.isEmpty {
        parts.append(Part(kind: .byte, value: UInt64(byte)))
        rest = rest.dropFirst()
      } else {
        // Longer than any release has: the bytes decide.
        let number = UInt64(String(decoding: digits, as: UTF8.self)) ?? .max
        parts.append(Part(kind: .number, value: number))
        rest = rest.dropFirst(digits.count)
      }
    }
    return parts + [Part(kind: .end)]
  }
}
