import Ptrauth
import Replay
import Testing
import Trace

/// A counter is exact where each event that it counts would have been seen.
struct CounterBoundsTests {
  let v = Script.VCPU()

  private func counters(_ script: Script) throws -> Counters {
    try #require(script.replay().analysis.vcpus.first).counters
  }

  /// Functions that were never hit may have had no probe.
  @Test func whatWasNotProbed() throws {
    var script = Script()
    script.useKeys(v)
    #expect(try counters(script).bounds.lower == [.keySwitches, .undefs, .resets])
    script.probe(.injectUndefined, v)
    script.probe(.resetVCPU, v)
    #expect(try counters(script).bounds.lower == [.keySwitches])
    let (put, sync) = (Script.address(.vcpuPut), Script.address(.handleExit))
    script.events.removeAll {
      if case .probe(let hit) = $0.payload { hit.address == put } else { false }
    }
    #expect(try counters(script).bounds.lower == [.keySwitches, .puts])
    #expect(try counters(script).puts == 0)
    script.events.removeAll {
      if case .probe(let hit) = $0.payload { hit.address == sync } else { false }
    }
    #expect(try counters(script).bounds.lower == [.keySwitches, .puts])
  }

  /// Only ESR_EL2 says that a trapped access was one to a key register.
  @Test(arguments: [false, true]) func keyRegisters(isFetched: Bool) throws {
    var script = Script()
    script.useKeys(v)
    var configuration = script.configuration
    configuration.recordedEvents.removeAll { $0.name == "kvm_handle_sys_reg" }
    if isFetched {
      configuration.recordedEvents.append(
        RecordedEvent(system: "ptrauth", name: "exit", isProbe: true, fields: ["vcpu", "esr_el2"]))
    }
    var replayer = Replayer(configuration)
    for event in script.events { replayer.consume(event) }
    let bounds = try #require(replayer.finish().vcpus.first).counters.bounds
    #expect(bounds.lower.contains(.keyRegister) == !isFetched)
  }

  /// A kernel that saves at each load saves at those too that no event shows.
  @Test(arguments: [false, true]) func savesAtLoad(loadsAreSeen: Bool) throws {
    var script = Script()
    script.generation = .g3s
    script.probesLoads = loadsAreSeen
    for _ in 0..<3 {
      if loadsAreSeen { script.load(v) }
      script.run(v, hcr: Script.enabled)
      script.put(v, hcr: Script.enabled)
    }
    let bounds = try counters(script).bounds
    #expect(bounds.lower.contains(.loads) == !loadsAreSeen)
    #expect(bounds.lower.contains(.hostSaves) == !loadsAreSeen)
  }

  /// A trap at EL2 shows as bits that differ between a run's ends: both have to be known.
  @Test(arguments: [false, true]) func trapsAtHyp(allAreKnown: Bool) throws {
    var script = Script()
    script.generation = .g4
    script.load(v)
    script.run(v, hcr: 0, after: Script.enabled)
    if !allAreKnown {
      script.samplesShadow = false
      script.run(v, hcr: 0)
      script.samplesShadow = true
    }
    let found = try counters(script)
    #expect(found.hiddenTraps == 1 && found.hostSaves == 1)
    #expect(found.bounds.lower.isSuperset(of: [.hidden, .hostSaves]) == !allAreKnown)
  }

  /// A probe of kvm_arch_vcpu_load that fetches no pCPU is one all the same: its loads are not implied beside.
  @Test func loadsWithoutTheirCPU() throws {
    var script = Script()
    for _ in 0..<4 {
      script.load(v)
      script.run(v, hcr: 0)
      script.switchTasks(v, to: 0)
      script.put(v)
      script.add(v, .schedSwitch(prev: 0, prevState: 0, next: v.tid))
    }
    script.load(v)
    script.run(v, hcr: 0)
    let expected = try counters(script)
    script.probesLoads = false
    let found = try counters(script)
    #expect(found.loads == 5 && found.puts == 4 && found.bounds == expected.bounds)
    #expect(found.loads == expected.loads && found.puts == expected.puts)
    #expect(script.replay().analysis.sequenceBreaks == 0)
  }
}
