import CElfutils
import Glibc

/// `.symtab`, sorted by address once; names stay in the file until asked for.
@safe package final class SymbolTable {
  private struct Entry {
    let address: UInt64
    /// Bytes; 0 if the assembler was not told.
    let size: UInt64
    let nameOffset: Int
    /// 0 global, 1 weak, 2 local: the order in which aliases are preferred.
    let rank: UInt8
  }

  private let names: NameTable
  private var all: [Entry] = []
  /// Of the names of ``all``.
  private var hashes: [UInt32] = []
  private var functions: [Entry] = []
  /// Of the names of ``functions`` up to their first dot.
  private var stems: [UInt32] = []
  /// For each function the last one in front of it that ends behind it, where a search looks next; -1: none.
  private var outer: [Int32] = []
  private var labels: [Entry] = []
  /// Where functions begin that share bytes with another that is not as long as they are (an alias is).
  private var overlapping: Set<UInt64> = []
  /// What was asked for by name: each answer costs a pass over all hashes.
  private var knownAddresses: [String: [UInt64]] = [:]
  private var knownFunctions: [String: [KernelFunctionSymbol]] = [:]

  /// Functions may take so many times the bytes of all code: aliases are rare.
  private static let overlapLimit: UInt64 = 16

  /// Throws `.noSymbols` if the file has no symbol table (it is stripped) or none that can be read, `.damaged` if all
  /// functions lie on top of one another: each would be read for itself.
  init(_ elf: ElfImage) throws(KernelImageError) {
    guard
      let section = elf.sections.first(where: { $0.type == UInt32(SHT_SYMTAB) && $0.size > 0 }),
      let scn = unsafe elf_getscn(elf.handle, section.index),
      let data = unsafe elf_getdata(scn, nil), let names = NameTable(elf, section: section.link)
    else {
      throw KernelImageError(
        .noSymbols, elf.path,
        "has no symbol table: it is stripped; give the vmlinux of the kernel's -dbg package or build"
      )
    }
    self.names = names
    let codeSections = Set(elf.sections.filter(\.isExecutable).map(\.index))
    let count = unsafe min(data.pointee.d_size / 24, Int(Int32.max))
    all.reserveCapacity(count)
    hashes.reserveCapacity(count)
    for index in 0..<Int32(count) {
      var symbol = GElf_Sym()
      guard unsafe gelf_getsym(data, index, &symbol) != nil, symbol.st_shndx != UInt16(SHN_UNDEF),
        symbol.st_name != 0, let first = names.first(at: Int(symbol.st_name)),
        ElfImage.isAddressable(symbol.st_value, 0)
      else { continue }
      let type = Int32(symbol.st_info & 0xf)
      let binding = Int32(symbol.st_info >> 4)
      if type == STT_FILE || type == STT_SECTION { continue }
      // $x and $d are the mapping symbols of the AArch64 ELF ABI: code or data, not places.
      if first == 0x24 { continue }
      let entry = Entry(
        address: symbol.st_value, size: symbol.st_size, nameOffset: Int(symbol.st_name),
        rank: binding == STB_GLOBAL ? 0 : binding == STB_WEAK ? 1 : 2)
      all.append(entry)
      hashes.append(names.hash(at: entry.nameOffset))
      if type == STT_FUNC {
        functions.append(entry)
      } else if type == STT_NOTYPE, codeSections.contains(Int(symbol.st_shndx)) {
        labels.append(entry)
      }
    }
    let code = elf.codeSize
    let covered = functions.reduce(UInt64(0)) { Self.sum($0, $1.size) }
    guard covered / Self.overlapLimit <= code else {
      throw KernelImageError(
        .damaged, elf.path,
        "has functions that overlap, \(covered) bytes of them in \(code) bytes of code: no compiler does that; "
          + "fetch or build the vmlinux again")
    }
    functions.sort(by: before)
    labels.sort(by: before)
    stems = functions.map { names.hash(at: $0.nameOffset, upTo: UInt8(ascii: ".")) }
    outer.reserveCapacity(functions.count)
    for (index, function) in functions.enumerated() {
      var other = Int32(index) - 1
      while other >= 0, end(of: functions[Int(other)]) <= end(of: function) {
        other = outer[Int(other)]
      }
      outer.append(other)
    }
    findOverlaps()
  }

  private func findOverlaps() {
    // The function that ends last, so far.
    var last: Entry?
    for function in functions where function.size > 0 {
      if let last, function.address < end(of: last),
        function.address != last.address || function.size != last.size
      {
        overlapping.formUnion([last.address, function.address])
      }
      if last.map({ end(of: $0) < end(of: function) }) ?? true { last = function }
    }
  }

  /// By address; of aliases the one to prefer last, so that a search from behind meets it first.
  private func before(_ a: Entry, _ b: Entry) -> Bool {
    if a.address != b.address { return a.address < b.address }
    if a.rank != b.rank { return a.rank > b.rank }
    return name(of: a) > name(of: b)
  }

  private func end(of entry: Entry) -> UInt64 { Self.sum(entry.address, entry.size) }

  private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
  }

  private func name(of entry: Entry) -> String { names.name(at: entry.nameOffset) }

  /// Index of the last entry at or below `address`.
  private func last(in entries: [Entry], atOrBelow address: UInt64) -> Int? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = low + (high - low) / 2
      if entries[middle].address <= address { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? low - 1 : nil
  }

  /// Addresses of every symbol of that name, ascending.
  func addresses(of symbol: String) -> [UInt64] {
    if let known = knownAddresses[symbol] { return known }
    let hash = NameTable.hash(symbol.utf8)
    var found: Set<UInt64> = []
    for (index, other) in hashes.enumerated() where other == hash {
      if name(of: all[index]) == symbol { found.insert(all[index].address) }
    }
    let addresses = found.sorted()
    knownAddresses[symbol] = addresses
    return addresses
  }

  /// Whether a function that begins there shares bytes with another one.
  func isOverlapped(at address: UInt64) -> Bool { overlapping.contains(address) }

  /// Of a name that several symbols have, the places that it stands for in all files: no linker lets there be two.
  func globalAddresses(of symbol: String) -> Set<UInt64> {
    guard addresses(of: symbol).count > 1 else { return [] }
    let hash = NameTable.hash(symbol.utf8)
    let places = hashes.indices.filter {
      hashes[$0] == hash && all[$0].rank == 0 && name(of: all[$0]) == symbol
    }
    return Set(places.map { all[$0].address })
  }

  /// Where the first FUNC behind an address begins.
  func functionStart(behind address: UInt64) -> UInt64? {
    let index = last(in: functions, atOrBelow: address).map { $0 + 1 } ?? 0
    return index < functions.count ? functions[index].address : nil
  }

  /// Whether a NOTYPE symbol of a code section names that address.
  func hasLabel(at address: UInt64) -> Bool {
    last(in: labels, atOrBelow: address).map { labels[$0].address == address } ?? false
  }

  /// The innermost FUNC whose [address, address + size) holds `address`.
  func function(at address: UInt64) -> KernelFunctionSymbol? {
    guard var index = last(in: functions, atOrBelow: address) else { return nil }
    while index >= 0 {
      let entry = functions[index]
      if address < end(of: entry) {
        return KernelFunctionSymbol(
          name: name(of: entry), address: entry.address, size: entry.size,
          offset: address - entry.address)
      }
      index = Int(outer[index])
    }
    return nil
  }

  /// The FUNC that begins at an address, of whatever size: what compilers make for themselves may have none.
  func functionName(beginningAt address: UInt64) -> String? {
    guard let index = last(in: functions, atOrBelow: address), functions[index].address == address
    else { return nil }
    return name(of: functions[index])
  }

  /// The nearest NOTYPE symbol at or below `address` that lies strictly inside the same FUNC.
  func label(at address: UInt64) -> String? {
    guard let function = function(at: address), let index = last(in: labels, atOrBelow: address),
      labels[index].address > function.address
    else { return nil }
    return name(of: labels[index])
  }

  /// The nearest NOTYPE symbol of a code section at or below `address`.
  func nearestLabel(below address: UInt64) -> String? {
    last(in: labels, atOrBelow: address).map { name(of: labels[$0]) }
  }

  /// FUNC symbols called `name`, or a part the compiler split from it (`name.isra.0`, `name.cold`).
  package func functions(called name: String) -> [KernelFunctionSymbol] {
    if let known = knownFunctions[name] { return known }
    let stem = NameTable.hash(name.utf8.prefix { $0 != UInt8(ascii: ".") })
    var found: [KernelFunctionSymbol] = []
    for (index, other) in stems.enumerated() where other == stem {
      let entry = functions[index]
      let whole = self.name(of: entry)
      guard whole.utf8.starts(with: name.utf8) else { continue }
      let next = whole.utf8.dropFirst(name.utf8.count).first
      if next == nil || next == UInt8(ascii: ".") {
        found.append(
          KernelFunctionSymbol(name: whole, address: entry.address, size: entry.size, offset: 0))
      }
    }
    knownFunctions[name] = found
    return found
  }
}
