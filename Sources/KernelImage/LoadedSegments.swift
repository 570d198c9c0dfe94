import CElfutils
import Glibc

/// What an ELF file says twice: its program headers and its section table both name the bytes that are in memory at an
/// address. A kernel is loaded by the one and read here by the other, so they must be the same bytes.
struct LoadedSegments {
  fileprivate struct Segment {
    var start: UInt64
    /// Behind the last byte in memory.
    var end: UInt64
    /// Behind the last byte that is in the file.
    var fileEnd: UInt64
    var fileOffset: UInt64
  }

  /// By address. Empty: the section table is all there is.
  private var segments: [Segment] = []
  private let path: String

  /// Throws `.damaged` if the program headers cannot be read, or segments lie on top of one another.
  init(_ handle: OpaquePointer, _ path: String) throws(KernelImageError) {
    self.path = path
    var count = 0
    guard unsafe elf_getphdrnum(handle, &count) == 0 else { return }
    for index in 0..<min(count, Int(UInt16.max)) {
      var header = GElf_Phdr()
      guard unsafe gelf_getphdr(handle, CInt(index), &header) != nil else {
        throw KernelImageError(
          .damaged, path,
          "has no readable program header \(index); fetch or build the vmlinux again")
      }
      guard header.p_type == UInt32(PT_LOAD), header.p_memsz > 0 else { continue }
      guard ElfImage.isAddressable(header.p_vaddr, header.p_memsz),
        header.p_filesz <= header.p_memsz
      else {
        throw KernelImageError(
          .damaged, path,
          "has a segment that cannot be (program header \(index)); fetch or build the vmlinux again"
        )
      }
      segments.append(
        Segment(
          start: header.p_vaddr, end: header.p_vaddr &+ header.p_memsz,
          fileEnd: header.p_vaddr &+ header.p_filesz, fileOffset: header.p_offset))
    }
    segments.sort { $0.start < $1.start }
    for (one, next) in zip(segments, segments.dropFirst()) where next.start < one.end {
      throw KernelImageError(
        .damaged, path,
        "has segments that overlap at 0x\(hex(next.start)): which bytes are there is not known; fetch or build the "
          + "vmlinux again")
    }
  }

  /// Throws `.damaged` if a section has other bytes at an address than its segment or another section has, or code
  /// that no segment loads. What has no bytes in the file (a file of debug information) contradicts nothing.
  func require(toHold sections: [ElfImage.Section]) throws(KernelImageError) {
    let loaded = sections.filter { $0.isMemory && $0.size > 0 }.sorted { $0.address < $1.address }
    for (one, next) in zip(loaded, loaded.dropFirst()) where next.address < one.end {
      throw KernelImageError(
        .damaged, path,
        "has two sections at 0x\(hex(next.address)), \(one.title) and \(next.title): which bytes are there is not "
          + "known; fetch or build the vmlinux again")
    }
    guard !segments.isEmpty else { return }
    for section in loaded {
      guard let segment = segments.last(before: section.end), section.address < segment.end else {
        guard section.isExecutable else { continue }
        throw contradiction(section, "no segment loads it")
      }
      guard segment.start <= section.address, section.end <= segment.fileEnd else {
        throw contradiction(section, "only a part of it is in a segment's bytes")
      }
      let offset = segment.fileOffset &+ (section.address &- segment.start)
      guard offset == section.fileOffset else {
        throw contradiction(section, "its segment has 0x\(hex(offset)) there")
      }
    }
  }

  private func contradiction(_ section: ElfImage.Section, _ why: String) -> KernelImageError {
    KernelImageError(
      .damaged, path,
      "has \(section.title) at offset 0x\(hex(section.fileOffset)) for 0x\(hex(section.address)), but \(why): its section "
        + "table and its program headers contradict each other; fetch or build the vmlinux again")
  }
}

extension [LoadedSegments.Segment] {
  /// The last that begins in front of an address.
  fileprivate func last(before address: UInt64) -> LoadedSegments.Segment? {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if self[middle].start < address { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? self[low - 1] : nil
  }
}
