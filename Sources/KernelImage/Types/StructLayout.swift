/// Offsets of members, walked along a `MemberPath` in DWARF or BTF.
struct StructLayout<Source: TypeSource>: StructOffsets {
  let source: Source
  /// The image's path, for errors.
  let image: String

  /// Anonymous structs and unions nested deeper than this are a damaged file.
  private static var nestingLimit: Int { 32 }

  var format: TypeFormat { Source.format }

  func enumerator(_ name: String, in enumeration: String?) -> Int64? {
    source.enumerator(name, in: enumeration)
  }

  func size(of type: String) throws(KernelImageError) -> UInt64 {
    guard let found = source.definition(of: type) else {
      throw failure(.noSuchType, "has no definition of \(type) in its \(format.rawValue)")
    }
    guard let size = found.byteSize else {
      throw failure(.damagedTypes, "has no size for \(type) in its \(format.rawValue)")
    }
    return size
  }

  /// Bytes from the start of the path's type to the end of the path.
  func offset(of text: String) throws(KernelImageError) -> UInt64 {
    guard let path = MemberPath(text), !path.steps.isEmpty else {
      throw failure(.malformedPath, "cannot look up \"\(text)\": write type.member[index].member")
    }
    guard let root = source.definition(of: path.type) else {
      throw failure(
        .noSuchType, "has no definition of struct \(path.type) in its \(format.rawValue)")
    }
    var type = root
    var offset: UInt64 = 0
    var walked = path.type
    for step in path.steps {
      let container = try inside(type, walked)
      var seen: Set<UInt64> = []
      guard let found = member(step.member, of: container, depth: 0, &seen) else {
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
    guard !overflow, sum <= Int32.max else {
      throw failure(.damagedTypes, "has absurd \(format.rawValue) for \(walked)")
    }
    return sum
  }

  /// The struct or union that a path may go on in.
  private func inside(
    _ type: Source.Entry, _ walked: String
  ) throws(KernelImageError) -> Source.Entry {
    guard let bare = type.unqualified else {
      throw failure(.damagedTypes, "has a broken type for \(walked) in its \(format.rawValue)")
    }
    switch bare.shape {
    case .aggregate:
      // A unit may only declare the struct that another one defines.
      guard bare.isDeclaration, let name = bare.name else { return bare }
      guard let definition = source.definition(of: name) else {
        throw failure(
          .noSuchType, "has no definition of struct \(name) in its \(format.rawValue)")
      }
      return definition
    case .pointer:
      throw failure(.notInside, "has a pointer at \(walked): an offset ends there")
    case .array:
      throw failure(.notInside, "has an array at \(walked): give an index")
    case .other:
      throw failure(.notInside, "has no members in \(walked): it is no struct or union")
    }
  }

  /// A member by name, anonymous structs and unions searched through. Offset nil: a bit field.
  /// - Parameter seen: those that do not have it. One that holds itself twice would be searched through for ever.
  private func member(
    _ name: String, of container: Source.Entry, depth: Int, _ seen: inout Set<UInt64>
  ) -> (offset: UInt64?, type: Source.Entry?)? {
    guard depth < Self.nestingLimit, seen.insert(container.identity).inserted else { return nil }
    let wanted = Array(name.utf8CString)
    return container.firstMember(named: wanted) {
      found -> (offset: UInt64?, type: Source.Entry?)? in
      guard found.isAnonymous else { return (found.offset, found.type) }
      guard let type = found.type?.unqualified, type.shape == .aggregate, let start = found.offset,
        let inner = member(name, of: type, depth: depth + 1, &seen)
      else { return nil }
      guard let offset = inner.offset else { return (nil, inner.type) }
      let (sum, overflow) = start.addingReportingOverflow(offset)
      return overflow ? nil : (sum, inner.type)
    }
  }

  /// Bytes from the start of an array to element `index` of its dimension number `dimension`.
  private func element(
    _ index: String, of type: Source.Entry, dimension: Int, _ walked: String
  ) throws(KernelImageError) -> UInt64 {
    guard let array = type.unqualified?.array else {
      throw failure(.notInside, "has no array at \(walked): it takes no index")
    }
    let counts = array.counts
    guard dimension < counts.count, var stride = array.element.byteSize else {
      throw failure(.notInside, "has fewer dimensions at \(walked) than indices were given")
    }
    for inner in counts[(dimension + 1)...] {
      let (product, overflow) = stride.multipliedReportingOverflow(by: inner ?? 0)
      guard !overflow else {
        throw failure(.damagedTypes, "has absurd \(format.rawValue) for \(walked)")
      }
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

  private func number(_ index: String) -> UInt64? {
    if let first = index.utf8.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) {
      return index.hasPrefix("0x") ? UInt64(index.dropFirst(2), radix: 16) : UInt64(index)
    }
    return source.enumerator(index, in: nil).flatMap(UInt64.init(exactly:))
  }

  /// What is left of the type once every dimension has its index; an array stays one without indices.
  private func elementType(
    _ type: Source.Entry, indices: Int, _ walked: String
  ) throws(KernelImageError) -> Source.Entry {
    guard indices > 0 else { return type }
    guard let element = type.unqualified?.array?.element else {
      throw failure(.damagedTypes, "has a broken array type at \(walked) in its \(format.rawValue)")
    }
    return element
  }
}

/// Offsets, sizes and enumerators, wherever they come from.
protocol StructOffsets {
  var format: TypeFormat { get }
  /// Bytes from the start of the path's type to the end of the path.
  func offset(of path: String) throws(KernelImageError) -> UInt64
  /// Bytes of a struct, union, enumeration, typedef or base type.
  func size(of type: String) throws(KernelImageError) -> UInt64
  func enumerator(_ name: String, in enumeration: String?) -> Int64?
}
