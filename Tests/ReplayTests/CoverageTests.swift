import Ptrauth
import Replay
import Testing
import Trace

private let on = Script.enabled

/// A rule is judged of the vCPUs in which its fault would have shown, and no other.
struct CoverageTests {
  private static let first = Script.VCPU()
  private static let second: Script.VCPU = {
    var other = Script.VCPU()
    other.pointer += 0x8000
    other.tid += 1
    return other
  }()

  /// The guest uses ptrauth; the second load has bits to clear, and whether it did shows in a run.
  private func use(_ v: Script.VCPU, isSeen: Bool, in script: inout Script) {
    script.load(v)
    script.trap(v)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    script.load(v, hcr: on)
    if isSeen { script.run(v, hcr: 0) }
    script.put(v)
  }

  private func staleEnable(_ script: borrowing Script) throws -> (Analysis, Analysis.Coverage) {
    let analysis = script.replay().analysis
    return (analysis, try #require(analysis.coverage.first { $0.rule == .staleEnable }))
  }

  @Test func aFaultOfTheOtherVCPUWouldNotHaveShown() throws {
    var script = Script()
    use(Self.first, isSeen: true, in: &script)
    use(Self.second, isSeen: false, in: &script)
    let (analysis, covered) = try staleEnable(script)
    #expect(covered.situations == 1)
    #expect(covered.vcpus == Analysis.Coverage.VCPUs(seen: 1, concerned: 2))
    #expect(analysis.judged.contains(.staleEnable))
    #expect(analysis.criticalInPart.map(\.rule).contains(.staleEnable))
  }

  /// Where its fault was found it would have shown.
  @Test func whatWasFoundWasSeen() throws {
    var v = Self.first
    v.host = KeySlots(repeating: 0)
    var script = Script()
    script.kernelUsesPointerAuth = true
    for _ in 0..<3 {
      script.useKeys(v)
    }
    let analysis = script.replay().analysis
    let covered = try #require(analysis.coverage.first { $0.rule == .missedHostSave })
    #expect(covered.situations == 3)
    #expect(covered.vcpus == Analysis.Coverage.VCPUs(seen: 1, concerned: 1))
  }

  @Test func bothWereSeen() throws {
    var script = Script()
    use(Self.first, isSeen: true, in: &script)
    use(Self.second, isSeen: true, in: &script)
    let (analysis, covered) = try staleEnable(script)
    #expect(covered.situations == 2)
    #expect(covered.vcpus == Analysis.Coverage.VCPUs(seen: 2, concerned: 2))
    #expect(!analysis.criticalInPart.map(\.rule).contains(.staleEnable))
  }

  /// A vCPU that never uses ptrauth is no gap.
  @Test func anIdleVCPUIsNotConcerned() throws {
    var script = Script()
    use(Self.first, isSeen: true, in: &script)
    script.load(Self.second)
    script.run(Self.second, hcr: 0)
    let covered = try staleEnable(script).1
    #expect(covered.vcpus == Analysis.Coverage.VCPUs(seen: 1, concerned: 1))
  }

  /// A vCPU that breaks the rule is in the findings, not in the gap.
  @Test func whatWasFoundIsNoGap() throws {
    var script = Script()
    use(Self.first, isSeen: false, in: &script)
    use(Self.second, isSeen: true, in: &script)
    script.load(Self.second, hcr: on)
    script.run(Self.second, hcr: on)
    let (analysis, _) = try staleEnable(script)
    #expect(analysis.findings.contains { $0.rule == .staleEnable })
    #expect(!analysis.criticalInPart.map(\.rule).contains(.staleEnable))
  }
}
