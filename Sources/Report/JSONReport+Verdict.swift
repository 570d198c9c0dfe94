import Ptrauth
import Replay

extension JSONReport {
  /// The members that say what the recording was judged to be, and what that stands on.
  static func verdict(_ analysis: Analysis, _ json: inout JSONWriter) {
    json.field("verdict", analysis.verdict.word)
    json.field("reason", VerdictSentence(analysis).phrase)
    json.field("failOn", analysis.failOn?.name ?? "none")
    json.field("fails", !analysis.failing.isEmpty)
    json.key("judged")
    json.object { json in
      json.field("rules", analysis.judged.count)
      json.field("of", analysis.breakable.count)
    }
    for (name, items) in [
      ("criticalNotJudged", analysis.criticalNotJudged),
      ("requiredNotJudged", analysis.requiredNotJudged),
    ] {
      json.key(name)
      json.array { json in for item in items { json.value(item.rule.id) } }
    }
    json.key("coverage")
    json.array { json in
      for covered in analysis.coverage {
        json.object { json in
          json.field("rule", covered.rule.id)
          json.field("situations", covered.situations)
          json.field("vcpus", covered.vcpus?.seen)
          json.field("of", covered.vcpus?.concerned)
        }
      }
    }
    json.key("code")
    json.object { code(analysis.code, &$0) }
    if let known = analysis.known {
      json.key("known")
      json.object { json in
        json.key("findings")
        json.array { json in
          for finding in known.findings {
            json.object { json in
              json.field("rule", finding.rule.id)
              json.field("level", finding.level.word)
            }
          }
        }
        json.key("gone")
        json.array { json in
          for gone in known.gone {
            json.object { json in
              json.field("rule", gone.rule)
              json.field("level", gone.level.word)
              json.field("judged", gone.isJudged)
            }
          }
        }
      }
    }
    if let selection = analysis.selection {
      json.key("filtered")
      json.object { filtered(selection, analysis, &$0) }
    }
  }

  /// What is shown, and of what.
  private static func filtered(
    _ selection: Selection, _ analysis: Analysis, _ json: inout JSONWriter
  ) {
    json.field("options", selection.words)
    json.key("rules")
    if let rules = selection.rules {
      json.array { json in for rule in rules { json.value(rule.id) } }
    } else {
      json.null()
    }
    json.key("findings")
    json.object { json in
      json.field("shown", analysis.findings.count)
      json.field("of", selection.findings)
    }
    json.key("occurrences")
    json.object { json in
      json.field("shown", analysis.findings.reduce(0) { $0 &+ $1.count })
      json.field("of", selection.occurrences)
    }
    json.field("vcpus", selection.vcpuCount)
    json.field("cpus", selection.cpuCount)
    json.field("judgedInWhole", selection.isOfPart)
    json.field("countersOfWhole", selection.countersAreOfWhole)
  }

  /// What the verdict had to stand on.
  static func required(_ requirement: Requirement, _ json: inout JSONWriter) {
    json.key("required")
    json.object { json in
      json.key("rules")
      json.array { json in for rule in requirement.named { json.value(rule.id) } }
      json.field("severity", requirement.least?.name)
    }
  }

  private static func code(_ judgement: CodeJudgement, _ json: inout JSONWriter) {
    json.field("audited", judgement.audit != nil)
    json.field("reason", judgement.reason)
    for (name, outcome) in [
      ("passed", CodeCheck.Outcome.pass), ("failed", .fail), ("notJudged", .cannotJudge),
    ] {
      json.field(name, judgement.audit?.checks.count { $0.outcome == outcome })
    }
    json.key("rules")
    json.array { json in for rule in judgement.rules { json.value(rule.id) } }
    for (name, checks) in [("elsewhere", judgement.failuresElsewhere), ("open", judgement.open)] {
      json.key(name)
      json.array { json in
        for check in checks {
          json.object { json in
            json.field("rule", check.rule?.id)
            json.field("place", check.place)
            json.field("statement", check.statement)
          }
        }
      }
    }
  }
}
