/// One value that a probe fetches: an argument register of the probed function, or memory reached from it.
///
/// Offsets lie behind pointers: `[8, 24]` is the value at 24 bytes behind the pointer that lies at 8 bytes
/// behind the register. Written for the kernel as Documentation/trace/kprobetrace.rst says.
public struct FetchArgument: Sendable, Hashable {
  /// The canonical field name, which the analysis knows.
  public var name: String
  /// Number of the argument register, x0 ... x7 (the AArch64 procedure call standard).
  public var register: Int
  public var offsets: [UInt64]
  public var type: Kind

  /// How wide the value is, and how it is printed.
  public enum Kind: String, Sendable, Hashable {
    case x8, x32, x64, s32
  }

  public init(_ name: String, register: Int = 0, offsets: [UInt64] = [], _ type: Kind) {
    self.name = name
    self.register = register
    self.offsets = offsets
    self.type = type
  }

  /// "features=+3032(+0(%x0)):x64".
  public var definition: String {
    let place = offsets.reduce("%x\(register)") { "+\($1)(\($0))" }
    return "\(name)=\(place):\(type.rawValue)"
  }
}
