import Ptrauth

/// Every instruction of a kernel that reads or writes a key register, by the function it belongs to.
struct KeyInventory {
  struct Group {
    var place: String
    var function: KernelFunctionSymbol?
    var addresses: [UInt64] = []
    var reads: [KeyRegister] = []
    var writes: [KeyRegister] = []
  }

  /// By address.
  private(set) var groups: [Group] = []

  init(_ image: KernelImage, _ alternatives: Alternatives) {
    var places: [String: Int] = [:]
    for (address, word) in image.keyAccesses() {
      // Replacements belong to the function that they are patched into.
      let owner = alternatives.entry(replacingWith: address)?.original.lowerBound ?? address
      let function = image.function(at: owner)
      let place = function?.name ?? image.symbols?.nearestLabel(below: owner) ?? "no symbol"
      let key = function.map { "\($0.address)" } ?? place
      let index = places[key] ?? groups.count
      if index == groups.count {
        places[key] = index
        groups.append(Group(place: place, function: function.map(Self.whole)))
      }
      groups[index].addresses.append(address)
      switch A64Instruction(word, at: address) {
      case .keyRead(let key, _): groups[index].reads.append(key)
      case .keyWrite(let key, _): groups[index].writes.append(key)
      default: break
      }
    }
    // Of the kernel's entries, which are labels, none reads one.
    for group in groups where group.function == nil && !group.reads.isEmpty {
      image.note("0x\(hex(group.addresses[0])) reads a key register in no function")
    }
  }

  private static func whole(_ symbol: KernelFunctionSymbol) -> KernelFunctionSymbol {
    KernelFunctionSymbol(
      name: symbol.name, address: symbol.address, size: symbol.size, offset: 0)
  }

  /// The accesses of one function.
  func group(at function: KernelFunctionSymbol) -> Group? {
    groups.first { $0.function?.address == function.address }
  }

  /// Functions that save host keys: they read, and write none.
  var savers: [Group] {
    groups.filter {
      $0.function != nil && $0.writes.isEmpty && !$0.reads.isEmpty && !Self.isEmulation($0.place)
    }
  }

  /// - Parameter isOfKVM: its source is KVM's, or its name.
  static func user(_ group: Group, isGuestSwitch: Bool, isOfKVM: Bool) -> KeySites.User {
    if isGuestSwitch { return .guestSwitch }
    if isEmulation(group.place) { return .emulation }
    let isHyp = group.place.hasPrefix("__kvm_nvhe_")
    if !group.reads.isEmpty {
      if group.writes.isEmpty { return isKVM(group.place) ? .hostSave : .unknown }
      return isHyp ? .hypervisor : .unknown
    }
    if isHyp || isOfKVM { return .unknown }
    // The kernel proper only installs keys of tasks: APIA alone, the others, or all five.
    let keys = Set(group.writes.map { $0.rawValue / 2 })
    let areWhole = Set(group.writes).count == 2 * keys.count
    return areWhole ? .kernel : .unknown
  }

  private static func isEmulation(_ place: String) -> Bool {
    ["compute_pac", "kvm_auth_eretax"].contains { place.hasPrefix($0) }
  }

  /// Code of KVM's, at whichever exception level, by its name.
  static func isOfKVM(_ place: String) -> Bool {
    place.hasPrefix("__kvm_nvhe_")
      // The kernel's own functions of that name install and reset tasks' keys.
      || !place.hasPrefix("ptrauth_") && isKVM(place)
      || ["activate_traps", "__sysreg_", "guest"].contains { place.contains($0) }
  }

  private static func isKVM(_ place: String) -> Bool {
    ["kvm", "fixup_guest_exit", "hyp", "vcpu", "trap_ptrauth", "handle_exit", "ptrauth"].contains {
      place.contains($0)
    }
  }
}
