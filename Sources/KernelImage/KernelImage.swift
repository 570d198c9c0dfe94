/// A vmlinux: symbols, struct layouts, enumerators, source lines and code of one arm64 kernel.
///
/// All addresses are link-time addresses: the caller undoes the KASLR slide. Symbols and DWARF are read
/// when first asked for. Not thread-safe, because libdw's handles are not.
public final class KernelImage {
  public let path: String
  /// NT_GNU_BUILD_ID, what perf records as the identity of the kernel.
  public var buildID: [UInt8]? { elf.buildID }

  package let elf: ElfImage
  private lazy var symbolTable = Result { () throws(KernelImageError) in
    let symbols = try SymbolTable(elf)
    try symbols.requireAlternatives(of: elf)
    return symbols
  }
  private lazy var debugInformation = Result { () throws(KernelImageError) in
    try DebugInformation(elf)
  }
  package lazy var symbols: SymbolTable? = try? symbolTable.get()
  lazy var information: DebugInformation? = {
    let information = try? debugInformation.get()
    if let load = addresses(of: "kvm_arch_vcpu_load").first {
      information?.home = information?.unit(covering: load)
    }
    return information
  }()
  private(set) lazy var btf: BTFTypes? = elf.section(named: ".BTF").flatMap { section in
    elf.withBytes(of: section) { unsafe BTFTypes($0) }.flatMap(\.self)
  }
  /// Every question about types so far, whether or not there was an answer.
  public private(set) var typeQuestions: Set<TypeQuestion> = []
  private lazy var evidence: GenerationEvidence = GenerationEvidence(of: self)
  package lazy var alternatives = Alternatives(self)
  lazy var staticBranches = StaticBranches(self)
  private lazy var keyAccessesOfFile = findKeyAccesses()
  /// Instructions in place of the file's, by address: what the audit says of a kernel that has them.
  package var replacedInstructions: [UInt64: UInt32] = [:]
  /// Where functions begin that were looked at, and what the symbols say that cannot be.
  var examined: Set<UInt64> = []
  var codeDoubt: KernelImageError?
  /// What BTF and DWARF were both asked, and where they contradict each other.
  var compared: Set<TypeQuestion> = []
  var typeDoubt: KernelImageError?
  private lazy var pointerAuth: Bool? = KernelPointerAuth.isUsed(by: self)

  /// Opens a vmlinux, plain or packed with xz or zstd (told by its first bytes).
  public init(path: String) throws(KernelImageError) {
    self.path = path
    elf = try ElfImage(path: path)
  }

  /// Takes struct offsets from another file, in front of the image's own BTF; before anything is asked.
  ///
  /// Throws `.wrongMachine` if that is not the BTF of an arm64 kernel with KVM, `.otherKernel` if the image's own
  /// types, or its code, say otherwise.
  public func adopt(_ file: BTFFile) throws(KernelImageError) {
    // struct kvm_cpu_context is arm64's alone.
    guard file.types.definition(of: "struct kvm_cpu_context") != nil else {
      throw KernelImageError(
        .wrongMachine, file.path,
        "has no struct kvm_cpu_context: it is not the BTF of an arm64 kernel with KVM; copy "
          + "/sys/kernel/btf/vmlinux of the machine that runs it")
    }
    let asked = typeQuestions
    hasForeignTypes = try agreements(with: file) == 0
    typeQuestions = asked
    btf = file.types
    compared = []
    if hasForeignTypes { try requireCode(toAgreeWith: file) }
  }

  /// Types come from a file that nothing in the image confirms.
  public private(set) var hasForeignTypes = false

  public var hasSymbols: Bool { symbols != nil }
  public var hasDWARF: Bool { information != nil }
  public var hasBTF: Bool { btf != nil }

  /// Throws `.noSymbols` if the image is stripped, `.damaged` if its symbols are none.
  public func requireSymbols() throws(KernelImageError) { _ = try symbolTable.get() }

  /// Throws `.noCode` if code is missing: what a file does not hold is not what its kernel does not do.
  public func requireCode() throws(KernelImageError) {
    guard !elf.hasWholeCode else { return }
    throw KernelImageError(
      .noCode, path,
      "has not the code of all its sections: it is a file of debug information (objcopy --only-keep-debug, "
        + "eu-strip -f); give the whole vmlinux")
  }

  /// Throws `.noTypes` if struct layouts are unknown, `.damagedTypes` if BTF and DWARF were found to contradict.
  public func requireTypes() throws(KernelImageError) {
    if let typeDoubt { throw typeDoubt }
    if typeFormats.isEmpty { throw noTypes }
  }

  /// What describes the types, the one that is asked first in front: BTF is read in a fraction of the
  /// time, and holds one definition of each struct, made from all of DWARF's.
  public var typeFormats: [TypeFormat] {
    TypeFormat.allCases.filter { offsets(from: $0) != nil }
  }

  /// Addresses of all symbols of that name, ascending: static functions may have the same name.
  public func addresses(of symbol: String) -> [UInt64] { symbols?.addresses(of: symbol) ?? [] }

  /// The FUNC symbol that covers `address`. Labels inside of it split nothing; of aliases a global
  /// one is preferred to a weak, a weak to a local one, then the first in byte order.
  public func function(at address: UInt64) -> KernelFunctionSymbol? {
    symbols?.function(at: address)
  }

  /// The nearest label at or below `address` inside the same function (`__guest_exit` in
  /// `__guest_enter`); nil in front of the first one.
  public func label(at address: UInt64) -> String? { symbols?.label(at: address) }

  /// Bytes from the start of a type to one of its members:
  /// `kvm_vcpu.arch.ctxt.sys_regs[APIAKEYLO_EL1]`.
  /// - Parameter format: where from; nil: BTF, and what it lacks from DWARF.
  public func offset(
    of path: String, from format: TypeFormat? = nil
  ) throws(KernelImageError) -> UInt64 {
    if format == nil {
      typeQuestions.insert(.offset(path))
      try requireAgreement(on: .offset(path))
    }
    return try fromTypes(format) { layout throws(KernelImageError) in try layout.offset(of: path) }
  }

  /// Whether `offset(of:)` has an answer.
  public func hasMember(_ path: String) -> Bool { (try? offset(of: path)) != nil }

  /// Value of an enumerator, of any enumeration at file level if none is named.
  public func enumerator(
    _ name: String, in enumeration: String? = nil, from format: TypeFormat? = nil
  ) -> Int64? {
    if format == nil {
      typeQuestions.insert(.enumerator(name, in: enumeration))
      guard (try? requireAgreement(on: .enumerator(name, in: enumeration))) != nil else {
        return nil
      }
    }
    for candidate in format.map({ [$0] }) ?? TypeFormat.allCases {
      if let value = offsets(from: candidate)?.enumerator(name, in: enumeration) { return value }
    }
    return nil
  }

  /// Bytes of a struct, union, enumeration, typedef or base type.
  public func size(
    of type: String, from format: TypeFormat? = nil
  ) throws(KernelImageError) -> UInt64 {
    if format == nil {
      typeQuestions.insert(.size(type))
      try requireAgreement(on: .size(type))
    }
    return try fromTypes(format) { layout throws(KernelImageError) in try layout.size(of: type) }
  }

  /// The source line of an address, relative to the kernel tree.
  public func sourceLocation(of address: UInt64) -> SourceLocation? {
    information?.sourceLocation(of: address)
  }

  /// Where the function that begins at a link-time address is declared, from DWARF; nil for assembly
  /// and inside of a function.
  public func declaration(ofFunctionAt address: UInt64) -> SourceLocation? {
    let symbol = symbols?.function(at: address)
    guard symbol == nil || symbol?.offset == 0 else { return nil }
    return information?.declaration(ofFunctionAt: address, symbol: symbol)
  }

  /// `count` instruction words from `address`; nil unless all of them are code of this file.
  /// AArch64 instructions are little-endian in every kernel.
  public func code(at address: UInt64, count: Int) -> [UInt32]? {
    guard var words = elf.code(at: address, count: count) else { return nil }
    if replacedInstructions.isEmpty { return words }
    for index in words.indices {
      if let word = replacedInstructions[address &+ 4 * UInt64(index)] { words[index] = word }
    }
    return words
  }

  /// A section by name: its link-time address and its bytes (`.altinstructions`).
  public func section(named name: String) -> (address: UInt64, bytes: [UInt8])? {
    guard let section = elf.section(named: name) else { return nil }
    return elf.withBytes(of: section) { unsafe (section.address, [UInt8]($0)) }
  }

  /// Which generation of the key switch this kernel has, and what says so.
  public func generationEvidence() -> GenerationEvidence { evidence }

  /// Whether the kernel signs its own return addresses (CONFIG_ARM64_PTR_AUTH_KERNEL); nil if there
  /// is no code to tell from.
  public var kernelUsesPointerAuth: Bool? { pointerAuth }

  private func offsets(from format: TypeFormat) -> (any StructOffsets)? {
    switch format {
    case .btf: btf.map { StructLayout(source: $0, image: path) }
    case .dwarf: information.map { StructLayout(source: $0, image: path) }
    }
  }

  /// Asks each source in turn until one has the type.
  private func fromTypes(
    _ format: TypeFormat?, _ ask: (any StructOffsets) throws(KernelImageError) -> UInt64
  ) throws(KernelImageError) -> UInt64 {
    let candidates = format.map { [$0] } ?? TypeFormat.allCases
    var failure: KernelImageError?
    for layout in candidates.compactMap(offsets) {
      do throws(KernelImageError) {
        return try ask(layout)
      } catch {
        // DWARF is asked for what BTF does not tell (pahole makes one dimension of several), not for
        // a second opinion on a member.
        guard [.noSuchType, .damagedTypes, .notInside].contains(error.code) else { throw error }
        failure = failure ?? error
      }
    }
    throw failure ?? noTypes
  }

  var noTypes: KernelImageError {
    if case .failure(let error) = debugInformation, error.code != .noTypes { return error }
    return KernelImageError(
      .noTypes, path,
      "has neither BTF nor DWARF: struct offsets are unknown; give the vmlinux of the kernel's -dbg "
        + "package or a build with CONFIG_DEBUG_INFO")
  }
}

extension KernelImage {
  /// Bytes of a loaded section from a link-time address; nil unless all of them are in the file.
  func data(at address: UInt64, count: UInt64) -> [UInt8]? {
    guard let count = Int(exactly: count), count <= 64 << 20 else { return nil }
    let section = elf.sections.first {
      $0.isMemory && $0.address <= address && address - $0.address < $0.size
    }
    guard let section else { return nil }
    guard let start = Int(exactly: address - section.address) else { return nil }
    return elf.withBytes(of: section) { bytes -> [UInt8]? in
      guard start <= bytes.count, count <= bytes.count - start else { return nil }
      return unsafe [UInt8](UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
    }.flatMap(\.self)
  }

  /// All MRS and MSR of key registers in the code, ascending.
  package func keyAccesses() -> [(address: UInt64, word: UInt32)] {
    guard !replacedInstructions.isEmpty else { return keyAccessesOfFile }
    let kept = keyAccessesOfFile.filter { replacedInstructions[$0.address] == nil }
    let new = replacedInstructions.filter { KeyInstruction.isKeyAccess($0.value) }
      .map { (address: $0.key, word: $0.value) }
    return (kept + new).sorted { $0.address < $1.address }
  }

  private func findKeyAccesses() -> [(address: UInt64, word: UInt32)] {
    instructions(replacing: [:]) { word, _ in
      word & 0xffdf_f000 == 0xd518_2000 && KeyInstruction.isKeyAccess(word)
    }
  }

  /// Where a function is called or jumped to, ascending.
  package func calls(of callee: UInt64) -> [UInt64] {
    instructions(replacing: replacedInstructions) { word, address in
      word & 0x7c00_0000 == 0x1400_0000 && ControlFlow.target(word, address) == callee
    }
    .map(\.address)
  }

  private func instructions(
    replacing replaced: [UInt64: UInt32], where matches: (_ word: UInt32, _ address: UInt64) -> Bool
  ) -> [(address: UInt64, word: UInt32)] {
    var found: [(address: UInt64, word: UInt32)] = []
    for section in elf.sections where section.isMemory && section.isExecutable {
      let inSection = elf.withBytes(of: section) { bytes -> [(address: UInt64, word: UInt32)] in
        var found: [(address: UInt64, word: UInt32)] = []
        var offset = Int((4 - section.address % 4) % 4)
        while offset + 4 <= bytes.count {
          var word = unsafe UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
          let address = section.address &+ UInt64(offset)
          if !replaced.isEmpty, let other = replaced[address] { word = other }
          if matches(word, address) { found.append((address, word)) }
          offset += 4
        }
        return found
      }
      found += inSection ?? []
    }
    return found.sorted { $0.address < $1.address }
  }
}
