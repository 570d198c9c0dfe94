import KernelImage
import Probing
import Testing

struct ProbePlanTests {
  private func failure(_ kernel: StubKernel, also: [String] = []) -> String? {
    do throws(ProbePlan.Failure) {
      _ = try ProbePlan(kernel, also: also)
      return nil
    } catch {
      return error.sentence
    }
  }

  private func reason(_ function: String, _ plan: ProbePlan) -> String? {
    plan.leftOut.first { $0.functions.contains(function) }?.reason
  }

  @Test func aDefinitionIsTheKernelsSyntax() {
    let probe = Probe(
      event: "sync", function: "kvm_vgic_sync_hwstate",
      arguments: [
        FetchArgument("cpu", register: 1, .s32), FetchArgument("vcpu", .x64),
        FetchArgument("hcr_el2", offsets: [2112], .x64),
        FetchArgument("features", offsets: [0, 3032], .x64),
      ], purpose: "")
    #expect(
      probe.definition(group: "g")
        == "p:g/sync kvm_vgic_sync_hwstate cpu=%x1:s32 vcpu=%x0:x64 hcr_el2=+2112(%x0):x64 "
        + "features=+3032(+0(%x0)):x64")
    #expect(probe.removal(group: "g") == "-:g/sync")
  }

  /// v7 to 5.7: only its return shows whether the handler was moved inside its save.
  @Test func theTrapHandlerIsProbedAtItsReturnToo() throws {
    let plan = try ProbePlan(StubKernel.minimal(["kvm_arm_vcpu_ptrauth_trap"]))
    let both = plan.probes.filter { $0.function == "kvm_arm_vcpu_ptrauth_trap" }
    #expect(both.map(\.isReturn) == [false, true])
    #expect(
      both.last?.definition(group: "g") == "r64:g/ptrauth_trap_return kvm_arm_vcpu_ptrauth_trap")
    #expect(both.last?.removal(group: "g") == "-:g/ptrauth_trap_return")
    #expect(!(try ProbePlan(StubKernel.minimal())).probes.contains(where: \.isReturn))
    var twice = StubKernel.minimal(["kvm_arm_vcpu_ptrauth_trap"])
    twice.symbols["kvm_arm_vcpu_ptrauth_trap"]?.append(0x9900)
    #expect(try ProbePlan(twice).leftOut.map(\.functions) == [["kvm_arm_vcpu_ptrauth_trap"]])
  }

  /// Symbols alone tell: vectors have no function, and the hypervisor's code is linked in one piece.
  @Test func vectorsAndTheCodeAroundThemAreRefused() {
    var kernel = StubKernel.minimal()
    for (name, address) in [
      ("__guest_enter", 0x20000), ("helper_of_vhe", 0x20100), ("hyp_panic", 0x20200),
      ("el1_sync_vector", 0x20c80), ("__kvm_hyp_vector", 0x20c00), ("far", 0x30000),
      ("__bp_harden_hyp_vecs", 0x22000), ("el2_bp_vector", 0x23f80),
    ] as [(String, UInt64)] { kernel.symbols[name] = [address] }
    for name in ["el1_sync_vector", "__kvm_hyp_vector", "el2_bp_vector"] {
      #expect(failure(kernel, also: [name])?.contains("exception vector") == true, "\(name)")
    }
    #expect(failure(kernel, also: ["helper_of_vhe"])?.contains("panics the host") == true)
    #expect(failure(kernel, also: ["far"]) == nil)
    // Where the source file is known, it tells.
    kernel.files[0x20100] = "arch/arm64/kvm/arm.c"
    #expect(failure(kernel, also: ["helper_of_vhe"]) == nil)
  }

  @Test func theSmallestKernelHasAPlan() throws {
    let plan = try ProbePlan(StubKernel.minimal())
    #expect(plan.probes.map(\.function).contains("kvm_vgic_flush_hwstate"))
    #expect(plan.leftOut.isEmpty)
    #expect(
      plan.probes.allSatisfy {
        $0.arguments.map(\.name).starts(with: ["vcpu"]) || $0.event == "vcpu_load"
      })
    #expect(plan.tracepoints.isEmpty, "no tracepoint has a symbol")
  }

  @Test func whatIsMissingIsLeftOutWithAWord() throws {
    var kernel = StubKernel.minimal()
    kernel.symbols["kvm_vgic_flush_hwstate"] = nil
    let plan = try ProbePlan(kernel)
    #expect(!plan.probes.contains { $0.event == "flush" })
    #expect(try #require(reason("kvm_vgic_flush_hwstate", plan)).contains("inlined"))
    kernel.symbols["kvm_arch_vcpu_load"] = nil
    #expect(try #require(failure(kernel)).contains("without KVM"))
    kernel = .minimal()
    kernel.offsets["kvm_vcpu.arch.hcr_el2"] = nil
    #expect(failure(kernel) != nil, "no shadow, no plan")
  }

  @Test func unsafeFunctionsAreRefused() throws {
    var kernel = StubKernel.minimal([
      "__guest_enter", "__kvm_nvhe_handle_trap", "in_hyp", "by_file", "never", "in_kprobes",
      "twice",
      "first", "fine", "notrace",
    ])
    kernel.symbols["__hyp_text_start"] = [0x9000]
    kernel.symbols["__hyp_text_end"] = [0xa000]
    kernel.symbols["in_hyp"] = [0x9000]
    kernel.files[try #require(kernel.symbols["by_file"]?.first)] = "arch/arm64/kvm/hyp/vhe/switch.c"
    kernel.symbols["_kbl_addr_never"] = [0x7777]
    kernel.symbols["__kprobes_text_start"] = [0xb000]
    kernel.symbols["__kprobes_text_end"] = [0xb100]
    kernel.symbols["in_kprobes"] = [0xb0ff]
    kernel.symbols["behind_kprobes"] = [0xb100]
    kernel.symbols["twice"] = [0xc000, 0xc100]
    kernel.symbols["a_second_name"] = kernel.symbols["first"]
    kernel.notrace = Set(kernel.symbols["notrace"] ?? [])
    let refused = [
      ("__guest_enter", "panics"), ("__kvm_nvhe_handle_trap", "EL2"), ("in_hyp", "EL2"),
      ("by_file", "panics"), ("never", "NOKPROBE"), ("in_kprobes", ".kprobes.text"),
      ("twice", "2 functions"), ("first", "merged it with a_second_name"),
      ("nowhere", "no such symbol"),
      ("notrace", "notrace"),
    ]
    for (function, says) in refused {
      let sentence = try #require(failure(kernel, also: [function]), "\(function)")
      #expect(sentence.contains(says) && sentence.contains(function), "\(sentence)")
    }
    #expect(failure(kernel, also: ["fine"]) == nil)
    #expect(failure(kernel, also: ["behind_kprobes"]) == nil)
  }

  @Test func moreFunctionsMustTakeAVCPU() throws {
    var kernel = StubKernel.minimal(["of_file", "of_vcpu", "unknown"])
    kernel.pointees[try #require(kernel.symbols["of_file"]?.first)] = "file"
    kernel.pointees[try #require(kernel.symbols["of_vcpu"]?.first)] = "kvm_vcpu"
    #expect(try #require(failure(kernel, also: ["of_file"])).contains("points at file"))
    #expect(failure(kernel, also: ["of_vcpu"]) == nil)
    #expect(failure(kernel, also: ["unknown"]) == nil)
  }

  @Test func keysAreFetchedUnlessRefused() throws {
    var kernel = StubKernel.minimal()
    for (index, name) in keyNames.enumerated() {
      kernel.offsets["kvm_vcpu.arch.ctxt.sys_regs[\(name.uppercased())]"] = 1000 + UInt64(index) * 8
      kernel.offsets["kvm_cpu_context.sys_regs[\(name.uppercased())]"] = 744 + UInt64(index) * 8
    }
    let names = { (plan: ProbePlan) in Set(plan.probes.flatMap(\.arguments).map(\.name)) }
    #expect(names(try ProbePlan(kernel, keys: false)).isDisjoint(with: keyNames))
    let guest = try ProbePlan(kernel)
    #expect(guest.samplesKeys && names(guest).isSuperset(of: keyNames))
    #expect(!names(guest).contains("host_apiakeylo_el1"))
    #expect(guest.notes.contains { $0.contains("per-CPU") })
    kernel.offsets["kvm_vcpu.arch.host_cpu_context"] = 2176
    let both = try ProbePlan(kernel)
    #expect(names(both).isSuperset(of: keyNames.map { "host_" + $0 }))
    #expect(names(both).contains("host_ctxt"))
    #expect(!both.notes.contains { $0.contains("per-CPU") })
    kernel.offsets["kvm_cpu_context.sys_regs[APGAKEYHI_EL1]"] = nil
    let none = try ProbePlan(kernel)
    #expect(!none.samplesKeys && none.notes.contains { $0.contains("not found") })
  }

  private let keyNames = ["ia", "ib", "da", "db", "ga"].flatMap {
    ["ap\($0)keylo_el1", "ap\($0)keyhi_el1"]
  }
}
