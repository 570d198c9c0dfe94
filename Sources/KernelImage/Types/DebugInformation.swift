import CElfutils
import Glibc

/// The DWARF of an image: compile units, and the types they define.
///
/// A type is taken from the unit that owns KVM's code, else from the first that defines it. All definitions
/// of one kernel struct agree (62 of kvm_vcpu in a distribution kernel, nVHE units included), and one is
/// found within milliseconds where a walk over all of .debug_info takes most of a second.
@safe final class DebugInformation {
  let elf: ElfImage
  let handle: OpaquePointer
  private var units: [DebugEntry] = []
  private var lastUnit: OpaquePointer?
  private var allUnitsSeen = false
  /// Where the last type was found: what is asked for next is most likely there too.
  private var likelyUnit: Int?
  private var found: [String: DebugEntry?] = [:]
  /// The unit that owns the code of the struct's users, asked first; set before the first search.
  var home: DebugEntry?

  /// By DW_AT_stmt_list, whether the lines there may be read, and what all may cost yet (`mayReadLines`).
  var readableLines: [Int: Bool] = [:]
  var lineCostLeft = LineProgram.limit

  /// Ranges of addresses that the units can have, each for itself: no range takes fewer than two bytes of these.
  let rangeLimit: Int

  /// Throws `.noTypes` if there is no DWARF, or none that can be read, `.damagedTypes` if it would take more to read
  /// than there is.
  init(_ elf: ElfImage) throws(KernelImageError) {
    func sections(_ names: Set<String>) -> [ElfImage.Section] {
      elf.sections.filter { names.contains($0.name) && $0.hasBytes && $0.size > 0 }
    }
    // libdw would open whatever file these name.
    if let other = sections([".gnu_debugaltlink", ".debug_sup"]).first {
      throw KernelImageError(
        .damagedTypes, elf.path,
        "has DWARF of which a part is in another file (\(other.name)), which is not read; give a vmlinux that dwz "
          + "has not changed")
    }
    guard !sections([".debug_info", ".zdebug_info"]).isEmpty,
      let handle = unsafe dwarf_begin_elf(elf.handle, DWARF_C_READ, nil)
    else {
      throw KernelImageError(.noTypes, elf.path, "has no DWARF")
    }
    do throws(KernelImageError) {
      // libdw has unpacked them.
      try AbbreviationCount(elf).require(elf.path)
    } catch {
      _ = unsafe dwarf_end(handle)
      throw error
    }
    let ranges = sections([
      ".debug_ranges", ".zdebug_ranges", ".debug_rnglists", ".debug_info", ".zdebug_info",
    ])
    rangeLimit = ranges.reduce(0) { $0 + elf.unpackedSize(of: $1) / 2 }
    self.elf = elf
    unsafe self.handle = handle
    unsafe lastUnit = nil
  }

  deinit { _ = unsafe dwarf_end(handle) }

  /// The unit of that number in the order of the file, read when first asked for.
  func unit(_ index: Int) -> DebugEntry? {
    while index >= units.count, !allUnitsSeen {
      var next: OpaquePointer?
      var die = unsafe Dwarf_Die()
      guard unsafe dwarf_get_units(handle, lastUnit, &next, nil, nil, &die, nil) == 0 else {
        allUnitsSeen = true
        break
      }
      unsafe lastUnit = next
      unsafe units.append(DebugEntry(die))
    }
    return index < units.count ? units[index] : nil
  }

  /// The first result of `select` over the units, the likely ones first.
  func search<Result>(_ select: (DebugEntry) -> Result?) -> Result? {
    if let home, let result = select(home) { return result }
    if let likelyUnit, let unit = unit(likelyUnit), let result = select(unit) { return result }
    var index = 0
    while let unit = unit(index) {
      if index != likelyUnit, let result = select(unit) {
        likelyUnit = index
        return result
      }
      index += 1
    }
    return nil
  }

  /// The definition of a type: "kvm_vcpu", "struct kvm_vcpu", "u64", "enum vcpu_sysreg".
  ///
  /// A bare name is a struct, union or enumeration first, a typedef or base type second, within a unit.
  func definition(of name: String) -> DebugEntry? {
    if let known = found[name] { return known }
    var words = name.split(separator: " ").map(String.init)
    let tags: [[Int]]
    switch words.count > 1 ? words[0] : "" {
    case "struct": tags = [[DW_TAG_structure_type]]
    case "union": tags = [[DW_TAG_union_type]]
    case "enum": tags = [[DW_TAG_enumeration_type]]
    default:
      tags = [
        [DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_enumeration_type],
        [DW_TAG_typedef, DW_TAG_base_type],
      ]
    }
    if tags.count == 1 { words.removeFirst() }
    let wanted = Array(words.joined(separator: " ").utf8CString)
    let result = search { unit -> DebugEntry? in
      for group in tags {
        let definition = unit.firstChild { child in
          group.contains(Int(child.tag)) && child.isNamed(wanted) && !child.isDeclaration
            ? child : nil
        }
        if let definition { return definition }
      }
      return nil
    }
    found[name] = .some(result)
    return result
  }

  /// The value of an enumerator; of any enumeration at file level if `enumeration` is nil.
  func enumerator(_ name: String, in enumeration: String?) -> Int64? {
    let wanted = Array(name.utf8CString)
    func value(in enumeration: DebugEntry) -> Int64? {
      guard Int(enumeration.tag) == DW_TAG_enumeration_type else { return nil }
      return enumeration.firstChild { $0.isNamed(wanted) ? $0.enumeratorValue : nil }
    }
    if let enumeration {
      return definition(of: "enum " + enumeration).flatMap(value)
    }
    return search { $0.firstChild(where: value) }
  }
}
