import CElfutils
import Glibc

/// Offsets of members, walked along a `MemberPath` in DWARF.
struct StructLayout {
  let information: DebugInformation
  /// The image's path, for errors.
  let image: String

  /// Anonymous structs and unions nested deeper than this are a damaged file.
  private static let nestingLimit = 32

  /// Bytes from the start of the path's type to the end of the path.
  func offset(of text: String) throws(KernelImageError) -> UInt64 {
    guard let path = MemberPath(text), !path.steps.isEmpty else {
      throw failure(.malformedPath, "cannot look up \"\(text)\": write type.member[index].member")
    }
    guard let root = information.type(named: path.type) else {
      throw failure(.noSuchType, "has no definition of struct \(path.type) in its DWARF")
    }
    var type = root.entry
    var offset: UInt64 = 0
    var walked = path.type
    for step in path.steps {
      let container = try inside(type, walked)
      guard let found = member(step.member, of: container, depth: 0) else {
        throw failure(.noSuchMember, "has no member \(step.member) in \(walked) (\(text))")
      }
      walked += "." + step.member
      guard let bytes = found.offset, let next = found.type else {
        throw failure(.notInside, "has no byte offset for \(walked): it is a bit field")
      }
      offset = try sum(offset, bytes, walked)
      type = next
      for (dimension, index) in step.indices.enumerated() {
        let bytes = try element(index, of: type, dimension: dimension, walked)
        walked += "[\(index)]"
        offset = try sum(offset, bytes, walked)
      }
      type = try elementType(type, indices: step.indices.count, walked)
    }
    return offset
  }

  private func failure(_ code: KernelImageError.Code, _ detail: String) -> KernelImageError {
    KernelImageError(code, image, detail)
  }

  private func sum(_ a: UInt64, _ b: UInt64, _ walked: String) throws(KernelImageError) -> UInt64 {
    let (sum, overflow) = a.addingReportingOverflow(b)
    guard !overflow else { throw failure(.damagedDWARF, "has absurd DWARF for \(walked)") }
    return sum
  }

  /// The struct or union that a path may go on in.
  private func inside(_ type: DebugEntry, _ walked: String) throws(KernelImageError) -> DebugEntry {
    guard let bare = type.unqualified else {
      throw failure(.damagedDWARF, "has a broken type for \(walked) in its DWARF")
    }
    switch Int(bare.tag) {
    case DW_TAG_structure_type, DW_TAG_union_type:
      // A unit may only declare the struct that another one defines.
      guard bare.isDeclaration, let name = bare.name else { return bare }
      guard let definition = information.type(named: name) else {
        throw failure(.noSuchType, "has no definition of struct \(name) in its DWARF")
      }
      return definition.entry
    case DW_TAG_pointer_type:
      throw failure(.notInside, "has a pointer at \(walked): an offset ends there")
    case DW_TAG_array_type:
      throw failure(.notInside, "has an array at \(walked): give an index")
    default:
      throw failure(.notInside, "has no members in \(walked): it is no struct or union")
    }
  }

  /// A member by name, anonymous structs and unions searched through. Offset nil: a bit field.
  private func member(
    _ name: String, of container: DebugEntry, depth: Int
  ) -> (offset: UInt64?, type: DebugEntry?)? {
    guard depth < StructLayout.nestingLimit else { return nil }
    let wanted = Array(name.utf8CString)
    return container.firstChild { child -> (offset: UInt64?, type: DebugEntry?)? in
      guard Int(child.tag) == DW_TAG_member else { return nil }
      if child.isNamed(wanted) { return (location(of: child), child.type) }
      guard child.name == nil, let type = child.type?.unqualified,
        [DW_TAG_structure_type, DW_TAG_union_type].contains(Int(type.tag)),
        let start = location(of: child),
        let inner = member(name, of: type, depth: depth + 1)
      else { return nil }
      guard let offset = inner.offset else { return (nil, inner.type) }
      let (sum, overflow) = start.addingReportingOverflow(offset)
      return overflow ? nil : (sum, inner.type)
    }
  }

  /// DW_AT_data_member_location, 0 where there is none (unions); nil for bit fields.
  private func location(of member: DebugEntry) -> UInt64? {
    if member.has(DW_AT_bit_size) { return nil }
    guard member.has(DW_AT_data_member_location) else { return 0 }
    return member.unsigned(DW_AT_data_member_location)
  }

  /// Bytes from the start of an array to element `index` of its dimension number `dimension`.
  private func element(
    _ index: String, of type: DebugEntry, dimension: Int, _ walked: String
  ) throws(KernelImageError) -> UInt64 {
    guard let array = type.unqualified, Int(array.tag) == DW_TAG_array_type else {
      throw failure(.notInside, "has no array at \(walked): it takes no index")
    }
    let counts = array.children.filter { Int($0.tag) == DW_TAG_subrange_type }.map(count)
    guard dimension < counts.count, var stride = array.type?.byteSize else {
      throw failure(.notInside, "has fewer dimensions at \(walked) than indices were given")
    }
    for inner in counts[(dimension + 1)...] {
      let (product, overflow) = stride.multipliedReportingOverflow(by: inner ?? 0)
      guard !overflow else { throw failure(.damagedDWARF, "has absurd DWARF for \(walked)") }
      stride = product
    }
    guard let number = number(index) else {
      throw failure(.noSuchIndex, "has no enumerator \(index) for \(walked)[\(index)]")
    }
    // An array without a bound is a flexible array member: any element of it may exist.
    if let count = counts[dimension], number >= count {
      throw failure(.noSuchIndex, "has \(count) elements in \(walked), so none at \(index)")
    }
    let (offset, overflow) = stride.multipliedReportingOverflow(by: number)
    guard !overflow else { throw failure(.noSuchIndex, "has no element \(index) in \(walked)") }
    return offset
  }

  /// Elements of one dimension, nil if it has no bound.
  private func count(of subrange: DebugEntry) -> UInt64? {
    if let count = subrange.unsigned(DW_AT_count) { return count }
    guard let last = subrange.unsigned(DW_AT_upper_bound), last < .max else { return nil }
    return last + 1
  }

  private func number(_ index: String) -> UInt64? {
    if let first = index.utf8.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) {
      return index.hasPrefix("0x") ? UInt64(index.dropFirst(2), radix: 16) : UInt64(index)
    }
    return information.enumerator(index, in: nil).flatMap(UInt64.init(exactly:))
  }

  /// What is left of the type once every dimension has its index; an array stays one without indices.
  private func elementType(
    _ type: DebugEntry, indices: Int, _ walked: String
  ) throws(KernelImageError) -> DebugEntry {
    guard indices > 0 else { return type }
    guard let element = type.unqualified?.type else {
      throw failure(.damagedDWARF, "has a broken array type at \(walked) in its DWARF")
    }
    return element
  }
}
