/// Orders releases as people and packages do: 6.2 before 6.10, 6.2.0-rc1 before 6.2.0, 6.2.0 before 6.2.0-56, and
/// 5.14.0-162.el9 before 5.14.0-162.6.1.el9_1, as rpm(8) has it. Of texts that begin otherwise, numbers before names.
package enum VersionOrder {
  package static func precedes(_ a: String, _ b: String) -> Bool {
    let (one, other) = (parts(a), parts(b))
    if let (p, q) = zip(one, other).first(where: { $0 != $1 }) { return p < q }
    return Spelling(a) < Spelling(b)
  }

  /// What a release is compared by, part by part.
  private struct Part: Comparable {
    enum Kind: Int { case early, end, separator, beginning, word, number, name }
    var kind: Kind
    var value: UInt64 = 0
    var letters: ArraySlice<UInt8> = []

    static func < (a: Part, b: Part) -> Bool {
      guard a.kind == b.kind else { return a.kind.rawValue < b.kind.rawValue }
      return a.value == b.value
        ? a.letters.lexicographicallyPrecedes(b.letters) : a.value < b.value
    }
  }

  private static func parts(_ text: String) -> [Part] {
    var parts: [Part] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.first {
      let digits = rest.prefix(while: isDigit)
      let letters = rest.prefix(while: isLetter)
      if isCandidate(rest) {
        parts.append(Part(kind: .early))
        rest = rest.dropFirst(3)
      } else if !digits.isEmpty {
        // Longer than any release has: the bytes decide.
        let number = UInt64(String(decoding: digits, as: UTF8.self)) ?? .max
        parts.append(Part(kind: parts.isEmpty ? .beginning : .number, value: number))
        rest = rest.dropFirst(digits.count)
      } else if !letters.isEmpty {
        parts.append(Part(kind: parts.isEmpty ? .name : .word, letters: letters))
        rest = rest.dropFirst(letters.count)
      } else {
        // What comes before what it stands behind: Debian's and rpm's 6.2~rc4.
        let isEarly = byte == UInt8(ascii: "~")
        parts.append(Part(kind: isEarly ? .early : .separator, value: isEarly ? 0 : UInt64(byte)))
        rest = rest.dropFirst()
      }
    }
    return parts + [Part(kind: .end)]
  }

  /// "-rc" and a number, and nothing more: not of 6.9.0-rcar-gen3.
  private static func isCandidate(_ rest: ArraySlice<UInt8>) -> Bool {
    guard rest.starts(with: "-rc".utf8) else { return false }
    let behind = rest.dropFirst(3)
    let digits = behind.prefix(while: isDigit)
    return !digits.isEmpty && !(behind.dropFirst(digits.count).first.map(isLetter) ?? false)
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
}
