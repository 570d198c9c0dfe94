public import Ptrauth

/// `explain --format json`: one document.
///
///     schema   "ptrauth-trace/rules/1", and toolVersion
///     rules    rule, title, severity, correctness, definition, consequence,
///              judgedBy [{command (analyze | audit | verify), grounds}], history [{reference, says}],
///              lookAt, symbols, diagram
public enum RuleJSON {
  public static func render(_ rules: [Rule]) -> [UInt8] {
    var json = JSONWriter(pretty: true)
    json.object { json in
      json.begin(.rules)
      json.key("rules")
      json.array { json in for rule in rules { json.object { self.rule(rule, &$0) } } }
    }
    json.newline()
    return json.bytes
  }

  private static func rule(_ rule: Rule, _ json: inout JSONWriter) {
    json.field("rule", rule.id)
    json.field("title", rule.title)
    json.field("severity", rule.severity.name)
    json.field("correctness", rule.isCorrectness)
    json.field("definition", rule.definition)
    json.field("consequence", rule.consequence)
    json.key("judgedBy")
    json.array { json in
      for proof in rule.proofs {
        json.object { json in
          json.field("command", proof.judge.command)
          json.field("grounds", proof.grounds)
        }
      }
    }
    json.key("history")
    json.array { json in
      for source in rule.history {
        json.object { json in
          json.field("reference", source.reference)
          json.field("says", source.says)
        }
      }
    }
    json.field("lookAt", rule.lookAt)
    json.key("symbols")
    json.array { json in for symbol in rule.symbols { json.value(symbol) } }
    json.field("diagram", rule.diagram)
  }
}
