import KernelImage
import Testing

/// Files that are small and ask for much: what a section table, symbols and types say can be shared by all of them.
@Suite("Small files that ask for much")
struct HostileSectionTests {
  private func open(_ writer: ELFWriter) throws -> KernelImage {
    let scratch = try Scratch()
    try write(writer.bytes, to: scratch.path + "/vmlinux")
    return try KernelImage(path: scratch.path + "/vmlinux")
  }

  /// Why it is refused.
  private func refusal(_ writer: ELFWriter) throws -> KernelImageError.Code? {
    do { _ = try open(writer) } catch let error as KernelImageError { return error.code }
    return nil
  }

  private func refusal(_ ask: () throws(KernelImageError) -> Void) -> KernelImageError.Code? {
    do { try ask() } catch { return error.code }
    return nil
  }

  @Test func namesOfSectionsAreCut() throws {
    var writer = ELFWriter()
    writer.add(String(repeating: "n", count: 100_000), [])
    writer.add(".short", [])
    let names = try open(writer).elf.sections.map(\.name)
    #expect(names.allSatisfy { $0.utf8.count <= 256 })
    #expect(names.contains(".short") && names.contains(".text"))
  }

  /// Reports show them, some a line each.
  @Test func namesAreOneLine() throws {
    var writer = ELFWriter()
    writer.addSymbols([("handle_exit.\u{1b}[2J\n::error::\u{202e}", 0x10000, 256)])
    let name = "handle_exit.\\x1b[2J\\n::error::\\u{202e}"
    let image = try open(writer)
    #expect(image.function(at: 0x10000)?.name == name)
    #expect(image.symbols?.functions(called: "handle_exit").map(\.name) == [name])
    #expect(SourcePath.relative("/build/arch/x\r\n::y.c", to: "/build") == "arch/x\\r\\n::y.c")
  }

  @Test func sectionsDoNotShareTheirBytes() throws {
    var writer = ELFWriter(nops: 4096)
    #expect(try refusal(writer) == nil)
    for _ in 0..<3 { writer.sections.append(.init(name: ".text", flags: 6, sharesBytesOf: 1)) }
    #expect(try refusal(writer) == .damaged)
  }

  /// In a file of a kilobyte, 64 MiB.
  @Test(arguments: [1, 2, 3])
  func whatIsPackedIsNotUnpackedToAnySize(sections: Int) throws {
    var writer = ELFWriter()
    for _ in 0..<sections {
      let head =
        number(UInt32(1)) + number(UInt32(0)) + number(UInt64(30 << 20)) + number(UInt64(1))
      writer.add(".debug_info", head, flags: 0x800)
    }
    #expect(try refusal(writer) == (sections > 2 ? .notUnpacked : nil))
    var old = ELFWriter()
    let size = UInt64(sections) * 30 << 20
    old.add(".zdebug_info", Array("ZLIB".utf8) + number(size.byteSwapped))
    #expect(try refusal(old) == (sections > 2 ? .notUnpacked : nil))
  }

  @Test func functionsThatAllLieOnTopOfOneAnotherAreNoSymbols() throws {
    func image(_ count: Int) throws -> KernelImage {
      var writer = ELFWriter()
      writer.addSymbols(Array(repeating: ("handle_exit", 0x10000, 256), count: count))
      return try open(writer)
    }
    let few = try image(16)
    #expect(few.hasSymbols && refusal(few.requireSymbols) == nil)
    let many = try image(100)
    #expect(!many.hasSymbols && refusal(many.requireSymbols) == .damaged)
  }

  /// 60,000 of no size lie between the place and the function that has it.
  @Test func aFunctionIsFoundBehindAnyNumberOfOthers() throws {
    var writer = ELFWriter(nops: 4096)
    let empty = Array(repeating: ("empty", UInt64(0x10004), UInt64(0)), count: 60_000)
    writer.addSymbols(
      [("outer", 0x10000, 16384), ("inner", 0x10040, 128), ("innermost", 0x10080, 16)] + empty)
    let image = try open(writer)
    let time = processorTime {
      for _ in 0..<50_000 { _ = image.function(at: 0x10010) }
    }
    #expect(time < 5)
    let found = [
      0x10000, 0x1003f, 0x10040, 0x1007f, 0x10080, 0x1008f, 0x10090, 0x100bf, 0x100c0, 0x13fff,
    ]
    .map { image.function(at: $0)?.name }
    #expect(
      found == [
        "outer", "outer", "inner", "inner", "innermost", "innermost", "inner", "inner", "outer",
        "outer",
      ])
    #expect(image.function(at: 0x14000) == nil && image.function(at: 0xffff) == nil)
  }

  /// Functions may overlap 16 times; the sum of their sizes, and each end, is a number all the same.
  @Test func nothingReachesBeyondTheLastAddress() throws {
    var writer = ELFWriter()
    writer.addSymbols([
      ("__guest_enter", UInt64.max - 3, 8), ("__guest_exit", UInt64.max - 2, 8),
      ("handle_exit", 0x10000, 16), ("__start___jump_table", 1 << 63, 0),
      ("__stop___jump_table", 1 << 63 + 16, 0),
    ])
    // Bytes that are not there, up to where the table would be.
    writer.sections.append(
      .init(name: ".data", flags: 2, address: 0x20000, claimedSize: 1 << 63 + 4096))
    let image = try open(writer)
    #expect(image.addresses(of: "__guest_enter").isEmpty)
    #expect(image.addresses(of: "handle_exit") == [0x10000])
    #expect(GuestSwitchCode(of: image) == nil)
    #expect(StaticBranches(image).targets.isEmpty)
    var huge = ELFWriter()
    huge.addSymbols([("handle_exit", 0x10000, .max)])
    #expect(try refusal(open(huge).requireSymbols) == .damaged)
    writer.sections.append(
      .init(name: ".text", flags: 6, address: UInt64.max - 0xffff - 15, bytes: number(UInt64(0), 2))
    )
    #expect(try refusal(writer) == .damaged)
  }

  @Test func offsetsAreThoseOfAStruct() throws {
    let member = number(UInt32(10)) + number(UInt32(1)) + number(UInt32(0xffff_fff8))
    let type = number(UInt32(1)) + number(UInt32(4 << 24 | 1)) + number(UInt32(8)) + member
    var writer = ELFWriter()
    writer.add(".BTF", Self.btf(type, [0] + Array("kvm_vcpu".utf8) + [0] + Array("m".utf8) + [0]))
    let image = try open(writer)
    #expect(try image.offset(of: "kvm_vcpu.m.m.m") == 3 * 0x1fff_ffff)
    #expect(
      refusal { () throws(KernelImageError) in
        _ = try image.offset(of: "kvm_vcpu.m.m.m.m.m")
      } == .damagedTypes)
  }

  /// Each holds the next one twice: 2^28 ways down.
  @Test func aStructIsSearchedThroughOnce() throws {
    let names = (1...28).map { "s\($0)" } + ["kvm_vcpu"]
    var dwarf = DWARFWriter()
    dwarf.add("s0", [])
    for (number, name) in names.enumerated() {
      let inner: (String?, String) = (nil, "s\(number)")
      dwarf.add(name, [inner, inner, ("own", "s0")])
    }
    var writer = ELFWriter()
    writer.add(".debug_info", dwarf.info)
    writer.add(".debug_abbrev", DWARFWriter.abbreviations + [0])
    var types: [UInt8] = []
    var texts: [UInt8] = [0]
    for (id, name) in (["s0"] + names).enumerated() {
      types +=
        number(UInt32(texts.count)) + number(UInt32(4 << 24 | (id > 0 ? 2 : 0))) + number(UInt32(8))
      if id > 0 {
        for _ in 0..<2 { types += number(UInt32(0)) + number(UInt32(id)) + number(UInt32(0)) }
      }
      texts += Array(name.utf8) + [0]
    }
    writer.add(".BTF", Self.btf(types, texts))
    let image = try open(writer)
    let time = processorTime {
      for format in TypeFormat.allCases {
        #expect(
          refusal { () throws(KernelImageError) in
            _ = try image.offset(of: "kvm_vcpu.absent", from: format)
          } == .noSuchMember)
      }
    }
    #expect(time < 5)
    #expect(try image.offset(of: "kvm_vcpu.own", from: .dwarf) == 0)
  }

  /// 65,535 names of a megabyte each, which is one.
  @Test func namesOfMembersAreNotCopied() throws {
    let long = [UInt8](repeating: 0x78, count: 1 << 20) + [0]
    var dwarf = DWARFWriter()
    dwarf.add("kvm_vcpu", membersOfOneName: 65_535)
    var writer = ELFWriter()
    writer.add(".debug_info", dwarf.info)
    writer.add(".debug_abbrev", DWARFWriter.abbreviations + [0])
    writer.add(".debug_str", long)
    let texts = [0] + Array("kvm_vcpu".utf8) + [0] + long
    let member = number(UInt32(10)) + number(UInt32(1)) + number(UInt32(0))
    let type = number(UInt32(1)) + number(UInt32(4 << 24 | 65_535)) + number(UInt32(8))
    writer.add(".BTF", Self.btf(type + Array(repeatElement(member, count: 65_535).joined()), texts))
    let image = try open(writer)
    let time = processorTime {
      for format in TypeFormat.allCases {
        #expect(
          refusal { () throws(KernelImageError) in
            _ = try image.offset(of: "kvm_vcpu.absent", from: format)
          } == .noSuchMember)
      }
    }
    #expect(time < 5)
  }

  /// What libdw opens it opens wherever it lies: a FIFO would keep it for ever.
  @Test(arguments: [".gnu_debugaltlink", ".debug_sup"])
  func noOtherFileIsOpened(section: String) throws {
    var dwarf = DWARFWriter()
    dwarf.add("kvm_vcpu", [])
    var writer = ELFWriter()
    writer.add(".debug_info", dwarf.info)
    writer.add(".debug_abbrev", DWARFWriter.abbreviations + [0])
    #expect(try open(writer).size(of: "kvm_vcpu") == 64)
    writer.add(section, Array("/dev/null".utf8) + number(UInt8(0), 21))
    let image = try open(writer)
    #expect(!image.hasDWARF)
    #expect(refusal(image.requireTypes) == .damagedTypes)
    #expect(
      refusal { () throws(KernelImageError) in _ = try image.unitAgreement() } == .damagedTypes)
  }

  /// Units that share one table: libdw reads it for each.
  @Test(arguments: [(100, true), (4000, false)])
  func abbreviationsAreCounted(units: Int, isRead: Bool) throws {
    let filler = DWARFWriter.abbreviation(0x7f, tag: 0x34, [])
    let table = Array(repeatElement(filler, count: 2000).joined()) + DWARFWriter.abbreviations + [0]
    let unit = DWARFWriter.unit([6] + number(UInt64(0)) + number(UInt32(0)))
    var writer = ELFWriter()
    writer.add(".debug_info", Array(repeatElement(unit, count: units).joined()))
    writer.add(".debug_abbrev", table)
    let image = try open(writer)
    #expect(image.hasDWARF == isRead)
    if !isRead { #expect(refusal(image.requireTypes) == .damagedTypes) }
  }

  /// DW_AT_declaration, DW_FORM_flag_present.
  @Test(arguments: [(64, true), (65, false)])
  func attributesThatTakeNoSpaceAreCounted(attributes: Int, isRead: Bool) throws {
    let many = Array(repeatElement([UInt8](arrayLiteral: 0x3c, 0x19), count: attributes).joined())
    var writer = ELFWriter()
    var dwarf = DWARFWriter()
    dwarf.add("kvm_vcpu", [])
    writer.add(".debug_info", dwarf.info)
    writer.add(
      ".debug_abbrev",
      DWARFWriter.abbreviations + DWARFWriter.abbreviation(7, tag: 0x34, many) + [0])
    #expect(try open(writer).hasDWARF == isRead)
  }

  /// 30,000 units with one list of 50,000 ranges, none of which has the address.
  @Test func rangesAreLookedAtOnce() throws {
    let unit = DWARFWriter.unit([6] + number(UInt64(0)) + number(UInt32(0)))
    let range = number(UInt64(0x90_0000)) + number(UInt64(0x90_0010))
    var writer = ELFWriter()
    writer.add(".debug_info", Array(repeatElement(unit, count: 30_000).joined()))
    writer.add(".debug_abbrev", DWARFWriter.abbreviations + [0])
    writer.add(
      ".debug_ranges", Array(repeatElement(range, count: 50_000).joined()) + number(UInt64(0), 2))
    let image = try open(writer)
    let time = processorTime {
      #expect(image.sourceLocation(of: 0x10000) == nil)
    }
    #expect(time < 5)
  }

  static func btf(_ types: [UInt8], _ texts: [UInt8]) -> [UInt8] {
    let size = UInt32(types.count)
    return number(UInt16(0xeb9f)) + [1, 0] + number(UInt32(24)) + number(UInt32(0)) + number(size)
      + number(size) + number(UInt32(texts.count)) + types + texts
  }
}
