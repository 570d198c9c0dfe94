import Ptrauth

/// S1, S11 and S12: the kernel as a whole.
struct KernelChecks {
  let subject: AuditSubject

  func sites() -> [KeySites] {
    subject.inventory.groups.map { group in
      let isSwitch = subject.copies.contains { copy in
        [copy.enter.address, copy.exitFunction.address].contains(group.function?.address)
      }
      return KeySites(
        address: group.addresses.first ?? 0, place: group.place,
        user: KeyInventory.user(group, isGuestSwitch: isSwitch, isOfKVM: isOfKVM(group)),
        reads: group.reads, writes: group.writes)
    }
  }

  private func isOfKVM(_ group: KeyInventory.Group) -> Bool {
    let source = group.function.flatMap { subject.image.sourceLocation(of: $0.address) }
    return source?.description.contains("arch/arm64/kvm/") ?? false
      || KeyInventory.isOfKVM(group.place)
  }

  func inventory(_ sites: [KeySites]) -> CodeCheck {
    let count = subject.inventory.groups.reduce(0) { $0 + $1.addresses.count }
    let strangers = sites.filter { $0.user == .unknown }
    guard strangers.isEmpty else {
      let groups = subject.inventory.groups.filter { group in
        strangers.contains { $0.address == group.addresses.first }
      }
      // A write of KVM's outside of guest entry and exit leaves other keys live than the checks of those take for granted.
      let ofKVM = Set(groups.filter(isOfKVM).compactMap(\.addresses.first))
      let writers = strangers.filter { !$0.writes.isEmpty && ofKVM.contains($0.address) }
      return CodeCheck(
        .sites, writers.isEmpty ? .note : .cannotJudge, at: "vmlinux",
        "\(strangers.map(\.place).joined(separator: ", ")): known from none of the kernels seen so far"
          + (writers.isEmpty
            ? "" : "; \(writers.map(\.place).joined(separator: ", ")) writes key registers"),
        lines: subject.lines(groups.flatMap(\.addresses)))
    }
    return CodeCheck(
      .sites, count == 0 ? .notApplicable : .pass, at: "vmlinux",
      count == 0
        ? "no instruction touches a key register" : "\(count) accesses in \(sites.count) places")
  }

  func copies() -> CodeCheck {
    let names = subject.copies.map { $0.place("__guest_enter") }.joined(separator: ", ")
    guard subject.copies.count > 1 else {
      return CodeCheck(
        .copies, .notApplicable, at: names.isEmpty ? "__guest_enter" : names,
        "one copy: before 5.9 the same code serves both")
    }
    let silent = subject.copies.filter { !subject.switches($0) }
    guard let first = silent.first else {
      return CodeCheck(.copies, .pass, at: names, "both copies switch keys, and both are audited")
    }
    // Up to 5.8 guest ptrauth needs VHE.
    let isVHEOnly = subject.generation.map { !$0.supportsNVHE } ?? false
    if isVHEOnly, silent.count == 1, first.name == "nVHE" {
      return CodeCheck(
        .copies, .notApplicable, at: names, "guest ptrauth needs VHE in this generation")
    }
    return CodeCheck(
      .copies, .fail, at: first.place("__guest_enter"), "this copy switches no keys",
      rule: .missedGuestRestore)
  }

  func era() -> CodeCheck {
    let names = ["__switch_to", "ptrauth_keys_install_user", "ptrauth_thread_switch"]
    func writes(_ isIn: (String) -> Bool) -> Int {
      subject.inventory.groups.filter { isIn($0.place) }.map { Set($0.writes).count }.max() ?? 0
    }
    let atSwitch = writes { place in names.contains { place.hasPrefix($0) } }
    let usesKeys = subject.image.kernelUsesPointerAuth
    let kernel =
      switch usesKeys {
      case true?: "the kernel signs return addresses with APIA"
      case false?: "the kernel signs nothing: only user processes use the host's keys"
      case nil: "whether the kernel signs return addresses is not known"
      }
    let user =
      switch atSwitch {
      case 10: "; tasks get all five keys at the switch"
      case 8: "; tasks get APIB, APDA, APDB and APGA at the switch, APIA on return"
      default: ""
      }
    return CodeCheck(.era, usesKeys == nil ? .cannotJudge : .pass, at: "kernel", kernel + user)
  }
}
