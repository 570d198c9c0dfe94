/// What every compile unit of a kernel says to the questions that were asked of its types.
///
/// The answers are taken from BTF, or from the unit that owns KVM's code: that takes milliseconds. All units
/// are compiled from the same headers and must agree; a kernel where they do not was linked from objects of
/// different configurations, and offsets are no guide to its code.
public struct UnitAgreement: Sendable, Equatable {
  /// Compile units in .debug_info.
  public internal(set) var units = 0
  /// Units that define a type that was asked about.
  public internal(set) var defining = 0
  /// Questions that have an answer.
  public internal(set) var questions = 0
  /// Answers that were compared.
  public internal(set) var answers = 0
  public internal(set) var differences: [Difference] = []

  public struct Difference: Sendable, Equatable, CustomStringConvertible {
    public var question: TypeQuestion
    /// What is used.
    public var used: Int64
    /// DW_AT_name of the unit that says otherwise: its source file.
    public var unit: String
    /// What it says; nil: it defines the type without that member.
    public var found: Int64?

    public var description: String {
      "\(question) is \(found.map(String.init) ?? "missing") in \(unit), \(used) elsewhere"
    }
  }

  /// In one sentence without its full stop.
  public var summary: String {
    let count = "\(defining) of \(units) compile units define the structs used"
    guard let first = differences.first else {
      return "\(count), and agree on all \(questions) offsets and enumerators"
    }
    let others = Set(differences.map(\.unit)).count - 1
    return "\(count), and do not agree: \(first)"
      + (others > 0 ? "; \(others) more units differ" : "")
  }
}

extension KernelImage {
  /// Puts every question that was asked so far to each compile unit. Walks all of .debug_info: seconds
  /// for a distribution's kernel.
  ///
  /// Throws `.noTypes` if there is no DWARF, or none that says anything of what was asked.
  public func unitAgreement() throws(KernelImageError) -> UnitAgreement {
    guard let information else {
      if case .damagedTypes = noTypes.code { throw noTypes }
      throw KernelImageError(
        .noTypes, path, "has no DWARF, so there are no compile units to compare")
    }
    let asked = typeQuestions.sorted { $0.description < $1.description }
    let known = asked.compactMap { question in
      answer(to: question).map { (question: question, answer: $0) }
    }
    var agreement = UnitAgreement()
    agreement.questions = known.count
    let names = Set(asked.compactMap(\.root) + information.enumerations(holding: asked))
    let wanted = names.sorted().map { Array($0.utf8CString) }
    while let unit = information.unit(agreement.units) {
      agreement.units += 1
      let types = UnitTypes(of: unit, wanted, else: information)
      guard !types.isEmpty else { continue }
      agreement.defining += 1
      let layout = StructLayout(source: types, image: path)
      for (question, used) in known where types.defines(question) {
        agreement.answers += 1
        let found = layout.answer(to: question)
        guard found != used else { continue }
        agreement.differences.append(
          UnitAgreement.Difference(
            question: question, used: used, unit: unit.name ?? "a unit without a name",
            found: found))
      }
    }
    guard agreement.answers > 0 else {
      throw KernelImageError(
        .noTypes, path,
        "has no compile unit, of \(agreement.units), that defines a struct that was asked about: whether they agree "
          + "cannot be judged; leave --all-units out")
    }
    return agreement
  }

  private func answer(to question: TypeQuestion) -> Int64? {
    switch question {
    case .offset(let path): (try? offset(of: path)).flatMap(Int64.init(exactly:))
    case .size(let type): (try? size(of: type)).flatMap(Int64.init(exactly:))
    case .enumerator(let name, let enumeration): enumerator(name, in: enumeration)
    }
  }
}
