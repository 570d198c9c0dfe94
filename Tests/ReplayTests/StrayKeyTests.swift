import Ptrauth
import Replay
import Testing
import Trace

/// Host slots that hold what no key of the host is.
struct StrayKeyTests {
  private let keys = KeySlots(seed: 1)

  /// A handler's save, which a later run's probe shows.
  private func recording(_ slots: KeySlots, guest: KeySlots? = nil) -> Script {
    var script = Script()
    var v = Script.VCPU()
    v.guest = KeySlots(seed: 9)
    v.host = keys
    for saved in [keys, slots] {
      script.load(v)
      script.trap(v)
      v.host = saved
      if let guest, saved == slots { v.guest = guest }
      script.run(v, hcr: Script.enabled)
      script.put(v, hcr: Script.enabled)
    }
    return script
  }

  @Test func aGuestsReset() {
    let reset = KeySlots(repeating: KeySlots.resetValue)
    let finding = recording(reset).finding(.missedHostRestore, .suspected)
    #expect(finding?.statement.contains("vCPU reset") == true)
    #expect(
      recording(keys.with(3, KeySlots.resetValue)).finding(.missedHostRestore, .suspected) != nil)
    // A host that is a guest itself has that in APIA until a first return to EL0, unless its kernel uses it.
    var apia = recording(keys.with(0, KeySlots.resetValue))
    #expect(apia.finding(.missedHostRestore, .suspected) == nil)
    apia.kernelUsesPointerAuth = true
    #expect(apia.finding(.missedHostRestore, .suspected) != nil)
    // A probe that fetches the guest's slots twice.
    #expect(recording(reset, guest: reset).finding(.missedHostRestore, .suspected) == nil)
  }

  @Test func oneKeyInThePlaceOfAnother() {
    let slots = KeySlots(seed: 2)
    let random: UInt64 = 0x9d1c_0f3e_a547_11b8
    let finding = recording(slots.with(2, random).with(6, random))
      .finding(.missedHostRestore, .suspected)
    #expect(finding?.statement.contains("APIBKEYLO_EL1, APDBKEYLO_EL1") == true)
    // Small numbers and addresses are no keys.
    for value: UInt64 in [7, 0xffff_0000_0123_4560] {
      #expect(
        recording(slots.with(2, value).with(6, value)).finding(.missedHostRestore, .suspected)
          == nil)
    }
  }

  @Test func aSaveOfOtherKeys() {
    #expect(recording(KeySlots(seed: 2)).finding(.missedHostRestore, .suspected) == nil)
  }
}
