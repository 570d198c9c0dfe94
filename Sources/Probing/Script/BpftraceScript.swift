/// A bpftrace program that prints what the probes and tracepoints see as ftrace text, which the analysis
/// reads.
///
/// bpftrace prints each pCPU's events in bunches: every line begins with its time in nanoseconds, by which
/// `sort` brings all of them in order.
public struct BpftraceScript: Sendable {
  let plan: ProbePlan
  let kernel: ScriptKernel

  public init(_ plan: ProbePlan, _ kernel: ScriptKernel) {
    self.plan = plan
    self.kernel = kernel
  }

  public var text: String {
    var lines = ["#!/usr/bin/env bpftrace"]
    lines += head.map { $0.isEmpty ? "//" : "// \($0)" }
    for probe in plan.probes {
      lines += [
        "", "\(probe.isReturn ? "kretprobe" : "kprobe"):\(probe.function)", Self.body(of: probe),
      ]
    }
    for event in plan.tracepoints {
      guard let print = Self.prints[event] else { continue }
      lines += ["", "tracepoint:\(event)", Self.action(print.event, print.format, print.values)]
    }
    if plan.samplesKeys {
      // Not among the lines of events, which begin with a time.
      lines += ["", "END", "{", "  printf(\"# \(Self.offer)\\n\");", "}"]
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let offer =
    "KEY VALUES ARE IN raw.txt AND trace.txt; to share: ptrauth-trace redact trace.txt SHAREABLE-COPY"

  private var head: [String] {
    ScriptHead(plan: plan, kernel: kernel).lines + [
      "",
      "As root on the machine to record (without -c until Ctrl-C):",
      "  BPFTRACE_PERF_RB_PAGES=4096 bpftrace -q -c COMMAND FILE > raw.txt",
      "  grep '^[0-9]' raw.txt | sort -n -s | cut -d' ' -f2- > trace.txt"
        + (plan.samplesKeys ? "; grep '^#' raw.txt; rm raw.txt" : ""),
      "Lines that bpftrace says it lost make trace.txt useless: the text does not show where.",
      "Then: ptrauth-trace analyze -k vmlinux trace.txt",
    ]
  }

  private static func body(of probe: Probe) -> String {
    let values = probe.arguments.map { argument in
      (
        format: "\(argument.name)=\(argument.type == .s32 ? "%d" : "0x%llx")",
        value: value(argument)
      )
    }
    // Where a function returns to is in the text before it; nobody reads that.
    let place =
      probe.isReturn ? "handle_exit+0x0/0x10 <- \(probe.function)" : "\(probe.function)+0x0/0x10"
    return action(
      probe.event, (["(\(place))"] + values.map(\.format)).joined(separator: " "),
      values.map(\.value))
  }

  private static func action(_ event: String, _ format: String, _ values: [String]) -> String {
    let head = [
      "$t", "comm", "tid", "cpu", "$t / 1000000000", "$t % 1000000000",
    ]
    return """
      {
        $t = nsecs;
        printf("%llu %s-%d [%03d] ..... %llu.%09llu: \(event): \(format)\\n",
          \((head + values).joined(separator: ", ")));
      }
      """
  }

  /// The value in bpftrace's language: "*(uint64 *)(*(uint64 *)(arg0 + 0) + 3032)".
  private static func value(_ argument: FetchArgument) -> String {
    let base = "arg\(argument.register)"
    guard let last = argument.offsets.last else {
      return argument.type == .s32 ? "(int32)\(base)" : base
    }
    let pointer = argument.offsets.dropLast().reduce(base) { "*(uint64 *)(\($0) + \($1))" }
    let type =
      switch argument.type {
      case .x8: "uint8"
      case .x32: "uint32"
      case .x64: "uint64"
      case .s32: "int32"
      }
    return "*(\(type) *)(\(pointer) + \(last))"
  }

  /// As the kernel's own text prints these events (trace_arm.h, trace_handle_exit.h, sched.h).
  private static let prints: [String: (event: String, format: String, values: [String])] = [
    "kvm:kvm_entry": ("kvm_entry", "PC: 0x%016llx", ["args->vcpu_pc"]),
    "kvm:kvm_exit": (
      "kvm_exit", "%s: HSR_EC: 0x%04x (?), PC: 0x%016llx",
      [
        #"args->ret == 2 ? "TRAP" : (args->ret == 0 ? "IRQ" : "SERROR")"#, "args->esr_ec",
        "args->vcpu_pc",
      ]
    ),
    "kvm:kvm_handle_sys_reg": ("kvm_handle_sys_reg", "HSR 0x%08llx", ["args->hsr"]),
    "kvm:kvm_sys_access": (
      "kvm_sys_access", "PC: %llx ? (%d,%d,%d,%d,%d) %s",
      [
        "args->vcpu_pc", "args->Op0", "args->Op1", "args->CRn", "args->CRm", "args->Op2",
        #"args->is_write ? "write" : "read""#,
      ]
    ),
    "kvm:kvm_userspace_exit": (
      "kvm_userspace_exit", "reason KVM_EXIT_UNKNOWN (%d)", ["args->reason"]
    ),
    "sched:sched_switch": (
      "sched_switch",
      "prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> next_comm=%s next_pid=%d next_prio=%d",
      [
        "args->prev_comm", "args->prev_pid", "args->prev_prio",
        #"args->prev_state == 0 ? "R" : "S""#, "args->next_comm", "args->next_pid",
        "args->next_prio",
      ]
    ),
    "sched:sched_migrate_task": (
      "sched_migrate_task", "comm=%s pid=%d prio=%d orig_cpu=%d dest_cpu=%d",
      ["args->comm", "args->pid", "args->prio", "args->orig_cpu", "args->dest_cpu"]
    ),
  ]
}
