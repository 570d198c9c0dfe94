import CElfutils

/// The types that one compile unit defines at file level, read in one pass; what it only declares is found
/// elsewhere.
struct UnitTypes {
  private var definitions: [String: DebugEntry] = [:]
  private let elsewhere: DebugInformation

  /// - Parameter wanted: names as C strings; all others are left out.
  init(of unit: DebugEntry, _ wanted: [[CChar]], else information: DebugInformation) {
    elsewhere = information
    var found: [String: DebugEntry] = [:]
    _ = unit.firstChild { child -> Void? in
      switch Int(child.tag) {
      case DW_TAG_structure_type, DW_TAG_union_type, DW_TAG_enumeration_type: break
      default: return nil
      }
      guard let index = wanted.firstIndex(where: child.isNamed), !child.isDeclaration,
        let name = child.name, name.utf8.count + 1 == wanted[index].count
      else { return nil }
      if found[name] == nil { found[name] = child }
      return nil
    }
    definitions = found
  }

  var isEmpty: Bool { definitions.isEmpty }

  /// Whether the unit itself has an answer to give.
  func defines(_ question: TypeQuestion) -> Bool {
    if let root = question.root { return definitions[Self.bare(root)] != nil }
    guard case .enumerator(let name, _) = question else { return false }
    return ownEnumerator(name, in: nil) != nil
  }

  private static func bare(_ name: String) -> String {
    name.split(separator: " ").last.map(String.init) ?? name
  }

  private func ownEnumerator(_ name: String, in enumeration: String?) -> Int64? {
    let wanted = Array(name.utf8CString)
    for (type, entry) in definitions.sorted(by: { $0.key < $1.key })
    where Int(entry.tag) == DW_TAG_enumeration_type && (enumeration ?? type) == type {
      let value = entry.firstChild { $0.isNamed(wanted) ? $0.enumeratorValue : nil }
      if let value { return value }
    }
    return nil
  }
}

extension UnitTypes: TypeSource {
  static var format: TypeFormat { .dwarf }

  func definition(of name: String) -> DebugEntry? {
    definitions[Self.bare(name)] ?? elsewhere.definition(of: name)
  }

  func enumerator(_ name: String, in enumeration: String?) -> Int64? {
    ownEnumerator(name, in: enumeration) ?? elsewhere.enumerator(name, in: enumeration)
  }
}

extension DebugInformation {
  /// Names of the enumerations that hold the enumerators which these questions name, in brackets or outright.
  func enumerations(holding questions: [TypeQuestion]) -> [String] {
    let names = questions.flatMap { question -> [String] in
      switch question {
      case .offset(let path): MemberPath(path)?.steps.flatMap(\.indices) ?? []
      case .enumerator(let name, nil): [name]
      case .enumerator, .size: []
      }
    }
    var found: Set<String> = []
    for name in Set(names) where name.utf8.first.map({ $0 > 0x39 }) ?? false {
      let wanted = Array(name.utf8CString)
      let owner = search { unit in
        unit.firstChild { child in
          Int(child.tag) == DW_TAG_enumeration_type
            && child.firstChild { $0.isNamed(wanted) ? true : nil } == true ? child : nil
        }
      }
      if let name = owner?.name { found.insert(name) }
    }
    return found.sorted()
  }
}
