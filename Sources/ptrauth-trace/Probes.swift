import ArgumentParser
import Bytes
import KernelImage
import Probing
import Ptrauth

struct Probes: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probes",
    abstract: "Write the probe definitions that a recording needs, with one kernel's offsets.",
    discussion: """
      Reads the vmlinux's structures and symbols, chooses the probes that are safe on it and that its \
      generation of the key switch needs, and writes a script that sets them, records, and removes \
      them. Functions that must not be probed are left out, with the reason. The probes fetch the key \
      slots, in which alone missed saves show: KEY VALUES WILL BE IN THE RECORDING, and the script ends \
      by saying how to make a copy without them. Up to 5.7 the guest's and the host's slots are fetched; \
      later kernels keep the host's where no probe reaches them, and the script says which rules are then \
      not judged. --no-keys leaves the slots out and says what that costs.

      Examples:
        ptrauth-trace probes vmlinux --for perf > probes.sh
        sh probes.sh record ./workload           (as root, on the machine to record)
        ptrauth-trace analyze -k vmlinux perf.data
        ptrauth-trace redact perf.data shareable.data

      Exit codes: 0 written; 2 the vmlinux does not tell, or a probe asked for must not be set; 64 usage.
      """)

  @OptionGroup var kernel: VmlinuxOptions
  private var vmlinux: String { kernel.path }

  @Option(name: .customLong("for"), help: "tracefs, perf, trace-cmd or bpftrace.")
  var recorder = ScriptKind.perf

  @OptionGroup var slots: KeyOptions

  @Flag(
    help: "Also record what only the function tracer may see (tracefs and trace-cmd).")
  var functionTracer = false

  @Option(help: "Group of the probes' events.")
  var group = "ptrauth"

  @Option(
    help: ArgumentHelp(
      "Also probe this function, whose first argument is the struct kvm_vcpu; repeatable.",
      valueName: "function"))
  var also: [String] = []

  @OptionGroup(title: "Kernel") var types: TypeOptions
  @OptionGroup(title: "Kernel") var scheme: GenerationOptions

  @Option(name: .shortAndLong, help: "Write to this file; - is standard output.")
  var output = "-"

  @Flag(name: .shortAndLong, help: "No warnings on standard error.")
  var quiet = false

  func validate() throws {
    // What the kernel takes as a group (is_good_system_name, kernel/trace/trace_probe.c).
    let isName = group.utf8.first.map { !(0x30...0x39).contains($0) } ?? false
    guard isName, group.utf8.count < 64, group.utf8.allSatisfy(Self.isWordByte) else {
      throw ValidationError("--group \(group): letters, digits and _ only, no digit first")
    }
    if functionTracer, recorder == .perf || recorder == .bpftrace {
      throw ValidationError("--function-tracer goes with --for tracefs or --for trace-cmd")
    }
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  func run() throws {
    try ExitDialect.standard.run {
      let image: KernelImage
      let plan: ProbePlan
      do throws(KernelImageError) {
        image = try types.open(vmlinux)
        try image.requireSymbols()
      } catch {
        throw Problem("\(error)")
      }
      let generation = try scheme.generation(of: image)
      do throws(ProbePlan.Failure) {
        plan = try ProbePlan(image, keys: slots.areRecorded, also: also)
      } catch {
        // What the image itself says begins with its name.
        throw Problem(
          error.sentence.hasPrefix(vmlinux) ? error.sentence : "\(vmlinux): \(error.sentence)")
      }
      try types.requireAgreement(of: image)
      let kernel = ScriptKernel(
        path: vmlinux, buildID: image.buildID.map(hexadecimal),
        generation: generation?.name)
      let sink = try ByteSink(path: output)
      try sink.write(script(plan, kernel))
      try sink.finish()
      if quiet { return .clean }
      if functionTracer, plan.traced.isEmpty {
        ProcessState.complain(
          "ptrauth-trace: this kernel has nothing that only the function tracer may see: "
            + "--function-tracer changes nothing")
      }
      if plan.samplesKeys {
        ProcessState.complain(
          "ptrauth-trace: warning: key values will be in the recording; ptrauth-trace redact makes a "
            + "copy to share")
      } else {
        slots.complain(plan, generation: kernel.generation)
      }
      return .clean
    }
  }

  private func script(_ plan: ProbePlan, _ kernel: ScriptKernel) -> String {
    if let recorder = ShellScript.Recorder(rawValue: recorder.rawValue) {
      return ShellScript(recorder, plan, kernel, group: group, tracesFunctions: functionTracer).text
    }
    return BpftraceScript(plan, kernel).text
  }
}

/// Whom a script is for.
enum ScriptKind: String, ExpressibleByArgument, CaseIterable {
  case tracefs, perf
  case traceCmd = "trace-cmd"
  case bpftrace
}
