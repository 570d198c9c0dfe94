package import ArgumentParser
import Bytes
import KernelImage
import Probing
package import Recorder

package struct Record: ParsableCommand {
  package init() {}

  package static let configuration = CommandConfiguration(
    commandName: "record",
    abstract: "Record what the analysis needs, on the arm64 KVM host itself.",
    discussion: """
      As root: sets the probes of `ptrauth-trace probes` for the kernel that runs, in a tracing instance \
      of its own, and writes a trace.dat, which trace-cmd reads too. Ends with COMMAND, after --duration, \
      or at Ctrl-C. Probes and instance are removed whatever happens; after SIGKILL what was written by then is \
      in trace.dat.unfinished and trace.dat.cpuN, and analyze trace.dat.unfinished reads it; the next recording \
      to trace.dat calls these trace.dat.old.unfinished and trace.dat.old.cpuN.

      The key slots are recorded, in which alone missed saves show, but no key ever reaches the disk: \
      before a page is written its key values are replaced by others, equal ones by equal ones, under a \
      secret of this recording that is kept in memory only. Zero and the value of a vCPU reset stay. A \
      page of the ring buffer that is not understood is left out and counts as lost. --no-keys leaves \
      the slots out.

      Events that were lost do not change the exit code: a warning says them, even with -q, and so does the file: \
      analyze then says incomplete, and ends with 2.

      Examples:
        ptrauth-trace record --duration 10
        ptrauth-trace record -o boot.dat -- ./start-guest
        ptrauth-trace analyze -k vmlinux trace.dat

      Exit codes: that of COMMAND, 128 + n after signal n; 0 written, without COMMAND or where --duration or \
      Ctrl-C ended the recording first; 2 not written, or ended early because the disk was full, whatever COMMAND \
      did; 64 usage.
      """)

  @Option(name: .shortAndLong, help: "Write to this file.", completion: .file())
  var output = "trace.dat"

  @Option(help: ArgumentHelp("End after this time.", valueName: "seconds"))
  var duration: Double?

  @Option(
    name: [.customShort("k"), .customLong("vmlinux")],
    help: "Take offsets from the running kernel's vmlinux, not from /sys/kernel/btf/vmlinux.",
    completion: .file())
  var vmlinux: String?

  @Option(
    name: [.customShort("b"), .long],
    help: ArgumentHelp("Ring buffer of each CPU.", valueName: "KiB"))
  var bufferSize = 16384

  @OptionGroup var slots: KeyOptions

  @Flag(name: .shortAndLong, help: "Say nothing but errors and warnings.")
  var quiet = false

  @Argument(parsing: .postTerminator, help: "A program to run while recording.")
  var command: [String] = []

  package func validate() throws {
    if let duration, !(duration > 0 && duration < 1e9) {
      throw ValidationError("--duration \(duration): more than 0 seconds, and less than a billion")
    }
    guard (64...(1 << 30)).contains(bufferSize) else {
      throw ValidationError("--buffer-size \(bufferSize): 64 (KiB) to 1073741824")
    }
    if output == "-" { throw ValidationError("-o -: a trace.dat cannot go to a pipe") }
  }

  package func run() throws {
    var end: Capture.End?
    try ExitDialect.standard.run {
      let result = try record()
      end = result.end
      say(result)
      return result.end == .lowSpace ? .cannotJudge : .clean
    }
    if let code = end.flatMap(Self.code(of:)) { throw code }
  }

  /// What COMMAND ended with, where it was it that ended the recording; nil is 0.
  package static func code(of end: Capture.End) -> ExitCode? {
    guard case .command(let code) = end, code != 0 else { return nil }
    return ExitCode(code)
  }

  private func record() throws -> Capture.Result {
    let host = HostCheck.running()
    if let obstacle = host.obstacle { throw Problem(obstacle) }
    guard let tracefs = host.tracefs else { throw Problem("tracefs is not mounted") }
    let plan = try plan(host.symbols, tracefs)
    var capture = Capture(
      tracefs, probes: plan.probes, tracepoints: plan.tracepoints, output: output,
      machine: "aarch64")
    capture.bufferSize = bufferSize
    capture.duration = duration.map { Int64($0 * 1000) }
    capture.command = command
    let progress = RecordProgress(isWanted: !quiet)
    capture.progress = progress.show
    capture.notice = { ProcessState.complain("ptrauth-trace: \($0)") }
    progress.begin(endsAlone: duration != nil || !command.isEmpty)
    defer { progress.end() }
    do {
      return try capture.run()
    } catch {
      throw Problem("\(error); nothing was recorded")
    }
  }

  private func plan(
    _ symbols: KernelSymbolTable, _ tracefs: Tracefs
  ) throws(Problem) -> ProbePlan {
    do {
      if let vmlinux {
        let image = try KernelImage(path: vmlinux)
        try image.requireSymbols()
        try check(image)
        let plan = try ProbePlan(image, keys: slots.areRecorded)
        slots.complain(plan, generation: image.generationEvidence().generation)
        return plan
      }
      let types = try BTFFile(path: "/sys/kernel/btf/vmlinux")
      let plan = try ProbePlan(
        RunningKernel(types, symbols, tracefs), keys: slots.areRecorded)
      slots.complain(plan, generation: nil)
      return plan
    } catch let failure as ProbePlan.Failure {
      throw Problem(failure.sentence)
    } catch let problem as Problem {
      throw problem
    } catch {
      let advice = vmlinux == nil ? "; or give its vmlinux with -k" : ""
      throw Problem("\(error)\(advice)")
    }
  }

  /// Offsets of another kernel would read other fields.
  private func check(_ image: KernelImage) throws(Problem) {
    guard let id = image.buildID, let notes = try? SystemFile.read("/sys/kernel/notes") else {
      return
    }
    if !hexadecimal(notes).contains(hexadecimal(id)) {
      throw Problem(
        "\(image.path) has build-id \(hexadecimal(id)), which is not the running kernel's; give its "
          + "own vmlinux")
    }
  }

  private func say(_ result: Capture.Result) {
    let status = result.status
    func warn(_ sentence: String) { ProcessState.complain("ptrauth-trace: \(sentence)") }
    if !quiet {
      warn(
        "wrote \(output): \(status.counters.read) events, \(status.bytes >> 10) KiB, in "
          + "\(status.milliseconds / 1000) s")
    }
    if let refusal = status.refusal {
      warn(
        "warning: \(refusal.pages) pages of the ring buffer are left out and count as lost: they were "
          + "not understood, and might have held keys (\(refusal.reason))")
    }
    if status.counters.lost > 0 {
      warn(
        "warning: \(status.counters.lost) events were lost; a larger --buffer-size than \(bufferSize) "
          + "may keep them")
    }
    if case .command(let code) = result.end, code != 0 {
      warn("warning: \(command[0]) ended with code \(code)")
    }
    if result.end == .lowSpace {
      warn("the disk of \(output) is full: the recording ended early; what it has is complete")
    }
    if !result.isCleanedUp {
      warn(
        "warning: probes or the instance are left: something else uses them; the next record removes them"
      )
    }
    if !quiet {
      ProcessState.complain("next: ptrauth-trace analyze -k \(vmlinux ?? "vmlinux") \(output)")
    }
  }
}
