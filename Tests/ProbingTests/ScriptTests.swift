import Bytes
import Glibc
import KernelImage
import Probing
import Testing

/// The scripts, run by the shell against a directory that stands for tracefs.
struct ScriptTests {
  private let kernel = ScriptKernel(path: "vmlinux", buildID: nil, generation: "5.16")

  private func script(_ recorder: ShellScript.Recorder, functions: Bool = false) throws -> String {
    let stub = StubKernel.minimal(["kvm_hyp_handle_ptrauth", "__tracepoint_kvm_entry"])
    return ShellScript(
      recorder, try ProbePlan(stub), kernel, group: "grp", tracesFunctions: functions
    ).text
  }

  /// Runs a shell command in a scratch directory and returns what it printed, "rc N" last.
  private func shell(_ command: String, _ files: [String: String]) throws -> String {
    var template = Array("/tmp/ptrauth-trace-script.XXXXXX".utf8CString)
    _ = unsafe mkdtemp(&template)
    let directory = String(
      decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    for (name, text) in files {
      let sink = try ByteSink(path: "\(directory)/\(name)")
      try sink.write(text)
      try sink.finish()
    }
    let line = "cd \(directory) && { \(command); } 2>&1; echo rc $?; rm -rf \(directory)"
    guard let stream = unsafe popen(line, "r") else { return "" }
    defer { unsafe pclose(stream) }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, stream)
      if count == 0 { return String(decoding: output, as: UTF8.self) }
      output += chunk[..<count]
    }
  }

  /// The script with a plain file in place of tracefs' kprobe_events, which takes every line.
  private func harmless(_ text: String) -> String {
    text.replacing("tracefs=/sys/kernel/tracing", with: "tracefs=tracefs")
      .replacing("[ \"$(id -u)\" = 0 ]", with: "true")
  }

  @Test(arguments: ShellScript.Recorder.allCases)
  func isAShellScript(recorder: ShellScript.Recorder) throws {
    let text = try script(recorder)
    #expect(text.hasPrefix("#!/bin/sh\n") && text.hasSuffix("\n"))
    #expect(try shell("sh -n probes.sh", ["probes.sh": text]) == "rc 0\n")
    #expect(text.contains("p:grp/flush kvm_vgic_flush_hwstate vcpu=%x0:x64"))
    #expect(text.contains("-:grp/flush"))
    let usage = try shell("sh probes.sh", ["probes.sh": text])
    #expect(usage == "usage: sh probes.sh record [COMMAND...] | add | remove\nrc 64\n")
  }

  @Test func addWritesEveryLine() throws {
    let text = try harmless(script(.perf))
    let plan = try ProbePlan(StubKernel.minimal())
    let added = try shell(
      "mkdir tracefs; : > tracefs/kprobe_events; sh probes.sh add && cat tracefs/kprobe_events",
      ["probes.sh": text])
    #expect(added == plan.probes.map { $0.definition(group: "grp") + "\n" }.joined() + "rc 0\n")
  }

  @Test func aRefusedProbeIsNamed() throws {
    // Nothing can be written to a directory.
    let text = try harmless(script(.perf))
    let refused = try shell(
      "mkdir -p tracefs/kprobe_events; sh probes.sh add", ["probes.sh": text])
    #expect(refused.contains("the kernel refused: p:grp/vcpu_load kvm_arch_vcpu_load"))
    #expect(refused.hasSuffix("rc 1\n"))
  }

  @Test func anotherKernelIsRefused() throws {
    var kernel = kernel
    kernel.buildID = "00112233445566778899aabbccddeeff00112233"
    let text = harmless(
      ShellScript(.perf, try ProbePlan(StubKernel.minimal()), kernel).text
    ).replacing("/sys/kernel/notes", with: "notes")
    let prepare = "mkdir tracefs; : > tracefs/kprobe_events; "
    func run(_ notes: String, _ environment: String = "") throws -> String {
      try shell(
        prepare + "printf '\(notes)' > notes; \(environment) sh probes.sh add", ["probes.sh": text])
    }
    #expect(try run("other").contains("not the kernel with build-id 00112233"))
    #expect(try run("other").hasSuffix("rc 1\n"))
    #expect(try run("other", "ANY_KERNEL=1") == "rc 0\n")
    let own = (0..<20).map { index in
      let byte = kernel.buildID?.dropFirst(index * 2).prefix(2) ?? ""
      return "\\" + String(UInt8(byte, radix: 16) ?? 0, radix: 8)
    }.joined()
    #expect(try run("GNU" + own) == "rc 0\n")
  }

  /// The recorder is started with the events, and the probes are gone when it ends, however it ends.
  @Test(arguments: [ShellScript.Recorder.perf, .traceCmd])
  func recordRunsTheRecorder(recorder: ShellScript.Recorder) throws {
    let fake = "#!/bin/sh\necho \"$(basename $0) $*\"; exit 7\n"
    let output = try shell(
      """
      chmod +x perf trace-cmd; mkdir -p tracefs/events/grp; : > tracefs/kprobe_events
      PATH=.:$PATH OUTPUT=out sh probes.sh record work 'a b'; echo "code $?"; cat tracefs/events/grp/enable
      grep -c ^-: tracefs/kprobe_events
      """, ["probes.sh": harmless(script(recorder)), "perf": fake, "trace-cmd": fake])
    let lines = output.split(separator: "\n")
    let command = try #require(lines.first)
    #expect(command.contains("-e kvm:kvm_entry") && command.contains("-o out"))
    #expect(command.hasSuffix("work a b"))
    switch recorder {
    case .perf:
      #expect(command.hasPrefix("perf record -a -k CLOCK_MONOTONIC -m 4096"))
      #expect(command.contains("-e grp:* ") && command.contains(" -- "))
    default:
      #expect(command.hasPrefix("trace-cmd record -C mono -b 16384") && command.contains("-e grp "))
    }
    #expect(lines.contains("code 7"), "the recorder's exit code is the script's")
    // This kprobe_events keeps its lines, as if a killed recorder had left the events on.
    #expect(lines.suffix(3).first == "0", "the events are turned off")
    #expect(lines.suffix(2).first == "16", "every probe was removed, and once more then")
  }

  @Test func bpftrace() throws {
    var stub = StubKernel.minimal(["__tracepoint_kvm_entry"])
    stub.offsets["kvm_vcpu.kvm"] = 0
    stub.offsets["kvm.arch.vcpu_features"] = 3032
    let text = BpftraceScript(try ProbePlan(stub), kernel).text
    #expect(text.contains("\nkprobe:kvm_vgic_sync_hwstate\n{"))
    #expect(text.contains("*(uint64 *)(arg0 + 2112)") && text.contains("*(int32 *)(arg0 + 36)"))
    #expect(text.contains("*(uint64 *)(*(uint64 *)(arg0 + 0) + 3032)"))
    #expect(text.contains("vcpu_load: (kvm_arch_vcpu_load+0x0/0x10) cpu=%d vcpu=0x%llx"))
    #expect(text.contains("\ntracepoint:kvm:kvm_entry\n{") && !text.contains("kvm:kvm_exit"))
  }

  /// Both texts are in the form in which the kernel prints a kretprobe, which the analysis reads.
  @Test func returnsAreRecorded() throws {
    let plan = try ProbePlan(StubKernel.minimal(["kvm_arm_vcpu_ptrauth_trap"]))
    let shell = ShellScript(.tracefs, plan, kernel, group: "grp").text
    #expect(shell.contains("\nr64:grp/ptrauth_trap_return kvm_arm_vcpu_ptrauth_trap\n"))
    #expect(shell.contains("\n-:grp/ptrauth_trap_return\n"))
    #expect(shell.contains("kvm_arm_vcpu_ptrauth_trap, at its return: "))
    let text = BpftraceScript(plan, kernel).text
    #expect(text.contains("\nkretprobe:kvm_arm_vcpu_ptrauth_trap\n{"))
    #expect(
      text.contains(
        "ptrauth_trap_return: (handle_exit+0x0/0x10 <- kvm_arm_vcpu_ptrauth_trap)\\n\","))
  }

  @Test func theFunctionTracerIsOffered() throws {
    #expect(try script(.traceCmd).contains("--function-tracer"))
    #expect(!(try script(.traceCmd).contains("-p function")))
    #expect(
      try script(.traceCmd, functions: true).contains("-p function -l kvm_hyp_handle_ptrauth"))
    let tracefs = try script(.tracefs, functions: true)
    #expect(tracefs.contains("echo kvm_hyp_handle_ptrauth > \"$instance/set_ftrace_filter\""))
  }

  /// A kernel whose structures have the key slots.
  private var keyed: StubKernel {
    var stub = StubKernel.minimal()
    for name in ["IA", "IB", "DA", "DB", "GA"].flatMap({ ["AP\($0)KEYLO_EL1", "AP\($0)KEYHI_EL1"] })
    {
      stub.offsets["kvm_vcpu.arch.ctxt.sys_regs[\(name)]"] = 8
      stub.offsets["kvm_cpu_context.sys_regs[\(name)]"] = 8
    }
    return stub
  }

  @Test func keysComeWithAWarning() throws {
    let warning = "KEY VALUES WILL BE IN THE RECORDING"
    let without = try ProbePlan(keyed, keys: false)
    for recorder in ShellScript.Recorder.allCases {
      let text = ShellScript(recorder, try ProbePlan(keyed), kernel).text
      #expect(text.contains(warning))
      #expect(try shell("sh -n probes.sh", ["probes.sh": text]) == "rc 0\n")
      let plain = ShellScript(recorder, without, kernel).text
      #expect(!plain.contains("KEY VALUES") && plain.contains("Key slots are not recorded"))
    }
    let text = BpftraceScript(try ProbePlan(keyed), kernel).text
    #expect(text.contains(warning))
    #expect(text.contains("\nEND\n{\n  printf(\"# KEY VALUES ARE IN raw.txt AND trace.txt"))
    #expect(!BpftraceScript(without, kernel).text.contains("KEY VALUES"))
  }

  /// The last words are how to make a copy to share, whatever the recorder's exit code, which stays.
  @Test(arguments: [ShellScript.Recorder.perf, .traceCmd])
  func theScriptEndsByOfferingACopy(recorder: ShellScript.Recorder) throws {
    let fake = "#!/bin/sh\n: > out; exit 7\n"
    let text = ShellScript(recorder, try ProbePlan(keyed), kernel, group: "grp").text
    let files = ["probes.sh": harmless(text), "perf": fake, "trace-cmd": fake]
    let output = try shell(
      """
      chmod +x perf trace-cmd; mkdir -p tracefs/events/grp; : > tracefs/kprobe_events
      PATH=.:$PATH OUTPUT=out sh probes.sh record work
      """, files)
    let offer = """
      probes.sh: KEY VALUES ARE IN out; before it leaves this machine:
      probes.sh:   ptrauth-trace redact out SHAREABLE-COPY
      rc 7

      """
    #expect(output.hasSuffix(offer))
    let nothing = try shell(
      """
      printf '#!/bin/sh\\nexit 7\\n' > perf; cp perf trace-cmd; chmod +x perf trace-cmd
      mkdir -p tracefs/events/grp; : > tracefs/kprobe_events
      PATH=.:$PATH OUTPUT=out sh probes.sh record work
      """, files)
    #expect(!nothing.contains("KEY VALUES") && nothing.hasSuffix("rc 7\n"))
    let added = try shell(
      "mkdir tracefs; : > tracefs/kprobe_events; sh probes.sh add", files)
    #expect(added.contains("KEY VALUES WILL BE IN WHAT THESE PROBES RECORD"))
  }
}
