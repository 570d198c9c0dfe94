/// Symbols of the kernel that runs, from /proc/kallsyms: "ffff800008000000 T _text", a module's with its name.
public struct KernelSymbolTable: Sendable {
  private var addressesByName: [String: [UInt64]] = [:]
  private var codeByAddress: [UInt64: [String]] = [:]

  public init(_ text: [UInt8]) {
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let words = line.split(maxSplits: 3) { $0 == 0x20 || $0 == 0x09 }
      guard words.count >= 3,
        let address = UInt64(String(decoding: words[0], as: UTF8.self), radix: 16)
      else { continue }
      let name = String(decoding: words[2], as: UTF8.self)
      addressesByName[name, default: []].append(address)
      if words[1].first == UInt8(ascii: "t") || words[1].first == UInt8(ascii: "T") {
        codeByAddress[address, default: []].append(name)
      }
    }
  }

  public var isEmpty: Bool { addressesByName.isEmpty }

  public func addresses(of name: String) -> [UInt64] { addressesByName[name] ?? [] }

  /// Names of code at an address.
  func code(at address: UInt64) -> [String] { codeByAddress[address] ?? [] }
}
