package import Ptrauth

/// A kernel as the checks see it: its tables, its offsets, its copies of the guest switch.
package struct AuditSubject {
  /// One build of the guest switch: VHE's or nVHE's.
  struct Copy {
    /// "", "VHE" or "nVHE".
    let name: String
    /// Of the copy's symbols.
    let prefix: String
    let enter: KernelFunctionSymbol
    let exitFunction: KernelFunctionSymbol
    let exit: UInt64
    let enterWalk: PathWalk.Result
    let exitWalk: PathWalk.Result

    func place(_ function: String) -> String { name.isEmpty ? function : "\(function) (\(name))" }
  }

  let image: KernelImage
  let generation: Generation?
  package let walk: PathWalk
  let inventory: KeyInventory
  let offsets: Offsets?
  let copies: [Copy]

  package init(_ image: KernelImage, _ generation: Generation?) {
    self.image = image
    self.generation = generation
    let alternatives = image.alternatives
    let statics = image.staticBranches
    let walk = PathWalk(
      image: image, alternatives: alternatives, statics: statics,
      convention: CallConvention(image, alternatives, statics))
    self.walk = walk
    inventory = KeyInventory(image, alternatives)
    offsets = Offsets(image)
    let prefixes = ["", "__kvm_nvhe_"].filter { !image.addresses(of: $0 + "__guest_enter").isEmpty }
    copies = prefixes.compactMap { prefix in
      guard let entry = image.addresses(of: prefix + "__guest_enter").first,
        let exit = image.addresses(of: prefix + "__guest_exit").first,
        let enter = image.function(at: entry), let exitFunction = image.function(at: exit),
        enter.offset == 0, exitFunction.offset == 0 || exitFunction.address == enter.address
      else {
        image.note("\(prefix)__guest_enter or \(prefix)__guest_exit is in no function of its own")
        return nil
      }
      for name in ["__guest_enter", "__guest_exit"]
      where image.addresses(of: prefix + name).count > 1 {
        image.note("\(prefix + name) is at two places")
      }
      return Copy(
        name: prefixes.count < 2 ? "" : prefix.isEmpty ? "VHE" : "nVHE", prefix: prefix,
        enter: enter, exitFunction: exitFunction, exit: exit,
        enterWalk: walk.walk(from: entry, in: enter),
        exitWalk: walk.walk(from: exit, in: exitFunction))
    }
  }

  /// Copies that have key code at all.
  func switches(_ copy: Copy) -> Bool {
    [copy.enter, copy.exitFunction].contains { inventory.group(at: $0) != nil }
  }

  /// C code: many branches that concern other things.
  var codeWalk: PathWalk {
    var walk = walk
    walk.keepsConditions = false
    walk.inlineLimit = 256
    walk.stepLimit = 40_000
    return walk
  }

  /// Instructions as lines, `marked` among them.
  func lines(_ addresses: some Sequence<UInt64>, marked: Set<UInt64> = []) -> [CodeLine] {
    Set(addresses).union(marked).sorted().compactMap { address in
      guard let word = image.code(at: address, count: 1)?.first else { return nil }
      let owner = walk.alternatives.entry(replacingWith: address)
      let symbol: String? =
        if let owner, let function = image.function(at: owner.original.lowerBound) {
          "replacement in \(function.name)"
        } else {
          place(address)
        }
      return CodeLine(
        address: address, word: word, symbol: symbol,
        source: image.sourceLocation(of: address)?.description,
        isMarked: marked.contains(address))
    }
  }

  /// "__guest_exit+0x1c": __guest_exit is a label inside of __guest_enter from 5.x on.
  private func place(_ address: UInt64) -> String? {
    guard let function = image.function(at: address) else { return nil }
    let exit = copies.first { $0.exitFunction.address == function.address && address >= $0.exit }
    if let exit { return "\(exit.prefix)__guest_exit+0x\(hex(address - exit.exit))" }
    return "\(function.name)+0x\(hex(function.offset))"
  }

  /// What lies between the first and the last event, with a few instructions before, or the events alone if
  /// they are far from each other.
  func block(_ events: [WalkEvent], marked: Set<UInt64> = []) -> [CodeLine] {
    let places = events.map(\.pc)
    guard let first = places.min(), let last = places.max(), last - first < 512 else {
      return lines(places, marked: marked)
    }
    return lines(stride(from: first - min(first, 16), through: last + 4, by: 4), marked: marked)
  }
}

/// Where the patch's code must find things, from DWARF or BTF.
struct Offsets {
  /// From struct kvm_vcpu to the guest's context.
  let context: Int64
  /// From a context to the slot of each key register.
  let slots: [Int64]
  /// From a context to X0's.
  let registers: Int64
  /// From struct kvm_vcpu to the shadow of HCR_EL2.
  let shadow: Int64?
  /// From struct kvm_vcpu to host_cpu_context, up to 5.7.
  let hostContextPointer: Int64?
  /// From kvm_host_data to the host's context.
  let hostContext: Int64?

  init?(_ image: KernelImage) {
    func offset(_ path: String) -> Int64? {
      (try? image.offset(of: path)).flatMap { Int64(exactly: $0) }
    }
    let slots = KeyRegister.allCases.compactMap { offset("kvm_cpu_context.sys_regs[\($0.name)]") }
    guard let context = offset("kvm_vcpu.arch.ctxt"), slots.count == KeyRegister.allCases.count
    else {
      return nil
    }
    self.context = context
    self.slots = slots
    registers = offset("kvm_cpu_context.regs") ?? offset("kvm_cpu_context.gp_regs") ?? 0
    shadow = offset("kvm_vcpu.arch.ctxt.hcr_el2") ?? offset("kvm_vcpu.arch.hcr_el2")
    hostContextPointer = offset("kvm_vcpu.arch.host_cpu_context")
    hostContext = offset("kvm_host_data.host_ctxt")
  }
}
