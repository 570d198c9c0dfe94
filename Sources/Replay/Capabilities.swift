import Trace

/// What a recording's event list says it could show.
struct Capabilities: Equatable {
  /// kvm_arch_vcpu_load is probed with its arguments: loads need not be implied.
  var hasLoadProbe = false
  /// Some probe samples the shadow.
  var samplesShadow = false
  /// Some probe samples the guest's ten slots, the host's ten slots, the host context pointer.
  var samplesGuestKeys = false
  var samplesHostKeys = false
  var samplesHostContext = false
  var samplesFeatures = false
  /// Some probe fetches ESR_EL2, which names the register of a trapped access.
  var fetchesESR = false
  var hasSchedSwitch = false
  var hasMigrations = false
  var hasUserspaceExit = false
  var hasEntryAndExit = false
  var hasSysRegTraps = false
  var hasNestedEvents = false
  /// Probes fetch fields that are known, and no kernel image tells which functions they are on.
  var hasUnnamedProbes = false

  /// - Parameter probesHaveNames: a kernel image tells which function a probe is on.
  init(_ events: [RecordedEvent], probesHaveNames: Bool) {
    let kvm = Set(events.filter { $0.system == "kvm" }.map(\.name))
    hasEntryAndExit = kvm.contains("kvm_entry") && kvm.contains("kvm_exit")
    hasUserspaceExit = kvm.contains("kvm_userspace_exit")
    hasNestedEvents = kvm.isSuperset(of: ["kvm_nested_eret", "kvm_inject_nested_exception"])
    hasSysRegTraps = kvm.contains("kvm_handle_sys_reg")
    hasSchedSwitch = events.contains { $0.system == "sched" && $0.name == "sched_switch" }
    hasUnnamedProbes =
      !probesHaveNames
      && events.contains { $0.isProbe && !$0.namesItsFunction && $0.fields.contains("vcpu") }
    hasMigrations = events.contains { $0.system == "sched" && $0.name == "sched_migrate_task" }
    for event in events where event.isProbe && (probesHaveNames || event.namesItsFunction) {
      let fields = Set(event.fields)
      if fields.isSuperset(of: ["vcpu", "cpu"]) { hasLoadProbe = true }
      if fields.contains("hcr_el2") { samplesShadow = true }
      if fields.contains("features") { samplesFeatures = true }
      if fields.contains("esr_el2") { fetchesESR = true }
      if fields.contains("host_ctxt") { samplesHostContext = true }
      if fields.isSuperset(of: ["apiakeylo_el1", "apgakeyhi_el1"]) { samplesGuestKeys = true }
      if fields.isSuperset(of: ["host_apiakeylo_el1", "host_apgakeyhi_el1"]) {
        samplesHostKeys = true
      }
    }
  }
}
