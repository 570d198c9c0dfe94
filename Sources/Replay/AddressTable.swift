/// What is known of addresses, of which the same few come again and again.
///
/// Those that were set last are found without hashing; a dictionary without a seed could be made slow by the addresses
/// of a file.
struct AddressTable<Value> {
  private var all: [UInt64: Value] = [:]
  private var recent: [(address: UInt64, value: Value)?] = Array(repeating: nil, count: 64)

  /// Kernel objects and instructions lie at multiples of 4 or more.
  private static func place(_ address: UInt64) -> Int {
    Int(truncatingIfNeeded: (address >> 2 ^ address >> 8 ^ address >> 14) & 63)
  }

  subscript(_ address: UInt64) -> Value? {
    get {
      if let entry = recent[Self.place(address)], entry.address == address { return entry.value }
      return all[address]
    }
    set {
      all[address] = newValue
      recent[Self.place(address)] = newValue.map { (address, $0) }
    }
  }

  /// In ascending order.
  var addresses: [UInt64] { all.keys.sorted() }
}
