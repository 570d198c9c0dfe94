/// Replaces key values by others: equal ones by equal ones, different ones by different ones, and without
/// the run's secret nobody finds the way back.
///
/// A permutation of 64-bit numbers: four rounds of a Feistel network whose round function is SipHash-2-4
/// (Aumasson and Bernstein, "SipHash: a fast short-input PRF") under a random key of this run. Zero and the
/// value that a vCPU reset leaves are facts that rules look for, and no secrets: they stay.
///
///     left (32 bits)   right (32 bits)
///       │                 │
///       ├──────⊕◀─ SipHash(round, right)
///       └───────╲ ╱───────┘          four times
package struct KeyMasking {
  private let key: (UInt64, UInt64)

  /// A secret of the system's random generator, which is forgotten with the value.
  package init() {
    var generator = SystemRandomNumberGenerator()
    self.init(key: (generator.next(), generator.next()))
  }

  /// For tests.
  init(key: (UInt64, UInt64)) { self.key = key }

  package static func isKept(_ value: UInt64) -> Bool { value == 0 || value == KeySlots.resetValue }

  package func masked(_ value: UInt64) -> UInt64 {
    guard !Self.isKept(value) else { return value }
    var result = permuted(value)
    // Around the two that stay: still a permutation of all others.
    while Self.isKept(result) { result = permuted(result) }
    return result
  }

  private func permuted(_ value: UInt64) -> UInt64 {
    var left = value >> 32
    var right = value & 0xffff_ffff
    for round in 0..<4 as Range<UInt64> {
      let mixed = left ^ (SipHash.hash(round << 32 | right, key: key) & 0xffff_ffff)
      left = right
      right = mixed
    }
    return left << 32 | right
  }
}

/// SipHash-2-4 of one 64-bit number.
package enum SipHash {
  package static func hash(_ message: UInt64, key: (UInt64, UInt64)) -> UInt64 {
    var v0 = key.0 ^ 0x736f_6d65_7073_6575
    var v1 = key.1 ^ 0x646f_7261_6e64_6f6d
    var v2 = key.0 ^ 0x6c79_6765_6e65_7261
    var v3 = key.1 ^ 0x7465_6462_7974_6573
    func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
      word << count | word >> (64 - count)
    }
    func round() {
      v0 &+= v1
      v2 &+= v3
      v1 = rotated(v1, 13) ^ v0
      v3 = rotated(v3, 16) ^ v2
      v0 = rotated(v0, 32)
      v2 &+= v1
      v0 &+= v3
      v1 = rotated(v1, 17) ^ v2
      v3 = rotated(v3, 21) ^ v0
      v2 = rotated(v2, 32)
    }
    // The message, then its length in the last word's upper byte.
    for word in [message, 8 << 56] {
      v3 ^= word
      round()
      round()
      v0 ^= word
    }
    v2 ^= 0xff
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
  }
}
