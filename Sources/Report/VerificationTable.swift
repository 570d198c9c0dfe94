public import Explorer
import Ptrauth

/// `verify` of everything: one line for each generation in each of its eras, one for each fault.
public struct VerificationTable {
  private var page: Page
  private let style: Style
  /// Known defects are violations.
  private let isStrict: Bool
  /// An invariant was violated in a generation, or none by a fault.
  public private(set) var hasSurprise = false
  public private(set) var isComplete = true

  public init(style: Style, isStrict: Bool = false) {
    self.style = style
    self.isStrict = isStrict
    page = Page(style)
    page.paragraph("generation     era     states  depth  ", "invariants")
  }

  public mutating func add(_ verification: Verification) {
    let setting = verification.setting
    hasSurprise = hasSurprise || !verification.violations.isEmpty
    isComplete = isComplete && verification.isComplete
    let head =
      "\(setting.standard.id.padded(4)) \(setting.standard.name.padded(9)) \(setting.era.name.padded(3))"
      + " \(String(verification.stateCount).right(9)) \(String(verification.depth).right(6))  "
    page.paragraph(head, VerificationText.verdict(verification, style, isStrict: isStrict))
  }

  public mutating func beginFaults() {
    page.line()
    page.paragraph(
      style.bold("fault                    in       states  "),
      style.bold("violated, in so many steps"))
  }

  public mutating func addFault(_ verification: Verification) {
    let found = verification.violations
    if found.isEmpty { hasSurprise = true }
    isComplete = isComplete && verification.isComplete
    let words = found.map { "\($0.invariant.id) (\($0.steps.count))" }.joined(separator: ", ")
    let head =
      (verification.fault?.name ?? "").padded(24) + " "
      + verification.setting.standard.name.padded(7)
      + " " + String(verification.stateCount).right(7) + "  "
    page.paragraph(head, found.isEmpty ? style.red("NOTHING") : words)
  }

  public var text: String { page.text }
}
