/// How often each situation occurred.
struct Exercised {
  /// By situation; room for one more.
  private var counts = InlineArray<16, UInt64>(repeating: 0)

  /// Every situation occurred.
  static let all: Exercised = {
    var all = Exercised()
    for situation in Situation.allCases { all.note(situation) }
    return all
  }()

  mutating func note(_ situation: Situation) { counts[situation.rawValue] += 1 }

  subscript(situation: Situation) -> UInt64 { counts[situation.rawValue] }
}
