import Ptrauth
import Replay
import Testing
import Trace

/// Guest slots that change where nothing writes them.
struct QuietChangeTests {
  /// Runs with both bits clear, behind each of which the guest's slots are others.
  private func passes(_ count: Int, hcr: UInt64 = 0, putBetween: Bool = false) -> Script {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    for number in 0..<count {
      script.enter(v, hcr: hcr)
      if putBetween {
        script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0010))
        script.probe(.handleExit, v, hcr: hcr)
        script.put(v, hcr: hcr)
        script.add(v, .userspaceExit(reason: 6, errno: 0))
        v.guest = KeySlots(seed: UInt64(number + 1))
        script.load(v, hcr: hcr)
      } else {
        v.guest = KeySlots(seed: UInt64(number + 1))
        script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0010))
        script.probe(.handleExit, v, hcr: hcr)
      }
    }
    script.put(v, hcr: hcr)
    return script
  }

  @Test func nothingWritesThem() {
    let finding = passes(5).finding(.unexplained, .suspected)
    #expect(finding?.count == 5 && finding?.evidence.count == 2)
    // Without puts and loads a return to user mode may be missing, and nothing tells.
    for gone in [KernelFunction.vcpuLoad, .vcpuPut] {
      var script = passes(5)
      script.events.removeAll {
        if case .probe(let hit) = $0.payload { hit.address == Script.address(gone) } else { false }
      }
      let analysis = script.replay().analysis
      #expect(analysis.findings.allSatisfy { $0.rule != .unexplained }, "without \(gone)")
      #expect(!analysis.judged.contains(.unexplained), "without \(gone)")
    }
  }

  /// Put and loaded again inside KVM_RUN, `leaves`: or outside of it.
  private func switches(_ count: Int, leaves: Bool = false, reset: Bool = false) -> Script {
    var script = Script()
    var v = Script.VCPU()
    script.load(v)
    for number in 0..<count {
      script.run(v, hcr: 0)
      script.put(v)
      if leaves { script.add(v, .userspaceExit(reason: 6, errno: 0)) }
      v.guest =
        reset ? KeySlots(repeating: KeySlots.resetValue) : KeySlots(seed: UInt64(number + 1))
      script.load(v)
    }
    script.put(v)
    script.add(v, .userspaceExit(reason: 6, errno: 0))
    return script
  }

  /// On another pCPU it may have run meanwhile, unrecorded: no finding, and the rule is not judged.
  @Test func whileItIsNotLoaded() {
    let changed = switches(5).replay().analysis
    #expect(changed.findings.allSatisfy { !$0.rule.isCorrectness })
    #expect(
      changed.notObservable.contains { $0.rule == .unexplained && $0.reason.contains("slots") })
    for script in [switches(5, leaves: true), switches(5, reset: true)] {
      let analysis = script.replay().analysis
      #expect(analysis.findings.allSatisfy { !$0.rule.isCorrectness })
      #expect(!analysis.notObservable.contains { $0.reason.contains("slots changed") })
    }
  }

  /// A put that writes back what it found at its load; the guest's next trap finds that.
  @Test(arguments: [0, Script.enabled]) func fromAPutToATrap(hcr: UInt64) {
    var script = Script()
    var v = Script.VCPU()
    v.guest = KeySlots(seed: 3)
    script.load(v)
    script.run(v, hcr: 0)
    script.put(v)
    // The probe of this load fetches no slots.
    script.samplesKeys = false
    script.load(v)
    script.samplesKeys = true
    script.run(v, hcr: hcr)
    v.guest = KeySlots(seed: 4)
    script.probe(.ptrauthTrap, v, hcr: hcr)
    script.put(v, hcr: hcr)
    let analysis = script.replay().analysis
    // With the bits set the run wrote them.
    #expect(
      analysis.notObservable.contains { $0.rule == .unexplained && $0.reason.contains("slots") }
        == (hcr == 0))
  }

  /// A run that is missing explains one change; user space writes them between two KVM_RUN; guest exit saves them where
  /// the bits are set.
  @Test func somebodyDoes() {
    let few = passes(2).replay().analysis
    #expect(few.findings.allSatisfy { $0.rule != .unexplained })
    #expect(!few.judged.contains(.unexplained))
    #expect(passes(5, putBetween: true).finding(.unexplained, .suspected) == nil)
    #expect(passes(5, hcr: Script.enabled).finding(.unexplained, .suspected) == nil)
  }

  /// PSCI CPU_ON: vCPUs are reset within KVM_RUN, and no probe was set on kvm_reset_vcpu.
  @Test func aReset() {
    var script = Script()
    for number in 0..<5 {
      var v = Script.VCPU()
      v.pointer += UInt64(number) << 16
      v.tid += Int32(number)
      v.guest = KeySlots(seed: UInt64(number + 1))
      script.load(v)
      for _ in 0..<2 {
        script.probe(.flush, v, hcr: 0)
        script.add(v, .entry(pc: 0x4000_0000))
        script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0010))
        v.guest = KeySlots(repeating: KeySlots.resetValue)
        script.probe(.handleExit, v, hcr: 0)
      }
      script.put(v)
    }
    #expect(script.correctnessRules == [])
  }

  /// The first event of all is the probe behind a kvm_entry.
  @Test func aRecordingThatBeginsInARun() {
    var script = Script()
    var v = Script.VCPU()
    script.probe(.vcpuRun, v, hcr: 0)
    script.samplesKeys = false
    script.probe(.flush, v, hcr: 0)
    script.add(v, .entry(pc: 0x4000_0000))
    script.add(v, .exit(ret: 0, ec: 0, pc: 0x4000_0010))
    script.samplesKeys = true
    v.guest = KeySlots(seed: 3)
    script.probe(.handleExit, v, hcr: 0)
    #expect(script.finding(.unexplained, .suspected) == nil)
  }

  /// Loads that an event filter left out.
  @Test func aPutVCPUIsNotEntered() {
    var script = Script()
    let v = Script.VCPU()
    for number in 0..<40 {
      if number % 7 == 0 || number < 20 { script.load(v) }
      script.run(v, hcr: 0)
      script.put(v)
      script.time += 10_000_000
    }
    let analysis = script.replay().analysis
    #expect(analysis.sequenceBreaks > 0)
    #expect(analysis.verdict == .incomplete)
  }

  /// KVM refuses another set of features without a reset.
  @Test func featuresThatChange() {
    var script = Script()
    var v = Script.VCPU()
    for number in 0..<20 {
      v.features = number < 10 ? Script.neither : Script.both
      script.load(v)
      script.run(v, hcr: 0)
      script.put(v)
    }
    let analysis = script.replay().analysis
    #expect(analysis.findings.allSatisfy { !$0.rule.isCorrectness })
    #expect(!analysis.judged.contains(.switchWithoutFeature))
    #expect(!analysis.judged.contains(.featureDenied))
  }
}
