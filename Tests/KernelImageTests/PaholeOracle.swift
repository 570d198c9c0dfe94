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
  }

  func text(of type: String) throws -> String {
    try run("pahole", ["-F", format.rawValue, "-C", type, path])
  }

  func layout(of type: String) throws -> Layout {
    var layout = Layout()
    /// Members of each open brace.
    var open: [[(String, UInt64)]] = []
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
        open[open.count - 1].append((name.replacing("*", with: ""), offset))
        open[open.count - 1] += inner.map { ("\(name).\($0.0)", $0.1) }
      }
    }
    for (name, offset) in open.first ?? [] { layout.offsets[name] = offset }
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
