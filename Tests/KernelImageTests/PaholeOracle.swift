import KernelImage

/// Struct layouts as pahole (apt package dwarves) prints them.
struct PaholeOracle {
  enum Format: String, CaseIterable, Sendable { case dwarf, btf }

  let path: String
  let format: Format

  struct Layout {
    /// Bytes.
    var size: UInt64?
    /// Offset by member path, anonymous members hoisted, named ones nested: `mmio.phys_addr`.
    var offsets: [String: UInt64] = [:]
    /// Its type by member path: "struct kvm_vcpu_arch", "u64"; without pointers.
    var types: [String: String] = [:]
  }

  func text(of type: String) throws -> String {
    // pahole 1.30 prints the type, and then finds an invalid argument.
    try run("pahole", ["-F", format.rawValue, "-C", type, path]) {
      $0.contains(" \(type) {") && $0.contains("\n}")
    }
  }

  func layout(of type: String) throws -> Layout {
    var layout = Layout()
    /// Members of each open brace.
    var open: [[(name: String, offset: UInt64, type: String?)]] = []
    for line in try text(of: type).split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      if words.first == "/*" {
        if words.count > 2, words[1] == "size:" { layout.size = UInt64(words[2].dropLast()) }
        continue
      }
      guard let comment = words.lastIndex(of: "/*") else {
        if line.hasSuffix("{") { open.append([]) }
        continue
      }
      // "type name[3]; /* offset size */", and "} name; /* offset size */" at a closing brace.
      let closing = line.contains("}")
      let inner = closing ? open.popLast() ?? [] : []
      guard comment + 2 < words.count, let offset = UInt64(words[comment + 1]),
        !line.contains("(*"), !open.isEmpty
      else { continue }
      let declaration =
        words[..<comment].joined(separator: " ")
        .split(separator: "__attribute__").first.map(String.init) ?? ""
      let last = declaration.split(separator: " ").last ?? ""
      let name =
        last.split(separator: ";").first?.split(separator: "[").first.map(String.init) ?? ""
      if closing, name.isEmpty || name == "}" {
        open[open.count - 1] += inner
      } else if !name.contains(":") {
        let words = declaration.split(separator: " ").dropLast()
        let type = closing || name.hasPrefix("*") ? nil : words.joined(separator: " ")
        open[open.count - 1].append((name.replacing("*", with: ""), offset, type))
        open[open.count - 1] += inner.map { ("\(name).\($0.name)", $0.offset, $0.type) }
      }
    }
    for (name, offset, type) in open.first ?? [] {
      layout.offsets[name] = offset
      layout.types[name] = type
    }
    return layout
  }

  func enumerators(of type: String) throws -> [String: Int64] {
    var values: [String: Int64] = [:]
    for line in try text(of: type).split(separator: "\n") {
      let words = line.split(whereSeparator: { " \t,".contains($0) })
      if words.count == 3, words[1] == "=", let value = Int64(words[2]) {
        values[String(words[0])] = value
      }
    }
    return values
  }
}

/// Offsets of whole paths, struct by struct as pahole prints them.
struct PaholeWalk {
  private let oracle: PaholeOracle
  private var layouts: [String: PaholeOracle.Layout] = [:]
  private var registers: [String: Int64]?

  init(_ oracle: PaholeOracle) { self.oracle = oracle }

  /// Nil: pahole shows no such member.
  mutating func offset(of path: String) throws -> UInt64? {
    var parts = path.split(separator: ".").map(String.init)[...]
    guard var type = parts.popFirst() else { return nil }
    var sum: UInt64 = 0
    for part in parts {
      let pieces = part.split(separator: "[")
      let layout = try layout(of: type)
      guard let first = pieces.first, let offset = layout.offsets[String(first)] else { return nil }
      sum += offset
      type = layout.types[String(first)] ?? ""
      guard pieces.count > 1 else { continue }
      guard type == "u64", let index = try register(String(pieces[1].dropLast())) else {
        return nil
      }
      sum += 8 * UInt64(index)
    }
    return sum
  }

  private mutating func register(_ name: String) throws -> Int64? {
    if registers == nil { registers = try oracle.enumerators(of: "vcpu_sysreg") }
    return registers?[name]
  }

  private mutating func layout(of type: String) throws -> PaholeOracle.Layout {
    let name = type.split(separator: " ").last.map(String.init) ?? type
    if let known = layouts[name] { return known }
    let layout = try oracle.layout(of: name)
    layouts[name] = layout
    return layout
  }
}
