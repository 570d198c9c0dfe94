import Printing
import Ptrauth
import Replay

/// What every script says first, and what its lines have in common.
package struct ScriptHead {
  let plan: ProbePlan
  let kernel: ScriptKernel

  package init(plan: ProbePlan, kernel: ScriptKernel) {
    self.plan = plan
    self.kernel = kernel
  }

  /// Comment lines, without the comment sign. What comes from the kernel and its name stays behind the sign, whatever
  /// characters it has: people run these scripts as root.
  package var lines: [String] { words.map(ControlCharacters.escaped) }

  private var words: [String] {
    var lines = [
      "Probes for ptrauth-trace: what to record so that the analysis knows every run.",
      "Kernel: \(kernel.path)" + (kernel.buildID.map { ", build-id \($0)" } ?? ", no build-id")
        + (kernel.generation.map { ", key switch of generation \($0)" } ?? ""),
      "The offsets are this kernel's: on any other one the values are wrong.",
    ]
    lines += [""] + plan.notes.flatMap { Self.wrapped($0) }
    if plan.samplesKeys {
      lines += ["", "WARNING: KEY VALUES WILL BE IN THE RECORDING. Before it leaves this machine:"]
      lines += ["  ptrauth-trace redact RECORDING SHAREABLE-COPY"]
    } else if !plan.keyFields.isEmpty {
      lines += [""] + Self.wrapped(withoutKeys)
    }
    lines += hidden
    lines += ["", "Probes:"]
    for probe in plan.probes {
      lines += Self.wrapped(
        "\(probe.function)\(probe.isReturn ? ", at its return" : ""): \(probe.purpose)", indent: 2)
    }
    if !plan.leftOut.isEmpty {
      lines += ["", "Not probed:"]
      for entry in plan.leftOut {
        lines += Self.wrapped(
          "\(entry.functions.joined(separator: ", ")): \(entry.reason)", indent: 2)
      }
    }
    return lines
  }

  /// What leaving the key slots out costs.
  private var withoutKeys: String {
    let rules = plan.rulesOfKeys(generation: kernel.generation)
    return rules.isEmpty
      ? "Key slots are not recorded; no rule of this kernel needs them."
      : "Key slots are not recorded, and these rules are not judged without them: "
        + rules.joined(separator: ", ") + "."
  }

  /// The rules that what is recorded does not show.
  private var hidden: [String] {
    guard let generation = kernel.generation.flatMap({ Generation(named: $0) }) else { return [] }
    let rules = plan.notObservable(in: generation)
    if rules.isEmpty { return [] }
    return ["", "Not judged from such a recording:"]
      + rules.flatMap {
        Self.wrapped("\($0.rule.id): \($0.reason); \($0.remedy)", indent: 2)
      }
  }

  /// `text` in lines of at most 92 columns, those behind the first set in by 2 more.
  static func wrapped(_ text: String, indent: Int = 0) -> [String] {
    var lines: [String] = []
    var line = String(repeating: " ", count: indent)
    var isEmpty = true
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      if !isEmpty, line.count + 1 + word.count > 92 {
        lines.append(line)
        line = String(repeating: " ", count: indent + 2)
        isEmpty = true
      }
      if !isEmpty { line += " " }
      line += word
      isEmpty = false
    }
    return lines + [line]
  }
}

/// The kernel that a script is for.
public struct ScriptKernel: Sendable {
  public var path: String
  /// In hexadecimal.
  public var buildID: String?
  /// Name of the key switch's generation.
  public var generation: String?

  public init(path: String, buildID: String?, generation: String?) {
    self.path = path
    self.buildID = buildID
    self.generation = generation
  }
}
