import KernelImage
import Ptrauth
import Testing

/// Guest exit that switches keys as it should, and a way past all of it.
@Suite("Audit of ways around the key switch")
struct GuardFaultTests {
  @Test(arguments: ["v7"])
  func aroundTheSwitchAtExit(kernel: String) throws {
    let subject = try ChangedFunction(kernel, "__guest_enter")
    func outcomes(_ changes: [Int: UInt32]) throws -> Set<String> {
      Set(
        try subject.checks([.bits], changes)
          .map { "\($0.outcome.rawValue) \($0.rule?.id ?? "-") \($0.statement)" })
    }
    #expect(try !outcomes([:]).contains { $0.hasPrefix("fail") })
    // add x2, x2, #0; ldr x3, [x1, ...]; and x3, x3, #both; cbz x3, skip_switch_to_host; add x3, x1, ...; mrs
    let read = try subject.first { if case .keyRead = $0 { true } else { false } }
    let guardian = try subject.last(before: read) {
      if case .compareBranch = $0 { true } else { false }
    }
    let skip = Int(Int32(bitPattern: subject.words[guardian] << 8) >> 13)
    // CBZ X0, skip_switch_to_host: no exit by an IRQ switches.
    let place = guardian - 3
    let branch = 0xb400_0000 | UInt32(skip + 3) << 5
    #expect(
      try outcomes([place: branch]).contains {
        $0.hasPrefix("fail missed-host-restore a way through __guest_exit switches nothing")
      })
  }
}
