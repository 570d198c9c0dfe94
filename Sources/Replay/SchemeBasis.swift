/// What the choice of a generation rests on. Unless the recorded kernel's own code shows it, the scheme is
/// assumed, and nothing that is found under it is proved.
public enum SchemeBasis: Sendable, Hashable {
  /// The recorded kernel's vmlinux has its marks.
  case code
  /// Somebody said so.
  case named
  /// The release alone: trees carry backports.
  case release

  /// The most that a finding can be.
  var ceiling: Finding.Level { self == .code ? .proved : .suspected }
}
