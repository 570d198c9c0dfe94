import CElfutils
import Glibc
private import Printing

/// The ELF side of an image: headers, sections and their bytes, through libelf.
@safe package final class ElfImage {
  package struct Section {
    package let name: String
    let index: Int
    let type: UInt32
    let flags: UInt64
    /// Link-time address of the first byte, 0 for sections that are not loaded.
    let address: UInt64
    /// Bytes.
    let size: UInt64
    /// Bytes from the start of the file.
    let fileOffset: UInt64
    /// sh_link: the string table of a symbol table.
    let link: Int

    /// Behind the last byte; of loaded sections it was checked that there is such an address.
    var end: UInt64 { address &+ size }
    /// For sentences: a stranger's file has any name.
    var title: String { name.isEmpty ? "section \(index)" : ControlCharacters.escaped(name) }

    var isExecutable: Bool { flags & UInt64(SHF_EXECINSTR) != 0 }
    var isLoaded: Bool { flags & UInt64(SHF_ALLOC) != 0 }
    var hasBytes: Bool { type != UInt32(SHT_NOBITS) && type != UInt32(SHT_NULL) }
    /// A file of debug information keeps its notes, and elsewhere in the file; no tool reads code or tables from one.
    var isNote: Bool { type == UInt32(SHT_NOTE) }
    /// Its bytes are what is in memory.
    var isMemory: Bool { isLoaded && hasBytes && !isNote }
  }

  let path: String
  package let sections: [Section]
  let buildID: [UInt8]?
  let handle: OpaquePointer
  private let file: KernelFile
  private let codeSections: [Section]

  init(path: String) throws(KernelImageError) {
    let file = try KernelFile(path: path)
    _ = elf_version(UInt32(EV_CURRENT))
    guard let handle = unsafe elf_begin(file.descriptor, ELF_C_READ_MMAP, nil) else {
      throw KernelImageError(.damaged, path, "has a damaged ELF header: \(elfErrorText())")
    }
    do throws(KernelImageError) {
      try unsafe ElfImage.requireLinkedArm64(handle, path)
      sections = try unsafe ElfImage.readSections(handle, path)
      try unsafe SectionSpace(handle).require(within: file.size, path)
      try unsafe LoadedSegments(handle, path).require(toHold: sections)
    } catch {
      unsafe elf_end(handle)
      throw error
    }
    buildID = unsafe ElfImage.readBuildID(handle)
    codeSections = sections.filter { $0.isMemory && $0.isExecutable }
      .sorted { $0.address < $1.address }
    self.path = path
    unsafe self.handle = handle
    self.file = file
  }

  deinit { unsafe elf_end(handle) }

  private static func requireLinkedArm64(
    _ handle: OpaquePointer, _ path: String
  ) throws(KernelImageError) {
    var header = GElf_Ehdr()
    guard unsafe elf_kind(handle) == ELF_K_ELF, unsafe gelf_getehdr(handle, &header) != nil else {
      throw KernelImageError(
        .damaged, path, "has a damaged ELF header; fetch or build the vmlinux again")
    }
    let identity = header.e_ident
    guard header.e_machine == UInt16(EM_AARCH64) else {
      let machine = machineName(header.e_machine)
      throw KernelImageError(
        .wrongMachine, path, "is for \(machine), not arm64; give the vmlinux of the arm64 host")
    }
    guard identity.4 == UInt8(ELFCLASS64), identity.5 == UInt8(ELFDATA2LSB) else {
      throw KernelImageError(
        .wrongClass, path, "is not 64-bit little-endian; only such arm64 kernels run KVM here")
    }
    guard header.e_type == UInt16(ET_EXEC) || header.e_type == UInt16(ET_DYN) else {
      let kind =
        switch Int32(header.e_type) {
        case ET_REL: "an object file or module"
        case ET_CORE: "a core dump"
        default: "an ELF file of type \(header.e_type)"
        }
      throw KernelImageError(
        .notLinked, path, "is \(kind), not a linked kernel; give the vmlinux")
    }
  }

  private static func readSections(
    _ handle: OpaquePointer, _ path: String
  ) throws(KernelImageError) -> [Section] {
    var namesIndex = 0
    guard unsafe elf_getshdrstrndx(handle, &namesIndex) == 0 else {
      throw KernelImageError(
        .damaged, path, "has no readable section table: the file is cut short or damaged")
    }
    var sections: [Section] = []
    var cursor = unsafe elf_nextscn(handle, nil)
    while let section = unsafe cursor {
      var header = GElf_Shdr()
      if unsafe gelf_getshdr(section, &header) != nil {
        let name = unsafe elf_strptr(handle, namesIndex, Int(header.sh_name))
        unsafe sections.append(
          Section(
            name: name.map { unsafe text($0, limit: nameLimit) } ?? "", index: elf_ndxscn(section),
            type: header.sh_type, flags: header.sh_flags, address: header.sh_addr,
            size: header.sh_size, fileOffset: header.sh_offset, link: Int(header.sh_link)))
      }
      unsafe cursor = elf_nextscn(handle, section)
    }
    guard !sections.isEmpty else {
      throw KernelImageError(
        .damaged, path, "has no sections: it is cut short, or its section table was removed")
    }
    guard sections.allSatisfy({ !$0.isLoaded || isAddressable($0.address, $0.size) }) else {
      throw KernelImageError(
        .damaged, path,
        "has sections that reach beyond the last address; fetch or build the vmlinux again")
    }
    return sections
  }

  /// Linux has nothing in the last pages but errors: numbers near an address that this is true of do not overflow.
  static func isAddressable(_ address: UInt64, _ size: UInt64) -> Bool {
    let (end, overflow) = address.addingReportingOverflow(size)
    return !overflow && end <= UInt64.max - 0xffff
  }

  /// Longer names of sections are cut, in bytes: all sections of a file that lies can share one of megabytes.
  private static let nameLimit = 256

  private static func text(_ start: UnsafePointer<CChar>, limit: Int) -> String {
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: strnlen(start, limit))
    return unsafe String(decoding: bytes, as: UTF8.self)
  }

  private static func readBuildID(_ handle: OpaquePointer) -> [UInt8]? {
    var bytes: UnsafeRawPointer?
    let count = unsafe dwelf_elf_gnu_build_id(handle, &bytes)
    guard count > 0, let bytes = unsafe bytes else { return nil }
    return unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: Int(count)))
  }

  func section(named name: String) -> Section? {
    sections.first { $0.name == name && $0.hasBytes && !$0.isNote }
  }

  /// Calls `body` with the bytes of a section as they lie in the file.
  @safe func withBytes<Result>(
    of section: Section, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result? {
    guard section.hasBytes, let scn = unsafe elf_getscn(handle, section.index),
      let data = unsafe elf_rawdata(scn, nil), let start = unsafe data.pointee.d_buf
    else { return nil }
    return unsafe body(UnsafeRawBufferPointer(start: start, count: data.pointee.d_size))
  }

  /// Calls `body` with the bytes of a section, unpacked if libdw has unpacked them.
  @safe func withUnpacked<Result>(
    of section: Section, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result? {
    guard section.hasBytes, let scn = unsafe elf_getscn(handle, section.index),
      let data = unsafe elf_getdata(scn, nil), let start = unsafe data.pointee.d_buf
    else { return nil }
    return unsafe body(UnsafeRawBufferPointer(start: start, count: data.pointee.d_size))
  }

  /// Bytes of code: as many as there are, or as the file says where it has none of them.
  var codeSize: UInt64 {
    sections.filter(\.isExecutable).reduce(0) {
      $0 + ($1.hasBytes ? withBytes(of: $1) { UInt64($0.count) } ?? 0 : min($1.size, 1 << 28))
    }
  }

  /// Whether the file has all the code that its section table names.
  var hasWholeCode: Bool {
    sections.allSatisfy {
      !$0.isLoaded || !$0.isExecutable || $0.size == 0
        || withBytes(of: $0) { UInt64($0.count) } == $0.size
    }
  }

  func unpackedSize(of section: Section) -> Int { withUnpacked(of: section) { $0.count } ?? 0 }

  /// `count` instruction words from a link-time address; nil unless all of them are code in the file.
  func code(at address: UInt64, count: Int) -> [UInt32]? {
    guard count >= 0, address % 4 == 0, count <= 1 << 24 else { return nil }
    let section = codeSections.last { $0.address <= address }
    guard let section else { return nil }
    let start = address - section.address
    let length = UInt64(count) * 4
    guard start <= section.size, length <= section.size - start else { return nil }
    let words = withBytes(of: section) { bytes -> [UInt32]? in
      guard start + length <= UInt64(bytes.count) else { return nil }
      return (0..<count).map { index in
        let word = unsafe bytes.loadUnaligned(
          fromByteOffset: Int(start) + index * 4, as: UInt32.self)
        return UInt32(littleEndian: word)
      }
    }
    return words.flatMap { $0 }
  }

  /// Where the code ends that an address is in.
  func codeEnd(at address: UInt64) -> UInt64? {
    codeSections.last { $0.address <= address }.flatMap { address < $0.end ? $0.end : nil }
  }

  private static func machineName(_ machine: UInt16) -> String {
    switch Int32(machine) {
    case EM_X86_64: "x86_64"
    case EM_386: "i386"
    case EM_ARM: "32-bit arm"
    case EM_RISCV: "riscv"
    case EM_S390: "s390"
    case EM_PPC64: "ppc64"
    default: "machine number \(machine)"
    }
  }
}

private func elfErrorText() -> String {
  // elf_errmsg(-1) is thread-local text: copy at once.
  guard let text = unsafe elf_errmsg(-1) else { return "no reason given" }
  return unsafe String(cString: text)
}
