import Ptrauth
import Testing

/// The catalogue is a table that people read: its form.
struct RuleCatalogueTests {
  @Test func idsAreUniqueAndKebabCase() {
    let ids = Rule.all.map(\.id)
    #expect(Set(ids).count == ids.count)
    for id in ids {
      #expect(id.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "-" }, "\(id)")
    }
    #expect(ids.allSatisfy { Rule(id: $0)?.id == $0 })
    #expect(Rule(id: "no-such-rule") == nil)
  }

  @Test(arguments: Rule.all.map(\.id))
  func everyRuleTellsEverything(id: String) throws {
    let rule = try #require(Rule(id: id))
    for text in [rule.title, rule.definition, rule.consequence, rule.lookAt] {
      #expect(!text.isEmpty, "\(rule.id)")
    }
    #expect(!rule.proofs.isEmpty && rule.proofs.allSatisfy { !$0.grounds.isEmpty }, "\(rule.id)")
    #expect(!rule.symbols.isEmpty, "\(rule.id)")
    #expect(!rule.history.isEmpty, "\(rule.id)")
    // A commit, a Message-Id or an address.
    for source in rule.history {
      let isCommit =
        source.reference.count == 12 && source.reference.allSatisfy { $0.isHexDigit }
      #expect(isCommit || source.reference.contains("@") || source.reference.hasPrefix("https://"))
      #expect(!source.says.isEmpty)
    }
  }

  @Test(arguments: Rule.all.map(\.id))
  func diagramsFitATerminal(id: String) throws {
    let rule = try #require(Rule(id: id))
    let lines = rule.diagram.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count >= 3, "\(rule.id)")
    for line in lines {
      #expect(line.count <= 72 && line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }, "\(line)")
    }
  }

  @Test func correctnessComesFirst() {
    let flags = Rule.all.map(\.isCorrectness)
    #expect(flags == flags.sorted { $0 && !$1 })
    for isCorrectness in [true, false] {
      let severities = Rule.all.filter { $0.isCorrectness == isCorrectness }.map(\.severity)
      #expect(severities == severities.sorted(by: >))
    }
    #expect(
      Rule.all.filter { !$0.isCorrectness }.allSatisfy { $0.severity <= .low },
      "a working kernel's costs fail no command by default")
  }

  @Test func everyJudgeHasItsOwn() {
    #expect(Rule.judged(by: .events).contains(.staleEnable))
    #expect(!Rule.judged(by: .events).contains(.missingISB))
    #expect(Rule.judged(by: .audit).contains(.missingISB))
    #expect(Rule.Judge.allCases.allSatisfy { !Rule.judged(by: $0).isEmpty })
  }
}
