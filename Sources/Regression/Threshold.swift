/// `--fail-if`: a condition on a metric.
///
///     CONDITION = METRIC OP NUMBER | METRIC OP SIGN NUMBER "%" | "new." METRIC OP NUMBER
///     OP        = ">" | ">=" | "<" | "<="
///
/// `redundant-share>1.1` fails if the new side's median is more than 1.1 times the base side's;
/// `traps-per-second>+10%` is `traps-per-second>1.1`, `switches-per-run<-20%` is `switches-per-run<0.8`;
/// `new.redundant-share>0.5` looks at the new side alone.
public struct Threshold: Sendable, CustomStringConvertible {
  public var metric: Metric
  public var isRatio: Bool
  public var comparison: Comparison
  public var bound: Double
  public var description: String

  public enum Comparison: String, Sendable, CaseIterable {
    case atLeast = ">="
    case atMost = "<="
    case above = ">"
    case below = "<"
    func holds(_ value: Double, _ bound: Double) -> Bool {
      switch self {
      case .above: value > bound
      case .atLeast: value >= bound
      case .below: value < bound
      case .atMost: value <= bound
      }
    }
  }

  /// - Throws: a sentence for who wrote it.
  public init(_ text: String) throws(ThresholdError) {
    let condition = String(text.filter { $0 != " " })
    guard
      let (comparison, at) = Comparison.allCases.lazy.compactMap({ sign in
        condition.firstRange(of: sign.rawValue).map { (sign, $0) }
      }).first
    else {
      throw ThresholdError("\(text): has none of > >= < <=, as in redundant-share>1.1")
    }
    var name = String(condition[..<at.lowerBound])
    isRatio = !name.hasPrefix("new.")
    if !isRatio { name.removeFirst(4) }
    guard let metric = Metric(named: name) else {
      throw ThresholdError(
        "\(text): \(name.isEmpty ? "no metric" : name + " is no metric") ("
          + Metric.all.map(\.name).joined(separator: ", ") + ")")
    }
    var number = String(condition[at.upperBound...])
    let isPercent = number.hasSuffix("%")
    let isSigned = number.hasPrefix("+") || number.hasPrefix("-")
    if isPercent { number.removeLast() }
    guard let value = Double(number), value.isFinite, isPercent == isSigned, isRatio || !isPercent
    else {
      throw ThresholdError(
        "\(text): after \(comparison.rawValue) comes a number (1.1), or a change with its sign (+10%)"
      )
    }
    self.metric = metric
    self.comparison = comparison
    bound = isPercent ? 1 + value / 100 : value
    description = condition
  }
}

public struct ThresholdError: Error, Sendable, CustomStringConvertible {
  public var description: String
  init(_ sentence: String) { description = sentence }
}
