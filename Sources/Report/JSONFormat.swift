/// A JSON format of this tool. traces/schemas/ has a JSON Schema of each, and says when a number goes up.
public enum JSONFormat: String, Sendable, CaseIterable {
  case analysis = "analysis/2"
  case audit = "audit/2"
  case comparison = "comparison/1"
  case fleet = "fleet/1"
  case info = "info/1"
  case known = "known/1"
  case passes = "passes/1"
  case picture = "timeline/1"
  case rules = "rules/1"
  case lines = "lines/2"
  case summary = "summary/1"
  case verification = "verification/1"
  case whatif = "whatif/1"

  /// What a document's `schema` says.
  public var name: String { "ptrauth-trace/" + rawValue }
}

extension JSONWriter {
  /// The members that every document begins with.
  mutating func begin(_ format: JSONFormat) {
    field("schema", format.name)
    field("toolVersion", ToolVersion.number)
  }
}
