import KernelImage
import Testing

/// Deterministic random numbers (SplitMix64): a failure repeats.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

@Suite("Files that are no kernel, or a damaged one")
struct HostileFileTests {
  private func code(_ path: String) -> KernelImageError.Code? {
    do throws(KernelImageError) {
      _ = try KernelImage(path: path)
      return nil
    } catch {
      #expect(error.description.hasPrefix(path + " "))
      #expect(error.detail.count > 10)
      return error.code
    }
  }

  private func code(of bytes: [UInt8]) throws -> KernelImageError.Code? {
    let scratch = try Scratch()
    try write(bytes, to: scratch.path + "/f")
    return code(scratch.path + "/f")
  }

  /// Asks everything there is to ask; all that matters is that it comes back.
  private func exercise(_ path: String) {
    guard let image = try? KernelImage(path: path) else { return }
    for name in ["kvm_arch_vcpu_load", "__guest_enter", "nothing"] {
      for address in image.addresses(of: name) + [0, 0x21_0000, .max] {
        _ = image.function(at: address)
        _ = image.label(at: address)
        _ = image.sourceLocation(of: address)
        _ = image.code(at: address, count: 16)
      }
    }
    _ = try? image.offset(of: "kvm_vcpu.arch.ctxt.sys_regs[APIAKEYLO_EL1]")
    _ = try? image.offset(of: "kvm_vcpu_arch.third")
    _ = try? image.size(of: "kvm_vcpu")
    _ = image.section(named: ".debug_info")
    _ = image.generationEvidence()
    _ = image.kernelUsesPointerAuth
  }

  @Test("each kind of wrong file has its own error")
  func kinds() throws {
    #expect(try code(of: []) == .empty)
    #expect(try code(of: Array("# a text file\nwith lines\n".utf8)) == .notELF)
    #expect(try code(of: [0x7f, 0x45]) == .notELF)
    #expect(try code(of: [0x7f, 0x45, 0x4c, 0x46]) == .damaged)
    #expect(try code(of: [0x1f, 0x8b, 8, 0]) == .notUnpacked)
    #expect(try code(of: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2, 3]) == .notUnpacked)
    #expect(try code(of: [0x28, 0xb5, 0x2f, 0xfd, 1]) == .notUnpacked)
    #expect(
      try code(of: [UInt8](repeating: 0, count: 56) + [0x41, 0x52, 0x4d, 0x64, 0, 0, 0, 0])
        == .notELF)
    #expect(code("/tmp") == .notARegularFile)
    #expect(code("/dev/null") == .notARegularFile)
    #expect(code("/no/such/file") == .unreadable)
    #expect(code("/proc/self/exe") == .wrongMachine)
  }

  @Test("an object file, a stripped and a DWARF-less image say what they lack")
  func lacking() throws {
    let scratch = try Scratch()
    let path = try SyntheticKernel.build(SyntheticKernel.Marks(), in: scratch.path)
    #expect(code(scratch.path + "/kernel.o") == .notLinked)

    try run("llvm-objcopy", ["--strip-debug", path, path + ".nodebug"])
    let plain = try KernelImage(path: path + ".nodebug")
    #expect(plain.hasSymbols && !plain.hasDWARF)
    #expect(throws: KernelImageError.self) { try plain.requireTypes() }
    #expect(!plain.hasMember("kvm_vcpu.arch"))
    #expect(plain.generationEvidence().marks.contains { $0.outcome == .undecidable })
    do throws(KernelImageError) {
      _ = try plain.offset(of: "kvm_vcpu.arch")
    } catch {
      #expect(error.code == .noTypes)
    }

    try run("llvm-objcopy", ["--strip-all", path, path + ".stripped"])
    let stripped = try KernelImage(path: path + ".stripped")
    #expect(!stripped.hasSymbols && stripped.function(at: 0x21_0000) == nil)
    #expect(stripped.generationEvidence().generation == nil)
    #expect(throws: KernelImageError.self) { try stripped.requireSymbols() }
    #expect(stripped.buildID == plain.buildID && stripped.buildID != nil)
  }

  @Test("a file cut anywhere is refused or read, never fatal")
  func cut() throws {
    let scratch = try Scratch()
    let path = try SyntheticKernel.build(SyntheticKernel.releases[2].marks, in: scratch.path)
    let bytes = try readBytes(path)
    let cutPath = scratch.path + "/cut"
    for length in stride(from: 0, to: bytes.count, by: 37) {
      try write(Array(bytes[..<length]), to: cutPath)
      exercise(cutPath)
      // The section table of a linked file is at its end.
      #expect(code(cutPath) != nil)
    }
  }

  @Test("flipped bits are survived", arguments: [1, 2, 3] as [UInt64])
  func flips(seed: UInt64) throws {
    let scratch = try Scratch()
    let path = try SyntheticKernel.build(SyntheticKernel.releases[2].marks, in: scratch.path)
    let bytes = try readBytes(path)
    let tableStart = (40..<48).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    var random = SplitMix64(state: seed)
    for round in 0..<600 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let range =
          switch round % 3 {
          case 0: 0..<64
          case 1: tableStart..<bytes.count
          default: 0..<bytes.count
          }
        damaged[Int.random(in: range, using: &random)] ^=
          1 << UInt8.random(in: 0...7, using: &random)
      }
      try write(damaged, to: scratch.path + "/damaged")
      exercise(scratch.path + "/damaged")
    }
  }

  @Test("compressed streams cut or damaged are refused")
  func damagedCompression() throws {
    let scratch = try Scratch()
    let path = try SyntheticKernel.build(SyntheticKernel.Marks(), in: scratch.path)
    try run("xz", ["-k", path])
    try run("zstd", ["-q", path])
    for packed in [path + ".xz", path + ".zst"] {
      #expect(code(packed) == nil)
      let bytes = try readBytes(packed)
      #expect(try code(of: Array(bytes.dropLast(20))) == .notUnpacked)
      var damaged = bytes
      for index in bytes.count / 2..<bytes.count / 2 + 8 { damaged[index] ^= 0xff }
      #expect(try code(of: damaged) == .notUnpacked)
      #expect(try code(of: bytes + bytes) == nil, "two streams in a row are one file")
    }
  }
}
