import Testing
import Trace

struct KeyMaskingTests {
  /// The reference implementation's vectors: key 00 01 ... 0f, message 00 01 ... 07.
  @Test func sipHash() {
    let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
    #expect(SipHash.hash(0x0706_0504_0302_0100, key: key) == 0x93f5_f579_9a93_2462)
  }

  @Test func isAPermutationThatKeepsTwoValues() {
    let masking = KeyMasking()
    #expect(masking.masked(0) == 0)
    #expect(masking.masked(KeySlots.resetValue) == KeySlots.resetValue)
    var seen: Set<UInt64> = []
    for value in 1...20_000 as ClosedRange<UInt64> {
      let masked = masking.masked(value)
      #expect(masked != value && masked == masking.masked(value))
      seen.insert(masked)
    }
    #expect(seen.count == 20_000)
    #expect(KeyMasking().masked(1) != masking.masked(1), "another run, another secret")
  }
}
