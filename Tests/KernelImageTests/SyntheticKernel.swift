/// A linked AArch64 ELF file with DWARF, made by the toolchain's clang, that has the marks of a generation
/// and nothing else of a kernel.
struct SyntheticKernel {
  /// What the sources of a kernel show; the values per release are those of the kernel's history.
  struct Marks {
    var keyEnumerators = true
    var switchInC = false
    var trapHandler = false
    var setupLazy = false
    var namedLabels = false
    var shadowInContext = false
    var hostContextPointer = false
    var saveInTrap = false
    var saveAtLoad = false
    var saveInExitPath = false
    var hypHandler = false
    var eretEmulation = false
    var nvheCopy = false
    var hypContext = false
    var switchInEnter = true
    var liveGuard = false
    var signedReturns = false
    /// kvm_handle_ptrauth as GCC leaves it once it has merged its body with an equal one: a symbol in
    /// the unit's code, and a DW_TAG_subprogram that has no address.
    var mergedHandler = false
  }

  static let releases: [(release: String, generation: String, marks: Marks)] = [
    ("5.1", "5.0", Marks(keyEnumerators: false, hostContextPointer: true, switchInEnter: false)),
    (
      "v5 as posted", "v6",
      Marks(switchInC: true, trapHandler: true, hostContextPointer: true, switchInEnter: false)
    ),
    (
      "v7 on 5.0", "v7",
      Marks(
        trapHandler: true, setupLazy: true, namedLabels: true, shadowInContext: true,
        hostContextPointer: true, saveInTrap: true)
    ),
    ("5.4", "5.2", Marks(trapHandler: true, hostContextPointer: true, saveInTrap: true)),
    ("5.7.3", "5.6.19", Marks(trapHandler: true, hostContextPointer: true, saveAtLoad: true)),
    ("5.8", "5.8", Marks(saveInExitPath: true)),
    ("5.9", "5.9", Marks(saveInExitPath: true, nvheCopy: true, liveGuard: true)),
    (
      "5.10", "5.9", Marks(saveInExitPath: true, nvheCopy: true, hypContext: true, liveGuard: true)
    ),
    ("6.1", "5.16", Marks(hypHandler: true, nvheCopy: true, hypContext: true, liveGuard: true)),
    (
      "7.3", "6.10",
      Marks(
        saveAtLoad: true, eretEmulation: true, nvheCopy: true, hypContext: true, liveGuard: true,
        signedReturns: true)
    ),
  ]

  /// Compiles and links the marks into `directory`; returns the path of the file.
  static func build(_ marks: Marks, in directory: String) throws -> String {
    let protection = "-mbranch-protection=" + (marks.signedReturns ? "pac-ret+leaf" : "none")
    return try build(source: source(marks), flags: [protection], in: directory)
  }

  /// Compiles and links any source that defines kvm_arch_vcpu_load.
  static func build(source: String, flags: [String], in directory: String) throws -> String {
    try write(Array(source.utf8), to: directory + "/kernel.c")
    try run(
      "clang",
      [
        "--target=aarch64-linux-gnu", "-march=armv8.3-a", "-g", "-O1", "-ffreestanding",
        "-nostdlib",
      ] + flags + ["-c", directory + "/kernel.c", "-o", directory + "/kernel.o"])
    try run(
      "ld.lld",
      [
        "-e", "kvm_arch_vcpu_load", "--build-id", directory + "/kernel.o", "-o",
        directory + "/vmlinux",
      ])
    return directory + "/vmlinux"
  }

  private static func source(_ marks: Marks) -> String {
    func when(_ condition: Bool, _ text: String, else other: String = "") -> String {
      condition ? text + "\n" : other
    }
    func function(_ name: String, reads: Bool) -> String {
      "void \(name)(void) { \(reads ? readKeys : "asm volatile(\"nop\");") }\n"
    }
    return """
      enum vcpu_sysreg { MPIDR_EL1 = 1, \(when(marks.keyEnumerators, "APIAKEYLO_EL1 = 200,")) END = 250 };
      enum odd { NEGATIVE = -3, LARGE = 0x123456789 };
      struct kvm_cpu_context {
        unsigned long regs[4]; unsigned long sys_regs[251];
        \(when(marks.shadowInContext, "unsigned long hcr_el2;"))
      };
      struct kvm_vcpu_arch {
        struct kvm_cpu_context ctxt;
        union { int first; struct { int second; const int third; }; };
        int matrix[3][4];
        unsigned bits : 3;
        \(when(!marks.shadowInContext, "unsigned long hcr_el2;"))
        \(when(marks.hostContextPointer, "struct kvm_cpu_context *host_cpu_context;"))
        int flexible[];
      };
      struct kvm_vcpu { int vcpu_id; struct kvm_vcpu_arch arch; } vcpu;
      enum vcpu_sysreg sysreg; enum odd odd;
      \(function("kvm_arch_vcpu_load", reads: marks.saveAtLoad))
      \(when(marks.mergedHandler, mergedHandler, else: function("handle_exit", reads: false)))
      \(when(marks.trapHandler, function("kvm_arm_vcpu_ptrauth_trap", reads: marks.saveInTrap)))
      \(when(marks.setupLazy, function("kvm_arm_vcpu_ptrauth_setup_lazy", reads: false)))
      \(when(marks.switchInC, function("__ptrauth_switch_to_guest", reads: true)))
      \(when(marks.hypHandler, function("kvm_hyp_handle_ptrauth", reads: true)))
      \(when(marks.eretEmulation, function("kvm_auth_eretax", reads: false)))
      \(when(marks.nvheCopy, function("__kvm_nvhe___guest_enter", reads: false)))
      \(function("fixup_guest_exit", reads: marks.saveInExitPath))
      \(when(marks.hypContext, "struct kvm_cpu_context kvm_hyp_ctxt;"))
      asm(".text\\n.global __guest_enter\\n.type __guest_enter, %function\\n__guest_enter:\\n"
        \(when(marks.liveGuard, "\"mrs x0, hcr_el2\\n\""))
        \(when(marks.switchInEnter, "\"and x0, x0, #0x30000000000\\nmsr s3_0_c2_c1_0, x1\\n\""))
        \(when(marks.namedLabels, "\"skip_switch_to_guest:\\nnop\\n\""))
        ".global __guest_exit\\n__guest_exit:\\nnop\\n\(when(marks.namedLabels, "skip_switch_to_host:\\nnop\\n").filter { $0 != "\n" })"
        "eret\\n.size __guest_enter, . - __guest_enter\\n");
      """
  }

  /// The inlined function leaves the DW_TAG_subprogram, the assembly the symbol.
  private static let mergedHandler = """
    static inline __attribute__((always_inline)) void kvm_handle_ptrauth(void) { asm volatile("nop"); }
    void handle_exit(void) {
      asm volatile("nop\\nnop\\nnop\\nnop");
      kvm_handle_ptrauth();
      asm volatile(".type kvm_handle_ptrauth, %function\\nkvm_handle_ptrauth: nop\\n"
        ".size kvm_handle_ptrauth, 4");
    }
    """

  private static let readKeys =
    "unsigned long k; asm volatile(\"mrs %0, s3_0_c2_c3_1\" : \"=r\"(k));"
}
