/// The columns of the table of marks: a generation is named after the first release that has it.
enum GenerationColumn: String, CaseIterable {
  /// Up to 5.1: no pointer authentication for guests.
  case none = "5.0"
  /// The posted series up to its version 6: the switch in C, host keys saved at each entry.
  case posted6 = "v6"
  /// "[PATCH v7 7/10] KVM: arm/arm64: context-switch ptrauth registers", 19 March 2019.
  case posted7 = "v7"
  /// Commit 384b40caa8af.
  case merged = "5.2"
  /// Commit ef3e40a7ea8d, in stable trees: host keys saved at every load.
  case saveAtLoad = "5.6.19"
  /// Commit 29eb5a3c57f7: traps handled in the exit path.
  case early = "5.8"
  /// The guard reads HCR_EL2 itself, and nVHE has a copy that switches keys too (up to 5.15).
  case liveGuard = "5.9"
  /// Commit 8fb2046180a0: a table of handlers per exception class.
  case handlerTable = "5.16"
  /// Commit 814ad8f96e92: nothing traps, host keys saved at every load.
  case eager = "6.10"
}

/// How a generation stands to a mark.
enum MarkExpectation {
  case present, absent
  /// Both occur, or the question does not arise.
  case either
}

/// A row of the table: what to look for, and which generations have it.
struct GenerationRow {
  enum Probe {
    case symbol(String)
    /// Any one of these symbols.
    case anySymbol([String])
    case member(String)
    case enumerator(String, in: String)
    /// An instruction of this kind in any of these functions.
    case instruction((UInt32) -> Bool, functions: [String])
  }

  let description: String
  let probe: Probe
  private let expectations: [MarkExpectation]

  /// - Parameter columns: one letter per column in the order of `GenerationColumn`: y, n or `-`.
  init(_ description: String, _ columns: String, _ probe: Probe) {
    self.description = description
    self.probe = probe
    expectations = columns.utf8.filter { $0 != UInt8(ascii: " ") }.map { letter in
      switch letter {
      case UInt8(ascii: "y"): .present
      case UInt8(ascii: "n"): .absent
      default: .either
      }
    }
  }

  func expectation(in column: GenerationColumn) -> MarkExpectation {
    let index = GenerationColumn.allCases.firstIndex(of: column)
    guard let index, index < expectations.count else { return .either }
    return expectations[index]
  }

  /// Every mark, with what each generation says to it:
  ///
  ///     5.0  v6  v7  5.2  5.6.19  5.8  5.9  5.16  6.10
  ///
  /// The v7 column says "either" to marks that came with the surroundings (per-CPU kvm_hyp_ctxt, the
  /// nVHE copy): the posted patch may sit on a newer tree than that of its day. kvm_hyp_ctxt came with 5.10,
  /// within the generation of 5.9.
  static var all: [GenerationRow] {
    [
      GenerationRow(
        "enumerator APIAKEYLO_EL1 in enum vcpu_sysreg", "n y y y y y y y y",
        .enumerator("APIAKEYLO_EL1", in: "vcpu_sysreg")),
      GenerationRow(
        "symbol __ptrauth_switch_to_guest", "n y n n n n n n n",
        .symbol("__ptrauth_switch_to_guest")),
      GenerationRow(
        "symbol kvm_arm_vcpu_ptrauth_trap", "n y y y y n n n n",
        .symbol("kvm_arm_vcpu_ptrauth_trap")),
      GenerationRow(
        "symbol kvm_arm_vcpu_ptrauth_setup_lazy", "n n y n n n n n n",
        .symbol("kvm_arm_vcpu_ptrauth_setup_lazy")),
      GenerationRow(
        "label skip_switch_to_guest or skip_switch_to_host", "n n y n n n n n n",
        .anySymbol(["skip_switch_to_guest", "skip_switch_to_host"])),
      GenerationRow(
        "member hcr_el2 of struct kvm_cpu_context", "n n y n n n n n n",
        .member("kvm_cpu_context.hcr_el2")),
      GenerationRow(
        "member hcr_el2 of struct kvm_vcpu_arch", "y y n y y y y y y",
        .member("kvm_vcpu_arch.hcr_el2")),
      GenerationRow(
        "member host_cpu_context of struct kvm_vcpu_arch", "y y y y y n n n n",
        .member("kvm_vcpu_arch.host_cpu_context")),
      GenerationRow(
        "reads of the key registers in kvm_arm_vcpu_ptrauth_trap", "n n y y n n n n n",
        .instruction(KeyInstruction.isKeyRead, functions: ["kvm_arm_vcpu_ptrauth_trap"])),
      GenerationRow(
        "reads of the key registers in kvm_arch_vcpu_load", "n n n n y n n n y",
        .instruction(
          KeyInstruction.isKeyRead, functions: ["kvm_arch_vcpu_load", "vcpu_set_pauth_traps"])),
      GenerationRow(
        "reads of the key registers in the exit path (fixup_guest_exit, __kvm_vcpu_run)",
        "n n n n n y y n n",
        .instruction(
          KeyInstruction.isKeyRead,
          functions: [
            "fixup_guest_exit", "__hyp_handle_ptrauth", "__kvm_vcpu_run", "__kvm_vcpu_run_vhe",
            "kvm_vcpu_run_vhe", "__kvm_vcpu_run_nvhe", "__kvm_nvhe_fixup_guest_exit",
            "__kvm_nvhe___kvm_vcpu_run",
          ])),
      GenerationRow(
        "symbol kvm_hyp_handle_ptrauth", "n n n n n n n y n", .symbol("kvm_hyp_handle_ptrauth")),
      GenerationRow(
        "symbol kvm_auth_eretax", "n n n n n n n n y", .symbol("kvm_auth_eretax")),
      GenerationRow(
        "symbol __kvm_nvhe___guest_enter", "n n - n n n y y y", .symbol("__kvm_nvhe___guest_enter")),
      GenerationRow("symbol kvm_hyp_ctxt", "n n - n n n - y y", .symbol("kvm_hyp_ctxt")),
      GenerationRow(
        "writes of the key registers in __guest_enter", "n n y y y y y y y",
        .instruction(KeyInstruction.isKeyWrite, functions: ["__guest_enter"])),
      GenerationRow(
        "test of HCR_EL2.API and APK in __guest_enter", "n n y y y y y y y",
        .instruction(KeyInstruction.isHcrGuard, functions: ["__guest_enter"])),
      GenerationRow(
        "read of the live HCR_EL2 in __guest_enter", "n n n n n n y y y",
        .instruction(
          KeyInstruction.isHcrRead, functions: ["__guest_enter", "__kvm_nvhe___guest_enter"])),
    ]
  }
}
