import CElfutils
import Glibc

/// One debugging information entry (DIE) of DWARF, through libdw.
@safe struct DebugEntry {
  private var die: Dwarf_Die

  init(_ die: Dwarf_Die) { unsafe self.die = die }

  /// A copy for libdw to write its caches into.
  @safe func withDie<Result>(_ body: (UnsafeMutablePointer<Dwarf_Die>) -> Result) -> Result {
    var copy = unsafe die
    return unsafe body(&copy)
  }

  /// DW_TAG_*, -1 if unreadable.
  var tag: Int32 { withDie { unsafe dwarf_tag($0) } }

  /// Offset in .debug_info, bytes.
  var offset: UInt64 { withDie { unsafe dwarf_dieoffset($0) } }

  var name: String? {
    withDie { unsafe dwarf_diename($0).map { unsafe Self.text($0) } }
  }

  /// Longer names and paths are cut, in bytes: those of a file that lies can be megabytes.
  private static let nameLimit = 4096

  static func text(_ start: UnsafePointer<CChar>) -> String {
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: strnlen(start, nameLimit))
    return unsafe String(decoding: bytes, as: UTF8.self)
  }

  /// Whether there is a DW_AT_name, which can be megabytes long.
  var hasName: Bool { withDie { unsafe dwarf_diename($0) != nil } }

  /// Whether DW_AT_name is `name`, compared in place: a struct search sees many thousand names.
  func isNamed(_ name: [CChar]) -> Bool {
    withDie { die in
      guard let own = unsafe dwarf_diename(die) else { return false }
      for (index, character) in name.enumerated() where unsafe own[index] != character {
        return false
      }
      return true
    }
  }

  var isDeclaration: Bool { withDie { unsafe dwarf_hasattr($0, UInt32(DW_AT_declaration)) != 0 } }

  /// DW_AT_byte_size of the type, array bounds multiplied out.
  var byteSize: UInt64? {
    withDie { die in
      var size: Dwarf_Word = 0
      return unsafe dwarf_aggregate_size(die, &size) == 0 ? size : nil
    }
  }

  /// What DW_AT_type refers to.
  var type: DebugEntry? {
    withDie { die in
      var attribute = unsafe Dwarf_Attribute()
      var target = unsafe Dwarf_Die()
      guard unsafe dwarf_attr_integrate(die, UInt32(DW_AT_type), &attribute) != nil,
        unsafe dwarf_formref_die(&attribute, &target) != nil
      else { return nil }
      return unsafe DebugEntry(target)
    }
  }

  func has(_ attribute: Int) -> Bool {
    withDie { unsafe dwarf_hasattr($0, UInt32(attribute)) != 0 }
  }

  /// A constant attribute as an unsigned number; nil if absent or not a constant.
  func unsigned(_ name: Int) -> UInt64? {
    withDie { die in
      var attribute = unsafe Dwarf_Attribute()
      var value: Dwarf_Word = 0
      guard unsafe dwarf_attr(die, UInt32(name), &attribute) != nil,
        unsafe dwarf_formudata(&attribute, &value) == 0
      else { return nil }
      return value
    }
  }

  /// DW_AT_const_value of an enumerator.
  ///
  /// The fixed-size forms hold no sign: gcc writes 200 as one byte, and negative values as sdata.
  var enumeratorValue: Int64? {
    withDie { die in
      var attribute = unsafe Dwarf_Attribute()
      guard unsafe dwarf_attr(die, UInt32(DW_AT_const_value), &attribute) != nil else { return nil }
      let form = unsafe Int(dwarf_whatform(&attribute))
      if form == DW_FORM_sdata || form == DW_FORM_implicit_const {
        var value: Dwarf_Sword = 0
        return unsafe dwarf_formsdata(&attribute, &value) == 0 ? value : nil
      }
      var value: Dwarf_Word = 0
      return unsafe dwarf_formudata(&attribute, &value) == 0 ? Int64(bitPattern: value) : nil
    }
  }

  /// The type behind typedef, const, volatile, restrict and _Atomic; nil if the chain is broken or endless.
  var unqualified: DebugEntry? {
    var entry = self
    for _ in 0..<64 {
      switch Int(entry.tag) {
      case DW_TAG_typedef, DW_TAG_const_type, DW_TAG_volatile_type, DW_TAG_restrict_type,
        DW_TAG_atomic_type:
        guard let next = entry.type else { return nil }
        entry = next
      default:
        return entry
      }
    }
    return nil
  }

  /// The direct children that `select` returns something for, up to the first one.
  func firstChild<Result>(where select: (DebugEntry) -> Result?) -> Result? {
    var child = unsafe Dwarf_Die()
    guard withDie({ unsafe dwarf_child($0, &child) }) == 0 else { return nil }
    var entry = unsafe DebugEntry(child)
    while true {
      if let result = select(entry) { return result }
      var sibling = unsafe Dwarf_Die()
      guard entry.withDie({ unsafe dwarf_siblingof($0, &sibling) }) == 0 else { return nil }
      let next = unsafe DebugEntry(sibling)
      // DW_AT_sibling of a damaged file may point backwards: that would never end.
      guard next.offset > entry.offset else { return nil }
      entry = next
    }
  }

  var children: [DebugEntry] {
    var all: [DebugEntry] = []
    _ = firstChild { (child: DebugEntry) -> Void? in
      all.append(child)
      return nil
    }
    return all
  }
}
