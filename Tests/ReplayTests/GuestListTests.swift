import Ptrauth
import Replay
import Testing
import Trace

/// The recorder's list of the guest's vCPUs names threads that no probe names.
struct GuestListTests {
  private func replay(_ numbers: [Int32: Int32], probed: Bool) -> [Analysis.VCPU] {
    var script = Script()
    script.probed = probed
    var first = Script.VCPU()
    first.tid = 4001
    var second = first
    second.tid = 4002
    second.pointer += 0x25e0
    second.number = 1
    for v in [first, second] {
      script.load(v)
      script.run(v, hcr: 0)
    }
    var configuration = Replayer.Configuration()
    configuration.generation = .g2
    configuration.recordedEvents = script.recordedEvents
    configuration.vcpuNumbers = numbers
    configuration.resolve = { address in
      KernelFunction.allCases.first { Script.address($0) == address }
    }
    var replayer = Replayer(configuration)
    for event in script.events { replayer.consume(event) }
    return replayer.finish().vcpus
  }

  @Test func threadsHaveTheNumbersOfTheList() {
    let vcpus = replay([4001: 3, 4002: 7], probed: false)
    #expect(vcpus.map(\.identity.number) == [3, 7])
    #expect(vcpus.map(\.identity.kind) == [.guestList, .guestList])
    #expect(vcpus.map(\.tid) == [4001, 4002])
    let unlisted = replay([4001: 3], probed: false)
    #expect(unlisted.map(\.identity.kind) == [.thread, .guestList])
    #expect(unlisted.map(\.identity.number) == [nil, 3])
  }

  @Test func aProbeKnowsBetter() {
    let vcpus = replay([4001: 3, 4002: 7], probed: true)
    #expect(vcpus.map(\.identity.number) == [0, 1])
    #expect(vcpus.map(\.identity.kind) == [.probe, .probe])
  }
}
