import Ptrauth
import Replay
import Testing

/// Load intervals in which the guest used pointer authentication, as far as that is known.
struct UseTests {
  private let v = Script.VCPU()

  private func schedule(_ script: Script) throws -> Schedule {
    try #require(script.replay().analysis.vcpus.first).schedule
  }

  @Test func aTrapIsAUse() throws {
    var script = Script()
    script.useKeys(v)
    let schedule = try schedule(script)
    #expect(schedule.used == 1 && schedule.maybeUsed == 0)
  }

  /// Bits that no trap of the interval set say nothing of what the guest did.
  @Test func bitsThatWereLeftAreNone() throws {
    var script = Script()
    script.useKeys(v)
    script.load(v, hcr: Script.enabled)
    script.run(v, hcr: Script.enabled)
    script.put(v, hcr: Script.enabled)
    let schedule = try schedule(script)
    #expect(schedule.used == 1 && schedule.maybeUsed == 1)
  }

  /// Where every load sets both bits, a run that may not have entered the guest may have.
  @Test func aRunThatMayNotHaveBegun() throws {
    var script = Script()
    script.generation = .g6
    script.load(v)
    script.run(v, hcr: Script.enabled, ret: 0, from: 0x4000_0010, to: 0x4000_0010)
    script.put(v, hcr: Script.enabled)
    let schedule = try schedule(script)
    #expect(schedule.used == 0 && schedule.maybeUsed == 1)
  }
}
