import Bytes
import Glibc
import KernelImage
import Probing
import Testing

/// The plan for the kernels of the recordings, against the probes that made them.
struct RecordedKernelTests {
  static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var vmlinux: String
    /// The probes as the kernel read them back.
    var events: String
    var testDescription: String { name }
  }

  static let cases = [
    Case(
      name: "v7", vmlinux: root + "/traces/v7-good/vmlinux.slim.zst",
      events: root + "/traces/v7-good/kprobe_events.txt"),
    Case(
      name: "deb-6.1", vmlinux: root + "/traces/deb-6.1-good/vmlinux.slim.zst",
      events: root + "/traces/deb-6.1-good/kprobe_events.txt"),
    Case(
      name: "deb-6.12", vmlinux: root + "/../shared/recordings/kernels/deb-6.12/vmlinux.slim.xz",
      events: root + "/../shared/recordings/deb-6.12/good/kprobe_events.txt"),
  ].filter { unsafe access($0.vmlinux, R_OK) == 0 || $0.name != "deb-6.12" }

  private func text(_ path: String) -> String {
    guard let file = unsafe fopen(path, "r") else { return "" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// What the recordings' own probes fetched, by function: written by hand from pahole's offsets.
  private func recorded(_ test: Case) -> [String: Set<Substring>] {
    var found: [String: Set<Substring>] = [:]
    for line in text(test.events).split(separator: "\n") where line.hasPrefix("p:") {
      let words = line.split(separator: " ")
      found[String(words[1])] = Set(words.dropFirst(2))
    }
    return found
  }

  /// What was recorded before the process was fetched: pahole's offsets of struct kvm's mm and userspace_pid.
  private static let process: [String: Set<Substring>] = [
    "v7": ["mm=+72(+0(%x0)):x64", "userspace_pid=+3928(+0(%x0)):s32"],
    "deb-6.1": ["mm=+72(+0(%x0)):x64", "userspace_pid=+3968(+0(%x0)):s32"],
    "deb-6.12": ["mm=+72(+0(%x0)):x64", "userspace_pid=+3880(+0(%x0)):s32"],
  ]

  @Test(arguments: cases)
  func thePlanFitsTheKernel(test: Case) throws {
    // Opening unpacks it: once for all that is asked.
    let image = try KernelImage(path: test.vmlinux)
    try offsetsAreThoseOfTheRecordings(test, image)
    try theGenerationDecides(test, image)
  }

  private func offsetsAreThoseOfTheRecordings(_ test: Case, _ image: KernelImage) throws {
    let plan = try ProbePlan(image)
    let recorded = recorded(test)
    #expect(recorded.count >= 9)
    for probe in plan.probes {
      let known = try #require(recorded[probe.function], "\(probe.function)")
      for argument in probe.arguments {
        // ESR_EL2's low half is fetched here.
        let definition = Substring(argument.definition.replacing(":x32", with: ":x64"))
        #expect(
          known.contains(definition) || Self.process[test.name]?.contains(definition) ?? false,
          "\(probe.function): \(definition)")
      }
    }
  }

  private func theGenerationDecides(_ test: Case, _ image: KernelImage) throws {
    let plan = try ProbePlan(image)
    let functions = Set(plan.probes.map(\.function))
    #expect(
      functions.isSuperset(of: [
        "kvm_arch_vcpu_load", "kvm_arch_vcpu_put", "handle_exit", "kvm_vgic_flush_hwstate",
        "kvm_vgic_sync_hwstate", "kvm_reset_vcpu",
      ]))
    #expect(functions.contains("kvm_arm_vcpu_ptrauth_trap") == (test.name == "v7"))
    #expect(plan.traced == (test.name == "deb-6.1" ? ["kvm_hyp_handle_ptrauth"] : []))
    let refused = Set(plan.leftOut.flatMap(\.functions))
    #expect(refused.isSuperset(of: ["__guest_enter", "__guest_exit"]))
    #expect(refused.isDisjoint(with: functions))
    #expect(refused.contains("kvm_hyp_handle_ptrauth") == (test.name == "deb-6.1"))
    let fields = Set(plan.probes.flatMap(\.arguments).map(\.name))
    #expect(fields.contains("host_ctxt") == (test.name == "v7"))
    #expect(plan.samplesKeys && fields.contains("apiakeylo_el1"))
    #expect(fields.contains("host_apgakeyhi_el1") == (test.name == "v7"))
    #expect(plan.tracepoints.count == (test.name == "deb-6.12" ? 9 : 7))
    try keysLeftOut(test, image, plan)
  }

  /// Without keys: the same but for them, and the rules that need them are named.
  private func keysLeftOut(_ test: Case, _ image: KernelImage, _ plan: ProbePlan) throws {
    let without = try ProbePlan(image, keys: false)
    #expect(!without.samplesKeys)
    #expect(!without.probes.contains { $0.arguments.contains { $0.name.contains("key") } })
    #expect(without.probes.map(\.event) == plan.probes.map(\.event))
    #expect(without.tracepoints == plan.tracepoints)
    let generation = image.generationEvidence().generation
    let rules = [
      "missed-host-save", "missed-guest-restore", "missed-guest-save", "keys-lost-in-migration",
    ]
    // From 5.8 on they would not show with keys either: the head says so.
    #expect(without.rulesOfKeys(generation: generation) == (test.name == "v7" ? rules : []))
    #expect(without.rulesOfKeys(generation: nil) == (test.name == "v7" ? rules : []))
    let kernel = ScriptKernel(path: "vmlinux", buildID: nil, generation: generation)
    let head = ScriptHead(plan: without, kernel: kernel).lines.joined(separator: "\n")
    for rule in rules { #expect(head.contains("  \(rule): ")) }
    let full = ScriptHead(plan: plan, kernel: kernel).lines.joined(separator: "\n")
    #expect(full.contains("  missed-host-save: ") == (test.name != "v7"))
    #expect(full.contains("Not judged") == (test.name != "v7"))
  }

  /// A line has 4093 bytes at most (WRITE_BUFSIZE, trace_parse_run_command()), a probe 128 arguments
  /// (MAX_TRACE_ARGS), each without its name 63 bytes (MAX_ARGSTR_LEN), a name 63 (MAX_EVENT_NAME_LEN).
  @Test(arguments: cases)
  func theKernelsLimitsAreKept(test: Case) throws {
    let plan = try ProbePlan(KernelImage(path: test.vmlinux))
    for probe in plan.probes {
      #expect(probe.definition(group: String(repeating: "g", count: 63)).utf8.count < 4094)
      #expect(probe.arguments.count <= 128 && probe.event.utf8.count < 64)
      for argument in probe.arguments {
        #expect(argument.definition.utf8.count - argument.name.utf8.count - 1 <= 63)
      }
    }
  }

  /// Functions that kernels refuse, or would panic at; and one that is fine.
  @Test func whatMayBeProbed() throws {
    let image = try KernelImage(path: Self.cases[1].vmlinux)
    let refused = [
      ("kvm_hyp_handle_ptrauth", "panics"), ("__kvm_vcpu_run_vhe", "panics"),
      ("__kvm_vcpu_run", "panics"), ("__guest_enter", "panics"), ("__guest_exit", "panics"),
      ("__kvm_nvhe___guest_enter", "EL2"), ("el1h_64_sync", ".entry.text"),
      ("do_debug_exception", "NOKPROBE"), ("__switch_to", "notrace"),
      ("kvm_vcpu_ioctl", "points at file"),
    ]
    for (function, says) in refused {
      #expect(!image.addresses(of: function).isEmpty)
      do throws(ProbePlan.Failure) {
        _ = try ProbePlan(image, also: [function])
        Issue.record("\(function) accepted")
      } catch {
        #expect(error.sentence.contains(says), "\(error.sentence)")
      }
    }
    let plan = try ProbePlan(image, also: ["kvm_handle_wfx"])
    #expect(
      plan.probes.last?.definition(group: "p").hasPrefix(
        "p:p/kvm_handle_wfx kvm_handle_wfx vcpu=%x0:x64") == true)
  }
}
