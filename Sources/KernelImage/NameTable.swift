import CElfutils
private import Printing

/// The names of a symbol table: a section of texts that end with NUL. They stay in the file.
@safe struct NameTable {
  /// Keeps the file open that ``bytes`` lies in.
  private let elf: ElfImage
  /// Ends with a NUL.
  private let bytes: UnsafeBufferPointer<UInt8>

  init?(_ elf: ElfImage, section: Int) {
    guard let scn = unsafe elf_getscn(elf.handle, section),
      let data = unsafe elf_rawdata(scn, nil), let start = unsafe data.pointee.d_buf
    else { return nil }
    let size = unsafe Int(clamping: data.pointee.d_size)
    let all = unsafe UnsafeBufferPointer(
      start: start.assumingMemoryBound(to: UInt8.self), count: size)
    guard let last = unsafe all.lastIndex(of: 0) else { return nil }
    self.elf = elf
    unsafe bytes = unsafe UnsafeBufferPointer(rebasing: all[...last])
  }

  /// Longer names are cut, in bytes: the kernel's have at most 512 (KSYM_NAME_LEN), and those of a file that lies
  /// can all be one.
  private static let limit = 4096

  /// NUL of an empty name; nil outside of the section.
  func first(at offset: Int) -> UInt8? {
    guard offset >= 0, unsafe offset < bytes.count else { return nil }
    return unsafe bytes[offset]
  }

  /// Empty outside of the section. What could steer a terminal, or be a line of a report, is written out.
  func name(at offset: Int) -> String {
    guard first(at: offset) != nil else { return "" }
    let name = unsafe bytes[offset...].prefix(Self.limit).prefix { $0 != 0 }
    return unsafe ControlCharacters.escaped(String(decoding: name, as: UTF8.self))
  }

  /// - Parameter end: a character that ends the name too.
  func hash(at offset: Int, upTo end: UInt8 = 0) -> UInt32 {
    guard first(at: offset) != nil else { return Self.hash([]) }
    var hash = Self.seed
    var place = offset
    while place < offset + Self.limit, case let byte = unsafe bytes[place], byte != 0, byte != end {
      hash = hash &* 33 &+ UInt32(byte)
      place += 1
    }
    return hash
  }

  /// That of DT_GNU_HASH.
  static func hash(_ name: some Sequence<UInt8>) -> UInt32 {
    name.reduce(seed) { $0 &* 33 &+ UInt32($1) }
  }

  private static let seed: UInt32 = 5381
}
