import CElfutils
import Glibc

extension DebugInformation: TypeSource {
  static var format: TypeFormat { .dwarf }
}

extension DebugEntry: TypeEntry {
  var identity: UInt64 { offset }

  var shape: TypeShape {
    switch Int(tag) {
    case DW_TAG_structure_type, DW_TAG_union_type: .aggregate
    case DW_TAG_pointer_type: .pointer
    case DW_TAG_array_type: .array
    default: .other
    }
  }

  var array: (element: DebugEntry, counts: [UInt64?])? {
    guard Int(tag) == DW_TAG_array_type, let element = type else { return nil }
    return (
      element, children.filter { Int($0.tag) == DW_TAG_subrange_type }.map(\.elementCount)
    )
  }

  func firstMember<Result>(
    named wanted: [CChar], where select: (TypeMember<DebugEntry>) -> Result?
  ) -> Result? {
    firstChild { child in
      guard Int(child.tag) == DW_TAG_member else { return nil }
      let isNamed = child.isNamed(wanted)
      guard isNamed || !child.hasName else { return nil }
      return select(
        TypeMember(isAnonymous: !isNamed, offset: child.memberOffset, type: child.type))
    }
  }

  /// DW_AT_data_member_location, 0 where there is none (unions); nil for bit fields.
  private var memberOffset: UInt64? {
    if has(DW_AT_bit_size) { return nil }
    guard has(DW_AT_data_member_location) else { return 0 }
    return unsigned(DW_AT_data_member_location)
  }

  /// Elements of one dimension (a DW_TAG_subrange_type), nil if it has no bound.
  private var elementCount: UInt64? {
    if let count = unsigned(DW_AT_count) { return count }
    guard let last = unsigned(DW_AT_upper_bound), last < .max else { return nil }
    return last + 1
  }
}
