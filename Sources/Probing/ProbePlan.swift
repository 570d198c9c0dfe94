import KernelImage
import Replay

/// What to record on one kernel so that the analysis knows every run: kprobes with this kernel's offsets,
/// tracepoints, and what is left out.
public struct ProbePlan: Sendable {
  public private(set) var probes: [Probe] = []
  /// Tracepoints to record with them, "system:name".
  public private(set) var tracepoints: [String] = []
  /// Functions that get no probe, and why.
  public private(set) var leftOut: [LeftOut] = []
  /// Functions that no probe may touch and the function tracer sees safely.
  public private(set) var traced: [String] = []
  /// What this kernel hides, in sentences.
  public private(set) var notes: [String] = []
  /// The probes fetch key values.
  public private(set) var samplesKeys = false
  /// The fields that are key slots, as far as this kernel's probes can fetch them.
  let keyFields: Set<String>
  /// The probes as they are with keys.
  private(set) var probesOfKeys: [Probe] = []

  public struct LeftOut: Sendable, Hashable {
    public var functions: [String]
    public var reason: String
  }

  /// Why there is no plan.
  public struct Failure: Error, Sendable {
    public var sentence: String
  }

  /// - Parameters:
  ///   - keys: fetch the values of the key slots too: some rules show in them alone.
  ///   - also: more functions to probe, whose first argument is the struct kvm_vcpu.
  public init(
    _ kernel: some ProbedKernel, keys: Bool = true, also: [String] = []
  ) throws(Failure) {
    let fields: VCPUFields
    do throws(KernelImageError) {
      fields = try VCPUFields(kernel)
    } catch {
      throw Failure(sentence: "\(error)")
    }
    let safety = ProbeSafety(kernel)
    guard kernel.has(KernelFunction.vcpuLoad.rawValue) else {
      throw Failure(sentence: "the kernel has no kvm_arch_vcpu_load: it was built without KVM")
    }
    let slots = fields.guestKeys + fields.hostKeys
    let keyFields = Set(slots.map(\.name))
    self.keyFields = keyFields
    samplesKeys = keys && !slots.isEmpty
    choose(kernel, safety, fields, slots)
    probesOfKeys = probes
    if !keys {
      for index in probes.indices {
        probes[index].arguments.removeAll { keyFields.contains($0.name) }
      }
    }
    for function in also where !probes.contains(where: { $0.function == function }) {
      if let reason = safety.obstacle(to: function) {
        throw Failure(sentence: "no probe on \(function): \(reason)")
      }
      let pointee = kernel.addresses(of: function).first
        .flatMap(kernel.firstParameterPointee(ofFunctionAt:))
      guard pointee == nil || pointee == "kvm_vcpu" else {
        throw Failure(
          sentence:
            "no probe on \(function): its first parameter points at \(pointee ?? ""), and the "
            + "fields are those of a struct kvm_vcpu")
      }
      probes.append(
        Probe(
          event: function, function: function, arguments: fields.identity + fields.promise,
          purpose: "asked for"))
    }
    tracepoints = Self.tracepoints.filter { kernel.has("__tracepoint_" + $0.name) }
      .map { "\($0.system):\($0.name)" }
    refuse(kernel, safety)
    notes = Self.notes(kernel, fields, keys: keys)
  }

  private mutating func choose<Kernel>(
    _ kernel: Kernel, _ safety: ProbeSafety<Kernel>, _ fields: VCPUFields,
    _ slots: [FetchArgument]
  ) {
    let host = fields.hostContext.map { [$0] } ?? []
    let esr = fields.esr.map { [$0] } ?? []
    let all = fields.identity + fields.promise
    let hasTrapHandler = kernel.has(KernelFunction.ptrauthTrap.rawValue)
    let wanted: [(KernelFunction, String, [FetchArgument], String)] = [
      (
        .vcpuLoad, "vcpu_load", [FetchArgument("cpu", register: 1, .s32)] + all + fields.process,
        "a load interval begins: which vCPU, thread and pCPU belong together"
      ),
      (.vcpuPut, "vcpu_put", all + host + slots, "it ends; the shadow at its end"),
      (.flush, "flush", fields.identity, "the shadow that the next run enters with"),
      (.sync, "sync", fields.identity, "the shadow that it leaves with"),
      (
        .handleExit, "handle_exit", esr + all + host + slots,
        "why the guest exited (ESR_EL2), before anything is handled"
      ),
      (.resetVCPU, "vcpu_reset", all, "API and APK start from 0"),
      (.injectUndefined, "inject_undefined", fields.identity, "the guest was refused something"),
      (
        .handlePtrauth, "kvm_handle_ptrauth", esr + all,
        "the handler of the traps (EC 0x09) that reach the host"
      ),
    ]
    for (function, event, arguments, purpose) in wanted {
      add(safety, function, event, arguments, purpose)
    }
    if hasTrapHandler {
      add(
        safety, .ptrauthTrap, "ptrauth_trap", esr + all + host + slots,
        "the handler that enables, and saves the host's keys; preemptible")
      add(
        safety, .ptrauthTrap, "ptrauth_trap_return", [],
        "it is over: a save that was split over two pCPUs shows", isReturn: true)
    }
  }

  private mutating func add(
    _ safety: ProbeSafety<some ProbedKernel>, _ function: KernelFunction, _ event: String,
    _ arguments: [FetchArgument], _ purpose: String, isReturn: Bool = false
  ) {
    if let reason = safety.obstacle(to: function.rawValue) {
      leaveOut(function.rawValue, reason)
    } else {
      probes.append(
        Probe(
          event: event, function: function.rawValue, isReturn: isReturn, arguments: arguments,
          purpose: purpose))
    }
  }

  private mutating func leaveOut(_ function: String, _ reason: String) {
    if let known = leftOut.firstIndex(where: { $0.reason == reason }) {
      if leftOut[known].functions.contains(function) { return }
      leftOut[known].functions.append(function)
    } else {
      leftOut.append(LeftOut(functions: [function], reason: reason))
    }
  }

  /// What somebody might think of probing, and must not.
  private mutating func refuse<Kernel>(_ kernel: Kernel, _ safety: ProbeSafety<Kernel>) {
    for function in ["__guest_enter", "__guest_exit", "kvm_hyp_handle_ptrauth"] {
      guard kernel.has(function), let reason = safety.obstacle(to: function) else { continue }
      leaveOut(function, reason)
    }
    // Assembly has no call to the tracer at its entry.
    if kernel.has("kvm_hyp_handle_ptrauth") { traced.append("kvm_hyp_handle_ptrauth") }
  }

  private static func notes(
    _ kernel: some ProbedKernel, _ fields: VCPUFields, keys: Bool
  ) -> [String] {
    var notes: [String] = []
    if kernel.has(KernelFunction.ptrauthTrap.rawValue) {
      notes.append(
        "Every first use of pointer authentication traps to kvm_arm_vcpu_ptrauth_trap, which can be "
          + "preempted: probes at its entry and its return, load and put show what came in between."
      )
    } else if kernel.has("kvm_hyp_handle_ptrauth") {
      notes.append(
        "Traps of vCPUs with the feature are handled at EL2 without an event: only the shadow, sampled "
          + "before (flush) and after each run (sync), shows them.")
    } else if kernel.has("kvm_auth_eretax") {
      notes.append(
        "Both bits are set at load and nothing traps: flush and sync show that they stay set, and a "
          + "nested guest's own.")
    } else {
      notes.append(
        "Traps are handled at EL2, or not at all: the shadow, sampled before (flush) and after each run "
          + "(sync), shows the bits.")
    }
    if fields.guestKeys.isEmpty {
      notes.append("The key slots are not found in this kernel's structures.")
    } else if keys, fields.hostKeys.isEmpty {
      notes.append(
        "The host's key slots are per-CPU data (kvm_hyp_ctxt) that no kprobe reaches: only the guest's "
          + "are sampled.")
    }
    if fields.features == nil {
      notes.append("Whether a vCPU has the feature is not found in this kernel's structures.")
    }
    return notes
  }

  /// The tracepoints that the replay reads; kvm_arm_setup_debug only names a vCPU, as the probes do.
  private static let tracepoints: [(system: String, name: String)] = [
    ("kvm", "kvm_entry"), ("kvm", "kvm_exit"), ("kvm", "kvm_handle_sys_reg"),
    ("kvm", "kvm_sys_access"), ("kvm", "kvm_userspace_exit"), ("kvm", "kvm_nested_eret"),
    ("kvm", "kvm_inject_nested_exception"), ("sched", "sched_switch"),
    ("sched", "sched_migrate_task"),
  ]
}
