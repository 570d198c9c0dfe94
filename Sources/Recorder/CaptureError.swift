/// A recording that is not begun.
public enum CaptureError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Where the file of this name would lie.
  case noSpace(String)

  public var description: String {
    switch self {
    case .noSpace(let output): "there is too little room for \(output): the disk is full"
    }
  }
}
