/// A recording that is not begun.
public enum CaptureError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Where the file of this name would lie.
  case noSpace(String)
  /// Its key values would not be found: why.
  case keysStay(String)

  public var description: String {
    switch self {
    case .noSpace(let output): "there is too little room for \(output): the disk is full"
    case .keysStay(let reason):
      "its key values could not be replaced: \(reason)"
    }
  }
}
