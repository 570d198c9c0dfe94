import KernelImage
import Ptrauth
import Testing

/// Where EL2's code goes: a branch out of what it maps, and a panic that keeps the guest's keys.
@Suite("Audit of EL2's paths")
struct HypervisorPathTests {
  private func failures(_ image: KernelImage, _ changes: [UInt64: UInt32]) throws -> [String] {
    image.replacedInstructions = changes
    defer { image.replacedInstructions = [:] }
    return try image.audit(asking: [.confinement, .panic]).failures
      .map { "\($0.question.rawValue) \($0.rule?.id ?? "-") \($0.place)" }
  }

  /// B or BL from one place to another.
  private func branch(_ from: UInt64, _ to: UInt64, isCall: Bool) -> UInt32 {
    (isCall ? 0x9400_0000 : 0x1400_0000)
      | UInt32(truncatingIfNeeded: Int64(bitPattern: to &- from) / 4) & 0x3ff_ffff
  }

  @Test(
    "a call out of the hyp text is named, with caller and callee", arguments: RecordedKernel.present
  )
  func calls(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    #expect(try failures(image, [:]).isEmpty)
    let name = "__kvm_nvhe_hyp_panic"
    let place = try #require(image.addresses(of: name).first) + 8
    let target = try #require(image.addresses(of: "handle_exit").first)
    #expect(
      try failures(image, [place: branch(place, target, isCall: true)])
        == ["S13 call-out-of-hyp \(name)"])
  }

  @Test("a panic that goes past __guest_exit, in either copy", arguments: RecordedKernel.present)
  func panics(kernel: RecordedKernel) throws {
    let image = try kernel.open()
    for (prefix, name) in [("", "VHE"), ("__kvm_nvhe_", "nVHE")] {
      let start = try #require(image.addresses(of: prefix + "__guest_exit_panic").first)
      let panic = try #require(image.addresses(of: prefix + "hyp_panic").first)
      let words = try #require(image.code(at: start, count: 12))
      // CBNZ X0 in front of the way through __guest_exit.
      let index = try #require(words.firstIndex { $0 & 0xff00_001f == 0xb500_0000 })
      let place = start + UInt64(index) * 4
      #expect(
        try failures(image, [place: branch(place, panic, isCall: false)])
          == ["S14 missed-host-restore __guest_exit_panic (\(name))"])
      // Turned around: CBZ.
      #expect(
        try failures(image, [place: words[index] & ~0x0100_0000])
          == ["S14 missed-host-restore __guest_exit_panic (\(name))"])
    }
  }
}
