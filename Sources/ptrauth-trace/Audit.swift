import ArgumentParser
import Bytes
import KernelImage
import Ptrauth
import Report

struct Audit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit",
    abstract: "Check a vmlinux's key switch against the patch, from its code alone.",
    discussion: """
      Finds every access to the ten key registers, walks every path of __guest_enter and __guest_exit (both \
      copies), of the host save and of kvm_arch_vcpu_load, with and without each alternative that is patched in \
      at boot, and answers seventeen questions (S1 to S17) for each place: PASS, FAIL, NOTE (so by the design of \
      that generation), n/a, or ? (cannot be judged from this file). What failed comes first, then what cannot be \
      judged; what passed is counted, and shown with -v.

      Examples:
        ptrauth-trace audit vmlinux
        ptrauth-trace audit /usr/lib/debug/boot/vmlinux-$(uname -r) -v
        ptrauth-trace audit vmlinux --format json -o audit.json
        ptrauth-trace audit vmlinux --all-units

      Exit codes: 0 nothing failed; 1 failures of severity --fail-on or above; 2 the file is unusable, or \
      not everything could be judged; 64 usage.
      """)

  @OptionGroup var kernel: VmlinuxOptions
  private var vmlinux: String { kernel.path }

  @Option(
    name: .customLong("format"),
    help: "text or json; without it, that of the output's name, else text.")
  var chosenFormat: Format?
  var format: Format { chosenFormat ?? output.impliedFormat() ?? .text }

  @Option(
    help: ArgumentHelp(
      "The llvm-objdump that disassembles the lines; \"none\": show instruction words.",
      valueName: "path"))
  var objdump = "llvm-objdump"

  @Flag(
    name: .shortAndLong,
    help: "Also show what passed, with its instructions, the marks, and every place.")
  var verbose = false

  @OptionGroup(title: "Kernel") var types: TypeOptions
  @OptionGroup(title: "Kernel") var scheme: GenerationOptions
  @OptionGroup(title: "Output") var output: OutputOptions
  @OptionGroup(title: "Exit code") var verdict: VerdictOptions

  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  func run() throws {
    try verdict.exitCode.run {
      do { return try audit() } catch let problem as Problem {
        // Who reads the document reads it whatever the exit code.
        if format == .json {
          let sink = try ByteSink(path: output.output)
          try sink.write(AuditJSON.render(unusable: vmlinux, problem.sentence))
          try sink.finish()
        }
        throw problem
      }
    }
  }

  private func audit() throws -> Outcome {
    let image: KernelImage
    do throws(KernelImageError) { image = try types.open(vmlinux) } catch {
      throw Problem("\(error)")
    }
    let generation = try scheme.generation(of: image)
    var audit: CodeAudit
    do throws(KernelImageError) {
      audit = try image.audit(as: generation)
      if types.allUnits { audit.add(try image.unitAgreement()) }
    } catch {
      throw Problem("\(error)")
    }
    if objdump != "none" {
      let lines = audit.checks.flatMap(\.lines)
      if let disassembly = Disassembly(lines, objdump: objdump) {
        audit = disassembly.adding(to: audit)
      } else if !output.quiet {
        ProcessState.complain(
          "ptrauth-trace: warning: \(objdump) cannot disassemble here: instruction words are shown; "
            + "give another with --objdump")
      }
    }
    let evidence = image.generationEvidence()
    let facts = AuditSubjectFacts(
      path: vmlinux, buildID: image.buildID.map(hexadecimal),
      generation: generation,
      marks: evidence.marks.map {
        KernelFacts.Mark(
          description: $0.description, outcome: $0.outcome.rawValue, isConsistent: $0.consistent)
      }, typeFormats: image.typeFormats.map(\.rawValue), btf: types.btf)
    let sink = try output.sink(isText: format == .text)
    switch format {
    case .text:
      try sink.write(
        AuditText.render(
          audit, of: facts, style: output.style, isVerbose: verbose))
    case .json: try sink.write(AuditJSON.render(audit, of: facts))
    }
    try sink.finish()
    return Outcome(audit, failOn: verdict.failOn.severity)
  }
}

extension Outcome {
  init(_ audit: CodeAudit, failOn: Rule.Severity?) {
    if let failOn, audit.failures.contains(where: { ($0.rule?.severity ?? .high) >= failOn }) {
      self = .findings
    } else {
      self = audit.verdict == .cannotJudge ? .cannotJudge : .clean
    }
  }
}

extension CodeAudit {
  /// Units that do not agree on a struct make every answer about slots and bases doubtful.
  mutating func add(_ agreement: UnitAgreement) {
    let check = CodeCheck(
      .base, agreement.differences.isEmpty ? .pass : .cannotJudge, at: "struct offsets",
      agreement.summary)
    let place = checks.firstIndex { $0.question == .base } ?? checks.endIndex
    checks.insert(check, at: place)
  }
}
