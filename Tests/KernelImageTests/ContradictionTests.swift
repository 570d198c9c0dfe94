import KernelImage
import Ptrauth
import Testing

/// Kernels whose headers, symbols or types cannot all be right: what is judged by them is neither kept nor broken.
@Suite("Files that contradict themselves")
struct ContradictionTests {
  /// What a change of a symbol does; nil: the file is audited.
  private func audit(
    _ kernel: RecordedKernel = .v7, _ change: (inout ChangedFile) throws -> Void
  ) throws -> KernelImageError.Code? {
    var file = try ChangedFile(kernel)
    try change(&file)
    let image = try file.open()
    return try refusal { _ = try image.audit() }
  }

  @Test(
    arguments: [
      "__guest_enter", "__kvm_nvhe___guest_enter", "kvm_arm_vcpu_ptrauth_trap",
      "kvm_arch_vcpu_load",
    ], [0, 4, 64] as [UInt64])
  func aFunctionHasAllOfItsCode(name: String, size: UInt64) throws {
    let code = try audit { file in try file.put(size, at: file.symbol(name) + 16) }
    #expect(code == .damaged)
  }

  @Test(arguments: ["__guest_enter", "kvm_hyp_handle_ptrauth"])
  func norDoesAGoodKernelFail(name: String) throws {
    let code = try audit(.debian61) { file in try file.put(UInt64(0), at: file.symbol(name) + 16) }
    #expect(code == .damaged)
  }

  @Test(arguments: ["__guest_enter", "kvm_arm_vcpu_ptrauth_trap", "__kvm_nvhe___guest_enter"])
  func aFunctionIsNoLabel(name: String) throws {
    let code = try audit { file in try file.put(UInt8(0x10), at: file.symbol(name) + 4) }
    #expect(code == .damaged)
  }

  @Test func passesAreNotCountedInHalfAFunction() throws {
    for (size, isCounted) in [(748, true), (0, false), (64, false)] as [(UInt64, Bool)] {
      var file = try ChangedFile(.v7)
      try file.put(size, at: file.symbol("__guest_enter") + 16)
      #expect(try (GuestSwitchCode(of: file.open()) != nil) == isCounted)
    }
  }

  @Test func functionsBeginAtInstructions() throws {
    let code = try audit { file in
      let place = try file.symbol("kvm_arm_vcpu_ptrauth_trap") + 8
      file.put(file.value(UInt64.self, at: place) + 2, at: place)
    }
    #expect(code == .damaged)
  }

  /// An alias is as long as the other, and may be.
  @Test func functionsDoNotShareTheirBytes() throws {
    for (distance, size, refused) in [
      (0, 748, nil), (0, 4, .damaged), (16, 4, .damaged), (744, 8, .damaged),
    ] as [(UInt64, UInt64, KernelImageError.Code?)] {
      let code = try audit { file in
        let enter = try file.value(UInt64.self, at: file.symbol("__guest_enter") + 8)
        let other = try file.symbol("start_kernel")
        file.put(enter + distance, at: other + 8)
        file.put(size, at: other + 16)
      }
      #expect(code == refused)
    }
  }

  @Test(arguments: ["__guest_enter", "__guest_exit", "kvm_arch_vcpu_load"])
  func aNameIsDefinedOnce(name: String) throws {
    let code = try audit { file in
      try file.put(
        file.value(UInt32.self, at: file.symbol(name)), at: file.symbol("start_kernel"))
    }
    #expect(code == .damaged)
  }

  /// A static function of another file is another function, in front of it or behind.
  @Test func aNameMayBeThatOfAStaticFunctionToo() throws {
    var file = try ChangedFile(.v7)
    let name = "kvm_arch_vcpu_load"
    let load = try file.value(UInt64.self, at: file.symbol(name) + 8)
    let image = try RecordedKernel.v7.open()
    let audit = try image.audit()
    let before = (1...100).lazy.compactMap { image.function(at: load - 4 * $0) }.first
    let other = try #require(before)
    let entry = try file.symbol("start_kernel")
    try file.put(file.value(UInt32.self, at: file.symbol(name)), at: entry)
    file.put(UInt8(0x02), at: entry + 4)
    file.put(other.address, at: entry + 8)
    file.put(other.size, at: entry + 16)
    let changed = try file.open()
    #expect(changed.addresses(of: name) == [other.address, load])
    #expect(try changed.audit().checks.map(\.outcome) == audit.checks.map(\.outcome))
  }

  @Test func aFunctionBeginsWithCode() throws {
    let scratch = try Scratch()
    let kernel = try #require(CodeKernel.all.first { $0.testDescription == "6.12" })
    var file = try ChangedFile(plain: kernel.unpacked(in: scratch))
    // The first of its page: in front of it lies nothing.
    let entry = try file.symbol("__kvm_nvhe___host_exit") + 8
    file.put(file.value(UInt64.self, at: entry) - 4, at: entry)
    let image = try file.open()
    #expect(try refusal { _ = try image.audit() } == .damaged)
  }

  @Test func aSectionIsWhereItsSegmentIs() throws {
    for (distance, refused) in [(0, nil), (4, .damaged)] as [(UInt64, KernelImageError.Code?)] {
      var file = try ChangedFile(.v7)
      let place = try file.header(of: ".text") + 24
      file.put(file.value(UInt64.self, at: place) + distance, at: place)
      #expect(try refusal { _ = try file.open() } == refused)
    }
    // Bytes that the segment does not load: memory it has, in the file it ends.
    var file = try ChangedFile(.v7)
    let segments = Int(file.value(UInt64.self, at: 32))
    let count = Int(file.value(UInt16.self, at: 56))
    let loaded = try #require(
      (0..<count).map { segments + 56 * $0 }.first { file.value(UInt32.self, at: $0) == 1 })
    file.put(UInt64(0x20000), at: loaded + 32)
    #expect(try refusal { _ = try file.open() } == .damaged)
  }

  @Test func oneSectionIsAtAnAddress() throws {
    for (address, refused) in [(0x10100, nil), (0x100fc, .damaged)]
      as [(UInt64, KernelImageError.Code?)]
    {
      var writer = ELFWriter()
      writer.sections.append(
        .init(name: ".other", flags: 2, address: address, bytes: number(UInt32(0), 16)))
      let scratch = try Scratch()
      try write(writer.bytes, to: scratch.path + "/vmlinux")
      #expect(
        try refusal { _ = try KernelImage(path: scratch.path + "/vmlinux") } == refused)
    }
  }

  @Test func alternativesAreWhereTheKernelFindsThem() throws {
    var file = try ChangedFile(.v7)
    let place = try file.header(of: ".altinstructions") + 32
    file.put(file.value(UInt64.self, at: place) / 24 * 12, at: place)
    let image = try file.open()
    #expect(try refusal { try image.requireSymbols() } == .damaged)
    #expect(try refusal { _ = try image.audit() } == .damaged)
  }

  /// BTF of struct kvm_vcpu, and DWARF of some struct whose member is at its start.
  private func types(bit: UInt32, dwarf name: String, units: Int = 1) throws -> KernelImage {
    let member = number(UInt32(10)) + number(UInt32(1)) + number(bit)
    let type = number(UInt32(1)) + number(UInt32(4 << 24 | 1)) + number(UInt32(64)) + member
    let texts = [0] + Array("kvm_vcpu".utf8) + [0] + Array("m".utf8) + [0]
    var dwarf = DWARFWriter()
    dwarf.add(name, [("m", name)])
    let other = DWARFWriter.unit([6] + number(UInt64(0)) + number(UInt32(0)))
    var writer = ELFWriter()
    writer.add(".BTF", HostileSectionTests.btf(type, texts))
    writer.add(
      ".debug_info", dwarf.info + Array(repeatElement(other, count: units - 1).joined()))
    writer.add(".debug_abbrev", DWARFWriter.abbreviations + [0])
    let scratch = try Scratch()
    try write(writer.bytes, to: scratch.path + "/vmlinux")
    return try KernelImage(path: scratch.path + "/vmlinux")
  }

  @Test func aMemberIsAtOnePlace() throws {
    let good = try types(bit: 0, dwarf: "kvm_vcpu")
    #expect(try good.offset(of: "kvm_vcpu.m") == 0 && good.size(of: "kvm_vcpu") == 64)
    let bad = try types(bit: 64, dwarf: "kvm_vcpu")
    #expect(try bad.offset(of: "kvm_vcpu.m", from: .btf) == 8)
    #expect(try bad.offset(of: "kvm_vcpu.m", from: .dwarf) == 0)
    #expect(try refusal { _ = try bad.offset(of: "kvm_vcpu.m") } == .damagedTypes)
    #expect(try refusal { _ = try bad.size(of: "kvm_vcpu") } == .damagedTypes)
    // What only one of them knows is no contradiction.
    #expect(try types(bit: 64, dwarf: "other").offset(of: "kvm_vcpu.m") == 8)
  }

  @Test func unitsThatSayNothingDoNotAgree() throws {
    for (name, refused) in [("kvm_vcpu", nil), ("other", .noTypes)]
      as [(String, KernelImageError.Code?)]
    {
      let image = try types(bit: 0, dwarf: name)
      #expect(try image.offset(of: "kvm_vcpu.m") == 0)
      #expect(try refusal { _ = try image.unitAgreement() } == refused)
    }
  }

  @Test(arguments: [(100_000, true), (200_000, false)])
  func unitsAreCounted(units: Int, isRead: Bool) throws {
    #expect(try types(bit: 0, dwarf: "kvm_vcpu", units: units).hasDWARF == isRead)
  }

  /// Each is small beside the file; together they are more than there is memory for.
  @Test func allThatIsPackedIsCounted() throws {
    for (count, refused) in [(2, nil), (3, .notUnpacked)] as [(Int, KernelImageError.Code?)] {
      var writer = ELFWriter(nops: 1 << 20)
      for _ in 0..<count {
        let head = number(UInt32(1)) + number(UInt32(0)) + number(UInt64(300 << 20))
        writer.add(".debug_info", head + number(UInt64(1)), flags: 0x800)
      }
      let scratch = try Scratch()
      try write(writer.bytes, to: scratch.path + "/vmlinux")
      #expect(
        try refusal { _ = try KernelImage(path: scratch.path + "/vmlinux") } == refused)
    }
  }

  @Test func typesHaveOneAnswer() throws {
    var file = try ChangedFile(.v7)
    let place = try file.offset(ofMember: "host_cpu_context")
    file.put(file.value(UInt32.self, at: place) + 64, at: place)
    let image = try file.open()
    #expect(
      try image.offset(of: "kvm_vcpu.arch.host_cpu_context", from: .btf)
        == image.offset(of: "kvm_vcpu.arch.host_cpu_context", from: .dwarf) + 8)
    #expect(try refusal { _ = try image.audit() } == .damagedTypes)
    #expect(try refusal { try image.requireTypes() } == .damagedTypes)
    #expect(
      try refusal { _ = try image.offset(of: "kvm_vcpu.arch.host_cpu_context") } == .damagedTypes)
  }
}
