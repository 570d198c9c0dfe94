import Ptrauth

/// A rule as SARIF's reportingDescriptor, with the help that code scanning shows beside an alert.
enum SARIFRule {
  static func write(_ rule: Rule, _ json: inout JSONWriter) {
    json.object { json in
      json.field("id", rule.id)
      SARIFReport.message(sentence(rule.title), "shortDescription", &json)
      SARIFReport.message(
        sentence(rule.definition) + " " + sentence(rule.consequence), "fullDescription", &json)
      json.key("help")
      json.object { json in
        json.field("text", help(rule))
        json.field("markdown", markdown(rule))
      }
      json.key("defaultConfiguration")
      json.object { $0.field("level", level(rule.severity)) }
      json.key("properties")
      json.object { json in
        json.key("tags")
        json.array { json in
          for tag in [rule.isCorrectness ? "correctness" : "performance", "kvm", "pauth"] {
            json.value(tag)
          }
        }
        json.field("severity", rule.severity.name)
      }
    }
  }

  /// SARIF knows three levels of failure.
  static func level(_ severity: Rule.Severity) -> String {
    switch severity {
    case .critical, .high: "error"
    case .medium: "warning"
    case .low, .info: "note"
    }
  }

  private static func help(_ rule: Rule) -> String {
    "\(sentence(rule.definition))\n\(sentence(rule.consequence))\n"
      + "Look at \(sentence(rule.lookAt, capital: false))"
  }

  private static func markdown(_ rule: Rule) -> String {
    var text = "\(sentence(rule.definition))\n\n**Then:** \(sentence(rule.consequence))\n\n"
    if !rule.diagram.isEmpty { text += "```\n\(rule.diagram)\n```\n\n" }
    text += "**Look at** \(sentence(rule.lookAt, capital: false))\n"
    if !rule.history.isEmpty {
      text += "\n" + rule.history.map { "- \($0.reference): \($0.says)\n" }.joined()
    }
    return text
  }

  /// SARIF §3.11: messages are sentences. Names of code stay as they are.
  static func sentence(_ words: String, capital: Bool = true) -> String {
    let isName = words.prefix { $0 != " " }.contains("_")
    let start = capital && !isName ? words.prefix(1).uppercased() + words.dropFirst() : words
    return start.hasSuffix(".") ? start : start + "."
  }
}
