public import Explorer
import Ptrauth

/// `verify --format json`: one document.
///
///     schema        "ptrauth-trace/verification/1", and toolVersion
///     generation, generationId, era, fault (name or null)
///     faultRule     the rule that `analyze` reports the fault under, or null
///     faultHidden   why no recording shows the fault, or null
///     setting       vcpus [both | none | partial], pcpus, tasks, oneVmm, preemption, nested
///     explored      states, transitions, depth, complete, classes [{registers, states}]
///     verdict       holds | knownDefects | violated | undecided
///     invariants    id, words, outcome (holds | inapplicable | knownDefect | violated | undecided),
///                   reason or null, defect {name, fixedBy} or null, counterexample or null:
///                   {registers, steps, trace [{cpu, task, event, detail, breaks [id]}]}
public enum VerificationJSON {
  public static func render(_ verification: Verification) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    let setting = verification.setting
    json.object { json in
      json.begin(.verification)
      json.field("generation", setting.standard.name)
      json.field("generationId", setting.standard.id)
      json.field("era", setting.era.name)
      json.field("fault", verification.fault?.name)
      json.field("faultRule", verification.fault?.rule?.id)
      json.field("faultHidden", verification.fault?.hidden)
      json.key("setting")
      json.object { self.setting(setting, &$0) }
      json.key("explored")
      json.object { explored(verification, &$0) }
      json.field("verdict", verdict(verification))
      json.key("invariants")
      json.array { json in
        for (invariant, outcome) in verification.outcomes {
          json.object { self.outcome(invariant, outcome, &$0) }
        }
      }
    }
    json.newline()
    return json.bytes
  }

  private static func verdict(_ verification: Verification) -> String {
    if !verification.violations.isEmpty { return "violated" }
    if !verification.isComplete { return "undecided" }
    return verification.knownDefects.isEmpty ? "holds" : "knownDefects"
  }

  private static func setting(_ setting: Setting, _ json: inout JSONWriter) {
    json.key("vcpus")
    json.array { json in for feature in setting.features { json.value(word(feature)) } }
    json.field("pcpus", setting.cpus)
    json.field("tasks", setting.tasks)
    json.field("oneVmm", setting.isOneVMM)
    json.field("preemption", setting.preemptsHandler)
    json.field("nested", setting.isNested)
  }

  private static func explored(_ verification: Verification, _ json: inout JSONWriter) {
    json.field("states", verification.stateCount)
    json.field("transitions", verification.transitionCount)
    json.field("depth", verification.depth)
    json.field("complete", verification.isComplete)
    json.key("classes")
    json.array { json in
      for exploration in verification.explorations {
        json.object { json in
          registers(exploration.registers, &json)
          json.field("states", exploration.stateCount)
        }
      }
    }
  }

  private static func registers(_ registers: [KeyRegister], _ json: inout JSONWriter) {
    json.key("registers")
    json.array { json in for register in registers { json.value(register.name) } }
  }

  private static func outcome(
    _ invariant: Invariant, _ outcome: Verification.Outcome, _ json: inout JSONWriter
  ) {
    json.field("id", invariant.id)
    json.field("words", invariant.words)
    var reason: String?
    var defect: KnownDefect?
    var counterexample: Counterexample?
    switch outcome {
    case .holds: json.field("outcome", "holds")
    case .inapplicable(let why):
      json.field("outcome", "inapplicable")
      reason = why
    case .knownDefect(let known, let found):
      json.field("outcome", "knownDefect")
      (defect, counterexample) = (known, found)
    case .violated(let found):
      json.field("outcome", "violated")
      counterexample = found
    case .undecided: json.field("outcome", "undecided")
    }
    json.field("reason", reason)
    json.key("defect")
    if let defect {
      json.object { json in
        json.field("name", defect.name)
        json.field("fixedBy", defect.fixedBy)
      }
    } else {
      json.null()
    }
    json.key("counterexample")
    if let counterexample {
      json.object { self.counterexample(counterexample, &$0) }
    } else {
      json.null()
    }
  }

  private static func counterexample(
    _ counterexample: Counterexample, _ json: inout JSONWriter
  ) {
    registers(counterexample.registers, &json)
    json.field("steps", counterexample.steps.count)
    json.key("trace")
    json.array { json in
      for line in counterexample.lines {
        json.object { json in
          json.field("cpu", line.cpu)
          json.field("task", line.task)
          json.field("event", line.event)
          json.field("detail", line.detail)
          json.key("breaks")
          json.array { json in for invariant in line.broken { json.value(invariant.id) } }
        }
      }
    }
  }
}
