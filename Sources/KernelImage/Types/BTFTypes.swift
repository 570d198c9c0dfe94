import CBpf
import Glibc

/// The types of a kernel as BTF (Documentation/bpf/btf.rst), through libbpf.
///
/// libbpf checks that every type lies within the data, not what a type refers to: type ids and string
/// offsets go through its checked accessors, and chains of references are bounded.
@safe final class BTFTypes {
  fileprivate let handle: OpaquePointer
  private let count: UInt32
  private var found: [String: UInt32?] = [:]

  /// Nil if the bytes are no BTF.
  init?(_ bytes: UnsafeRawBufferPointer) {
    btf_shim_silence()
    guard let start = bytes.baseAddress, let size = UInt32(exactly: bytes.count), size > 0,
      let handle = unsafe btf__new(start, size)
    else { return nil }
    unsafe self.handle = handle
    count = unsafe btf__type_cnt(handle)
  }

  deinit { unsafe btf__free(handle) }

  /// A type by number, nil if there is none.
  fileprivate func entry(_ id: UInt32) -> BTFEntry? {
    guard id > 0, let type = unsafe btf__type_by_id(handle, id) else { return nil }
    return unsafe BTFEntry(source: self, id: id, type: type)
  }

  /// A name, nil if there is none or its offset is absurd.
  fileprivate func text(_ offset: UInt32) -> String? {
    guard offset > 0, let text = unsafe btf__str_by_offset(handle, offset) else { return nil }
    return unsafe String(cString: text)
  }

  /// Without a copy of the name, which can be megabytes long.
  fileprivate func isEmpty(_ offset: UInt32) -> Bool {
    guard offset > 0, let text = unsafe btf__str_by_offset(handle, offset) else { return true }
    return unsafe text.pointee == 0
  }

  fileprivate func isText(_ offset: UInt32, _ wanted: [CChar]) -> Bool {
    guard offset > 0, let text = unsafe btf__str_by_offset(handle, offset) else { return false }
    return unsafe strcmp(text, wanted) == 0
  }

  private func find(_ name: String) -> UInt32? {
    var words = name.split(separator: " ").map(String.init)
    let groups: [[Int]]
    switch words.count > 1 ? words[0] : "" {
    case "struct": groups = [[BTF_KIND_STRUCT]]
    case "union": groups = [[BTF_KIND_UNION]]
    case "enum": groups = [[BTF_KIND_ENUM, BTF_KIND_ENUM64]]
    default:
      groups = [
        [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_ENUM64],
        [BTF_KIND_TYPEDEF, BTF_KIND_INT, BTF_KIND_FLOAT],
      ]
    }
    if groups.count == 1 { words.removeFirst() }
    let wanted = Array(words.joined(separator: " ").utf8CString)
    for kind in groups.joined() {
      let id = unsafe btf__find_by_name_kind(handle, wanted, UInt32(kind))
      if id > 0 { return UInt32(id) }
    }
    return nil
  }
}

extension BTFTypes: TypeSource {
  static var format: TypeFormat { .btf }

  func definition(of name: String) -> BTFEntry? {
    let id: UInt32?
    if let known = found[name] {
      id = known
    } else {
      id = find(name)
      found[name] = .some(id)
    }
    return id.flatMap(entry)
  }

  func enumerator(_ name: String, in enumeration: String?) -> Int64? {
    let wanted = Array(name.utf8CString)
    if let enumeration {
      return definition(of: "enum " + enumeration)?.enumerator(wanted)
    }
    for id in 1..<max(1, count) {
      if let value = entry(id)?.enumerator(wanted) { return value }
    }
    return nil
  }
}

/// One type of a `BTFTypes`.
@safe struct BTFEntry {
  let source: BTFTypes
  let id: UInt32
  private let type: UnsafePointer<btf_type>

  /// References in a row longer than this are a circle.
  private static let referenceLimit = 32

  init(source: BTFTypes, id: UInt32, type: UnsafePointer<btf_type>) {
    self.source = source
    self.id = id
    unsafe self.type = unsafe type
  }

  private var kind: Int { unsafe Int(btf_kind(type)) }
  private var elementCount: UInt32 { unsafe UInt32(btf_vlen(type)) }

  /// The value of an enumerator of this enumeration.
  func enumerator(_ wanted: [CChar]) -> Int64? {
    guard kind == BTF_KIND_ENUM || kind == BTF_KIND_ENUM64 else { return nil }
    for index in 0..<elementCount
    where unsafe source.isText(btf_shim_enumerator_name(type, index), wanted) {
      return unsafe btf_shim_enumerator_value(type, index)
    }
    return nil
  }
}

extension BTFEntry: TypeEntry {
  var identity: UInt64 { UInt64(id) }

  var name: String? { unsafe source.text(type.pointee.name_off) }

  var isDeclaration: Bool { kind == BTF_KIND_FWD }

  var unqualified: BTFEntry? {
    var entry = self
    for _ in 0..<Self.referenceLimit {
      switch entry.kind {
      case BTF_KIND_TYPEDEF, BTF_KIND_CONST, BTF_KIND_VOLATILE, BTF_KIND_RESTRICT,
        BTF_KIND_TYPE_TAG:
        guard let next = unsafe source.entry(btf_shim_reference(entry.type)) else { return nil }
        entry = next
      default: return entry
      }
    }
    return nil
  }

  var shape: TypeShape {
    switch kind {
    case BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_FWD: .aggregate
    case BTF_KIND_PTR: .pointer
    case BTF_KIND_ARRAY: .array
    default: .other
    }
  }

  var byteSize: UInt64? {
    let size = unsafe btf__resolve_size(source.handle, id)
    return size < 0 ? nil : UInt64(size)
  }

  /// An array of arrays is one array of several dimensions, as in C and DWARF.
  var array: (element: BTFEntry, counts: [UInt64?])? {
    var entry = self
    var counts: [UInt64?] = []
    while entry.kind == BTF_KIND_ARRAY {
      guard counts.count < Self.referenceLimit else { return nil }
      let array = unsafe btf_shim_array(entry.type)
      // BTF knows no difference between `x[0]` and `x[]`.
      counts.append(array.nelems == 0 ? nil : UInt64(array.nelems))
      guard let element = source.entry(array.type) else { return nil }
      entry = element
    }
    return counts.isEmpty ? nil : (entry, counts)
  }

  func firstMember<Result>(
    named wanted: [CChar], where select: (TypeMember<BTFEntry>) -> Result?
  ) -> Result? {
    guard kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION else { return nil }
    for index in 0..<elementCount {
      let member = unsafe btf_shim_member(type, index)
      let isAnonymous = source.isEmpty(member.name_off)
      guard isAnonymous || source.isText(member.name_off, wanted) else { continue }
      let bits = unsafe btf_member_bit_offset(type, index)
      let isBitField = unsafe btf_member_bitfield_size(type, index) > 0 || bits % 8 != 0
      let found = TypeMember(
        isAnonymous: isAnonymous, offset: isBitField ? nil : UInt64(bits / 8),
        type: source.entry(member.type))
      if let result = select(found) { return result }
    }
    return nil
  }
}
