import Ptrauth

/// Situations in which a fault would have shown, by rule: a rule is judged only if there was one.
struct Exercised {
  private var counts: [String: UInt64] = [:]

  /// Every situation occurred.
  static let all: Exercised = {
    var all = Exercised()
    for rule in Rule.all { all.note(rule) }
    return all
  }()

  mutating func note(_ rule: Rule) { counts[rule.id, default: 0] += 1 }

  subscript(rule: Rule) -> UInt64 { counts[rule.id] ?? 0 }
}
