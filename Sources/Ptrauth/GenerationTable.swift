extension Generation {
  /// Up to 5.1: kvm_handle_ptrauth only injects UNDEF.
  public static let g0 = Generation(
    name: "5.0", id: "G0", load: .nothing, hostSave: .never, trap: .reachesHost, guardReads: .none,
    hasHostContextPointer: true, exitSynchronizes: false, featureTest: .never, supportsNVHE: false,
    resetCheck: .none, idMask: .always, hidesKeyRegisters: true, nestedBits: .unsupported,
    protectedKeys: .hosts, eras: [.a],
    origin: "before the series: the lines that v7 removes")

  /// v1 to about v6 as posted: C code, host keys saved on every entry.
  public static let g1 = Generation(
    name: "v6", id: "G1", load: .clears, hostSave: .everyEntry, trap: .reachesHost,
    guardReads: .shadow, hasHostContextPointer: true, exitSynchronizes: false,
    featureTest: .hostAlone, supportsNVHE: false, resetCheck: .none, idMask: .withoutFeature,
    hidesKeyRegisters: false, nestedBits: .unsupported, protectedKeys: .hosts, eras: [.a],
    origin: "the series before v7: __ptrauth_switch_to_guest in hyp/ptrauth-sr.c")

  /// v7 7/10, 19 March 2019: the seed.
  public static let g2 = Generation(
    name: "v7", id: "G2", load: .clears, hostSave: .preemptibleTrap, trap: .reachesHost,
    guardReads: .shadow, hasHostContextPointer: true, exitSynchronizes: true,
    featureTest: .bothBits, supportsNVHE: false, resetCheck: .returnsEarly,
    idMask: .withoutFeature, hidesKeyRegisters: true, nestedBits: .unsupported,
    protectedKeys: .hosts, eras: [.a, .cWithoutKernel],
    origin: "1552984243-7689-8-git-send-email-amit.kachhap@arm.com")

  /// As merged. The same steps as v7, but kvm_reset_vcpu leaves through its common exit.
  public static let g3 = g2.with {
    ($0.name, $0.id) = ("5.2", "G3")
    $0.resetCheck = .unwinds
    $0.eras = [.a, .b]
    $0.origin = "384b40caa8af"
  }

  /// 5.6.19 and 5.7.3: host keys saved at load, out of the preemptible handler.
  public static let g3s = g3.with {
    ($0.name, $0.id) = ("5.6.19", "G3s")
    $0.hostSave = .everyLoad
    $0.origin = "ef3e40a7ea8d"
  }

  /// Traps handled at EL2, before the host sees them; no host_cpu_context any more.
  public static let g4 = g3.with {
    ($0.name, $0.id) = ("5.8", "G4")
    ($0.hostSave, $0.trap) = (.hypTrap, .handledAtHyp)
    $0.hasHostContextPointer = false
    $0.eras = [.b]
    $0.origin = "29eb5a3c57f7, 07da1ffaa137"
  }

  /// The guard reads HCR_EL2 itself; the nVHE copy switches keys too. 5.15 is of era C.
  public static let g4Live = g4.with {
    $0.name = "5.9"
    $0.guardReads = .live
    $0.supportsNVHE = true
    $0.eras = [.b, .c, .cWithoutKernel]
    $0.origin = "20200615081954.6233-5-maz@kernel.org"
  }

  /// A table of handlers per exception class; the same steps.
  public static let g5 = g4Live.with {
    ($0.name, $0.id) = ("5.16", "G5")
    $0.eras = [.c, .cWithoutKernel]
    $0.origin = "8fb2046180a0"
  }

  /// EL2's own keys where pKVM is enabled.
  public static let g5Protected = g5.with {
    $0.name = "6.5"
    $0.protectedKeys = .own
    $0.origin = "8c15c2a02810"
  }

  /// No trapping: bits set and host keys saved at every load. Nested guests.
  public static let g6 = g5Protected.with {
    ($0.name, $0.id) = ("6.10", "G6")
    ($0.load, $0.hostSave, $0.trap) = (.sets, .everyLoad, .never)
    $0.nestedBits = .fromGuest
    $0.origin = "814ad8f96e92"
  }

  /// The oldest first. Of one id, the first stands for all that a vmlinux's marks cannot tell apart.
  public static let all = [g0, g1, g2, g3, g3s, g4, g4Live, g5, g5Protected, g6]

  private func with(_ change: (inout Generation) -> Void) -> Generation {
    var copy = self
    change(&copy)
    return copy
  }
}
