import Bytes

/// `.altinstructions`: the instructions that the kernel replaces at boot, by what the CPU can do
/// (arch/arm64/include/asm/alternative.h; entries are the same from 5.2 to 7.3).
///
///     s32 where the original is      from this field
///     s32 where the replacement is   from this field
///     u16 capability                 bit 15: a function makes the replacement (6.1 on)
///     u8  bytes of the original
///     u8  bytes of the replacement   0: a function makes it
///
/// Replacements lie in .altinstr_replacement, or behind the function in a subsection of its own section.
package struct Alternatives {
  package struct Entry: Hashable {
    var original: Range<UInt64>
    var replacement: Range<UInt64>
    /// Nil: the entry does not say (callbacks before 6.1).
    var capability: UInt16?
    var isCallback: Bool
  }

  package private(set) var entries: [UInt64: [Entry]] = [:]
  /// By the start of the replacement.
  private var replacements: [Entry] = []

  init(_ image: KernelImage) {
    guard let table = image.section(named: ".altinstructions") else { return }
    table.bytes.withRawSpan { bytes in
      var position = 0
      while let original = bytes.u32(at: position), let replacement = bytes.u32(at: position + 4),
        let capability = bytes.u16(at: position + 8), let length = bytes.u8(at: position + 10),
        let replacementLength = bytes.u8(at: position + 11)
      {
        func absolute(_ offset: UInt32, _ field: Int) -> UInt64 {
          table.address &+ UInt64(position + field)
            &+ UInt64(bitPattern: Int64(Int32(bitPattern: offset)))
        }
        let from = absolute(original, 0)
        let to = absolute(replacement, 4)
        let isFlagged = capability & 0x8000 != 0
        let isCallback = isFlagged || replacementLength == 0
        position += 12
        // A bare .max - 256 is an Int to some compilers, and every kernel address beyond it.
        let last = UInt64.max - 256
        guard length > 0, from % 4 == 0, from < last, to < last else { continue }
        let entry = Entry(
          original: from..<from + UInt64(length), replacement: to..<to + UInt64(replacementLength),
          capability: isCallback && !isFlagged ? nil : capability & 0x7fff,
          isCallback: isCallback)
        entries[from, default: []].append(entry)
        if !isCallback { replacements.append(entry) }
      }
    }
    replacements.sort { $0.replacement.lowerBound < $1.replacement.lowerBound }
  }

  /// Every arm64 kernel has some: a file without has lost its section.
  var isEmpty: Bool { entries.isEmpty }

  /// The entry whose replacement holds an address.
  func entry(replacingWith address: UInt64) -> Entry? {
    var low = 0
    var high = replacements.count
    while low < high {
      let middle = low + (high - low) / 2
      if replacements[middle].replacement.lowerBound <= address {
        low = middle + 1
      } else {
        high = middle
      }
    }
    guard low > 0, replacements[low - 1].replacement.contains(address) else { return nil }
    return replacements[low - 1]
  }
}

extension SymbolTable {
  /// Throws `.damaged` if the section is not what the linker's symbols say that the kernel patches at boot.
  func requireAlternatives(of elf: ElfImage) throws(KernelImageError) {
    let starts = addresses(of: "__alt_instructions")
    let ends = addresses(of: "__alt_instructions_end")
    guard let section = elf.section(named: ".altinstructions"), let start = starts.first,
      let end = ends.first
    else { return }
    guard starts.count == 1, ends.count == 1, start == section.address, end == section.end else {
      throw KernelImageError(
        .damaged, elf.path,
        "has .altinstructions from 0x\(hex(section.address)) to 0x\(hex(section.end)), by its symbols "
          + "(__alt_instructions) from 0x\(hex(start)) to 0x\(hex(end)): what is patched at boot is not known; "
          + "fetch or build the vmlinux again")
    }
  }
}
