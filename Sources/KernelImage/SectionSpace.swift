import Bytes
import CElfutils

/// What the sections of an ELF file come to, as its section table has it. In a file of a linker no two sections share
/// bytes, and what is packed unpacks to a few times its size; a small one that lies can claim to hold terabytes.
struct SectionSpace {
  /// Bytes in the file of all sections that lie inside of it.
  private var stored: UInt64 = 0
  /// Bytes that the packed ones say they unpack to: libdw unpacks all of DWARF's at once.
  private var unpacked: UInt64 = 0

  /// All of them are in memory at once, which must do with a gibibyte: a kernel of a distribution has some 700 MB.
  private static let unpackedLimit: UInt64 = 768 << 20

  init(_ handle: OpaquePointer) {
    var cursor = unsafe elf_nextscn(handle, nil)
    while let section = unsafe cursor {
      var header = GElf_Shdr()
      if unsafe gelf_getshdr(section, &header) != nil, header.sh_type != UInt32(SHT_NOBITS),
        header.sh_type != UInt32(SHT_NULL), let data = unsafe elf_rawdata(section, nil)
      {
        unsafe add(
          header, UnsafeRawBufferPointer(start: data.pointee.d_buf, count: data.pointee.d_size))
      }
      unsafe cursor = elf_nextscn(handle, section)
    }
  }

  private mutating func add(_ header: GElf_Shdr, _ bytes: UnsafeRawBufferPointer) {
    stored = stored.addingReportingOverflow(UInt64(bytes.count)).partialValue
    let size = unsafe Self.unpackedSize(header, RawSpan(_unsafeBytes: bytes))
    let (sum, overflow) = unpacked.addingReportingOverflow(size)
    unpacked = overflow ? .max : sum
  }

  /// Elf64_Chdr: u32 type, u32 reserved, u64 size. Before there was one, sections called .zdebug_* began with "ZLIB"
  /// and a size, highest byte first.
  private static func unpackedSize(_ header: GElf_Shdr, _ bytes: RawSpan) -> UInt64 {
    if header.sh_flags & UInt64(SHF_COMPRESSED) != 0 { return bytes.u64(at: 8) ?? 0 }
    return bytes.u32(at: 0) == 0x4249_4c5a ? bytes.u64(at: 4)?.byteSwapped ?? 0 : 0
  }

  /// - Parameter size: of the file, in bytes.
  func require(within size: UInt64, _ path: String) throws(KernelImageError) {
    guard stored <= size else {
      throw KernelImageError(
        .damaged, path,
        "has sections that overlap, \(stored) bytes in a file of \(size): no linker does that; fetch or "
          + "build the vmlinux again")
    }
    let bound = Decompressor.bound(ofSize: size)
    guard unpacked <= Self.unpackedLimit else {
      throw KernelImageError(
        .notUnpacked, path,
        "has packed sections that come to \(unpacked >> 20) MiB, more than the \(Self.unpackedLimit >> 20) MiB that are "
          + "unpacked here; unpack them (objcopy --decompress-debug-sections), or fetch the vmlinux again"
      )
    }
    guard unpacked <= bound else {
      throw KernelImageError(
        .notUnpacked, path,
        "has sections that unpack to \(unpacked >> 20) MiB, more than \(Decompressor.ratioLimit) times its size: "
          + "no kernel's do; fetch or build the vmlinux again")
    }
  }
}
