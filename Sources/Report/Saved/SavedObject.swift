import Regression

/// Why a saved document cannot be shown, in words.
public struct SavedFault: Error, Equatable, CustomStringConvertible {
  public var description: String
  public init(description: String) { self.description = description }
}

/// An object of a saved document, and where in it: members are read by name and kind.
struct SavedObject {
  let value: JSONValue
  let place: String

  private func fault(_ name: String, _ kind: String) -> SavedFault {
    SavedFault(description: "\(place)\(name) is no \(kind)")
  }
  private func need<T>(_ found: T?, _ name: String, _ kind: String) throws(SavedFault) -> T {
    guard let found else { throw fault(name, kind) }
    return found
  }

  func text(_ name: String) throws(SavedFault) -> String {
    try need(value[name].text, name, "string")
  }
  func textOrNull(_ name: String) -> String? { value[name].text }
  func flag(_ name: String) throws(SavedFault) -> Bool {
    try need(value[name].flag, name, "true or false")
  }
  func number<T: FixedWidthInteger>(_ name: String) throws(SavedFault) -> T {
    try need(value[name].whole(T.self), name, "number that fits")
  }
  func numberOrNull<T: FixedWidthInteger>(_ name: String) -> T? { value[name].whole(T.self) }
  /// A number of things in one recording. One that no recording can have is refused: no sum or product of them is near
  /// the end of its type.
  func amount<T: FixedWidthInteger>(_ name: String) throws(SavedFault) -> T {
    try bounded(try number(name), name)
  }
  func amountOrNull<T: FixedWidthInteger>(_ name: String) throws(SavedFault) -> T? {
    guard let found: T = numberOrNull(name) else { return nil }
    return try bounded(found, name)
  }
  private func bounded<T: FixedWidthInteger>(_ count: T, _ name: String) throws(SavedFault) -> T {
    guard count >= 0, UInt64(clamping: count) <= ReportDocument.countLimit else {
      throw SavedFault(description: "\(place)\(name) is a count that no recording can have")
    }
    return count
  }
  func object(_ name: String) throws(SavedFault) -> SavedObject {
    guard case .object = value[name] else { throw fault(name, "object") }
    return SavedObject(value: value[name], place: "\(place)\(name).")
  }
  func objectOrNull(_ name: String) throws(SavedFault) -> SavedObject? {
    if case .null = value[name] { nil } else { try object(name) }
  }
  func texts(_ name: String) throws(SavedFault) -> [String] {
    var texts: [String] = []
    for item in try need(value[name].list, name, "list") {
      texts.append(try need(item.text, name, "list of strings"))
    }
    return texts
  }
  func textsOrNull(_ name: String) throws(SavedFault) -> [String]? {
    if case .null = value[name] { nil } else { try texts(name) }
  }
  func objects(_ name: String) throws(SavedFault) -> [SavedObject] {
    try need(value[name].list, name, "list").enumerated()
      .map { SavedObject(value: $1, place: "\(place)\(name)[\($0)].") }
  }
  /// Members that are numbers, in order.
  func numbers<T: FixedWidthInteger>(
    _ name: String
  ) throws(SavedFault) -> [(name: String, value: T)] {
    var numbers: [(name: String, value: T)] = []
    for (key, item) in try need(value[name].members, name, "object") {
      numbers.append((key, try need(item.whole(T.self), "\(name).\(key)", "number that fits")))
    }
    return numbers
  }
  func amounts(_ name: String) throws(SavedFault) -> [(name: String, value: UInt64)] {
    let amounts: [(name: String, value: UInt64)] = try numbers(name)
    for item in amounts { _ = try bounded(item.value, "\(name).\(item.name)") }
    return amounts
  }
  /// One of `all`, by the word that stands for it.
  func one<T>(_ name: String, of all: [T], by word: (T) -> String) throws(SavedFault) -> T {
    let text = try text(name)
    guard let found = all.first(where: { word($0) == text }) else {
      throw SavedFault(
        description: "\(place)\(name) is \"\(text)\", which this version does not know")
    }
    return found
  }
}
