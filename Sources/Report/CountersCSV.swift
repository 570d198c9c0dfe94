import Printing
import Ptrauth
import Replay

/// `--format csv`: the counters of every vCPU as RFC 4180, with a header. Empty fields are unknown, and what
/// not every event would show and those that are there prove none of; where `loads_are_lower_bounds` is true, so are
/// loads and puts; key_switches where
/// `key_switches_are_lower_bounds` is. `critical_not_judged` names rules of the recording, by spaces. The verdict of a
/// part says which: "clean of --vcpu 1 (0 of 5 findings)".
public enum CountersCSV {
  private static let columns: [(name: String, value: @Sendable (Analysis.VCPU) -> String?)] = [
    ("vcpu", { $0.identity.pointer.map(hexadecimal) }),
    ("vcpu_id", { $0.identity.number.map(String.init) }),
    ("tid", { String($0.tid) }),
    ("pid", { $0.pid < 0 ? nil : String($0.pid) }),
    ("vmm", { $0.vmm }),
    ("identity", { $0.identity.kind.words }),
    ("feature", { word($0.feature) }),
    ("loads", { String($0.counters.loads) }),
    ("puts", { proved(.puts, $0.counters.puts, $0) }),
    ("loads_are_lower_bounds", { String($0.counters.bounds.lower.contains(.loads)) }),
    ("runs", { String($0.counters.runs) }),
    ("known_runs", { String($0.counters.knownRuns) }),
    ("enabled_runs", { proved(.enabledRuns, $0.counters.enabledRuns, $0) }),
    ("pac_traps", { String($0.counters.instructionTraps) }),
    ("key_register_traps", { proved(.keyRegister, $0.counters.registerTraps, $0) }),
    ("hidden_traps", { proved(.hidden, $0.counters.hiddenTraps, $0) }),
    ("undefs", { proved(.undefs, $0.counters.undefs, $0) }),
    ("resets", { proved(.resets, $0.counters.resets, $0) }),
    (
      "host_saves",
      {
        $0.counters.bounds.upper.contains(.hostSaves)
          ? nil : proved(.hostSaves, $0.counters.hostSaves, $0)
      }
    ),
    ("key_switches", { String($0.counters.keySwitches) }),
    ("key_switches_are_lower_bounds", { String($0.counters.bounds.lower.contains(.keySwitches)) }),
  ]

  private static func proved(_ counter: CounterSet, _ count: UInt64, _ vcpu: Analysis.VCPU)
    -> String?
  {
    vcpu.counters.bounds.lower.contains(counter) && count == 0 ? nil : String(count)
  }

  public static func render(_ suites: [TestSuite]) -> String {
    var text = line(["recording", "verdict"] + columns.map(\.name) + ["critical_not_judged"])
    for suite in suites {
      guard let analysis = suite.document?.analysis else { continue }
      let verdict =
        analysis.verdict.word + (SelectionSentence(analysis).map(\.caveat) ?? "")
      for vcpu in analysis.vcpus {
        text += line(
          [suite.path, verdict] + columns.map { $0.value(vcpu) ?? "" }
            + [analysis.criticalNotJudged.map(\.rule.id).joined(separator: " ")])
      }
    }
    return text
  }

  private static func line(_ fields: [String]) -> String {
    fields.map(quoted).joined(separator: ",") + "\r\n"
  }

  /// Every record is one line: line feeds of a field are written out.
  private static func quoted(_ field: String) -> String {
    let field = ControlCharacters.escaped(field)
    guard field.contains("\"") || field.contains(",") else { return field }
    return "\"" + field.replacing("\"", with: "\"\"") + "\""
  }
}
