import KernelImage
import Testing

/// A copy of a recorded kernel whose headers, symbols or types say something else.
struct ChangedFile {
  private(set) var bytes: [UInt8]
  private let scratch: Scratch

  init(_ kernel: RecordedKernel) throws { try self.init(plain: kernel.plainPath()) }

  /// - Parameter plain: an unpacked vmlinux.
  init(plain: String) throws {
    bytes = try readBytes(plain)
    scratch = try Scratch()
  }

  func value<Number: FixedWidthInteger>(_ type: Number.Type, at place: Int) -> Number {
    (0..<Number.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Number(bytes[place + $1]) }
  }

  mutating func put<Number: FixedWidthInteger>(_ value: Number, at place: Int) {
    bytes.replaceSubrange(place..<place + Number.bitWidth / 8, with: number(value))
  }

  /// Where an Elf64_Shdr is.
  func header(of section: String) throws -> Int {
    let table = Int(value(UInt64.self, at: 40))
    let names = start(ofSectionAt: table + 64 * Int(value(UInt16.self, at: 62)))
    let places = (0..<Int(value(UInt16.self, at: 60))).map { table + 64 * $0 }
    return try #require(
      places.first { isText(section, at: names + Int(value(UInt32.self, at: $0))) })
  }

  func start(ofSectionAt header: Int) -> Int { Int(value(UInt64.self, at: header + 24)) }
  func size(ofSectionAt header: Int) -> Int { Int(value(UInt64.self, at: header + 32)) }

  /// Where an Elf64_Sym is.
  func symbol(_ name: String) throws -> Int {
    let table = try header(of: ".symtab")
    let names = try start(ofSectionAt: header(of: ".strtab"))
    let start = start(ofSectionAt: table)
    let places = stride(from: start, to: start + size(ofSectionAt: table), by: 24)
    return try #require(places.first { isText(name, at: names + Int(value(UInt32.self, at: $0))) })
  }

  /// Where the offset of a BTF member is, in bits; of the first that has the name.
  func offset(ofMember name: String) throws -> Int {
    let start = try start(ofSectionAt: header(of: ".BTF"))
    let head = start + Int(value(UInt32.self, at: start + 4))
    let texts = head + Int(value(UInt32.self, at: start + 16))
    let end = texts + Int(value(UInt32.self, at: start + 20))
    let text = try #require((texts..<end).first { isText("\0" + name, at: $0) })
    let wanted = UInt32(text + 1 - texts)
    let types = head + Int(value(UInt32.self, at: start + 8))
    let places = stride(from: types, to: types + Int(value(UInt32.self, at: start + 12)), by: 4)
    return try #require(places.first { value(UInt32.self, at: $0) == wanted }) + 8
  }

  private func isText(_ text: String, at place: Int) -> Bool {
    bytes[place...].starts(with: Array(text.utf8) + [0])
  }

  func open() throws -> KernelImage {
    try write(bytes, to: scratch.path + "/vmlinux")
    return try KernelImage(path: scratch.path + "/vmlinux")
  }
}

/// Why something is refused; nil: it is not.
func refusal(_ ask: () throws -> Void) throws -> KernelImageError.Code? {
  do { try ask() } catch let error as KernelImageError { return error.code }
  return nil
}
