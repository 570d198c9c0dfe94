import Ptrauth
import Replay
import Testing
import Trace

/// HCR_EL2.VM, which every guest has.
private let off: UInt64 = 1
private let on = Script.enabled | off

/// A probe that fetches another field than it is named for accuses no kernel, and is named.
struct FetchCheckTests {
  /// A vCPU that uses ptrauth on two pCPUs in turn.
  private static let working: Script = {
    var script = Script()
    var v = Script.VCPU()
    let pcpus: [(context: UInt64, host: KeySlots)] = [
      (0xffff_0000_7000_0000, KeySlots(repeating: 0)),
      (0xffff_0000_7001_0000, KeySlots(repeating: 0)),
    ]
    for round in 0..<6 {
      v.cpu = Int32(round % 2)
      v.hostContext = pcpus[round % 2].context
      v.host = round < 2 ? pcpus[round % 2].host : KeySlots(seed: 7)
      script.load(v, hcr: round == 0 ? off : on)
      script.trap(v, hcr: off)
      v.host = KeySlots(seed: 7)
      script.run(v, hcr: on)
      script.run(v, hcr: on)
      script.put(v, hcr: on)
    }
    return script
  }()

  /// The script as it comes out if the probes of a function fetch something else.
  private func misfetch(
    _ functions: [KernelFunction], _ change: (inout ProbeFields) -> Void
  ) -> Analysis {
    var script = Self.working
    script.events = script.events.map { event in
      guard case .probe(let hit) = event.payload,
        functions.contains(where: { Script.address($0) == hit.address })
      else { return event }
      var fields = hit.fields
      change(&fields)
      return Event(
        time: event.time, cpu: event.cpu, pid: event.pid, tid: event.tid,
        payload: .probe(ProbeHit(address: hit.address, isReturn: false, fields: fields)))
    }
    return script.replay().analysis
  }

  private func accusesNobody(_ analysis: Analysis, _ function: KernelFunction) {
    #expect(
      !analysis.findings.contains { $0.rule.isCorrectness && $0.level == .proved },
      "\(analysis.findings.map(\.rule.id))")
    #expect(analysis.verdict == .incomplete)
    #expect(analysis.missingParts.contains { $0.contains(function.rawValue) })
  }

  @Test func theRightOffsetsAreBelieved() {
    let analysis = Self.working.replay().analysis
    #expect(analysis.verdict == .clean, "\(analysis.findings.map(\.rule.id))")
    #expect(analysis.missingParts.isEmpty)
  }

  @Test func aShadowThatIsNone() {
    accusesNobody(misfetch([.sync]) { $0.hcr = 0 }, .sync)
    accusesNobody(misfetch([.flush, .vcpuRun]) { $0.hcr = 0 }, .flush)
    accusesNobody(misfetch([.flush, .vcpuRun]) { $0.hcr = Script.enabled }, .flush)
  }

  @Test func contextsThatDisagree() {
    for function in [KernelFunction.vcpuPut, .handleExit, .ptrauthTrap] {
      let analysis = misfetch([function]) { $0.hostContext = 0xffff_0000_7000_0000 }
      accusesNobody(analysis, function)
      #expect(!analysis.judged.contains(.staleHostContext))
    }
  }

  @Test func hostSlotsThatDisagree() {
    for function in [KernelFunction.vcpuPut, .handleExit] {
      for slots in [KeySlots(repeating: 0), KeySlots(seed: 99)] {
        let analysis = misfetch([function]) { $0.hostKeys = slots }
        accusesNobody(analysis, function)
        #expect(!analysis.judged.contains(.missedHostSave))
      }
    }
  }

  /// What all probes see alike is the kernel's.
  @Test func aKernelThatNeverSavesIsNoWrongOffset() {
    let analysis = misfetch(KernelFunction.allCases) {
      $0.hostKeys = KeySlots(repeating: 0)
    }
    #expect(analysis.findings.contains { $0.rule == .missedHostSave && $0.level == .proved })
    #expect(analysis.missingParts.isEmpty)
  }

  /// A vCPU known by its thread alone turns out to be one that was known before: what it did until then, a trap's handler
  /// under way for one, is its own.
  @Test func aThreadsVCPUThatIsNamedLate() {
    var script = Script()
    var v = Script.VCPU()
    script.load(v, hcr: off)
    script.trap(v, hcr: off)
    script.run(v, hcr: on)
    script.put(v, hcr: on)
    v.tid = 102
    script.add(v, .entry(pc: 0x4000_0000))
    script.add(v, .exit(ret: 2, ec: 9, pc: 0x4000_0010))
    script.put(v, hcr: off)
    script.load(v, hcr: off)
    script.run(v, hcr: on)
    #expect(!script.correctnessRules.contains("stale-enable"))
  }
}
