/// What describes a kernel's types.
public enum TypeFormat: String, Sendable, CaseIterable {
  case btf = "BTF"
  case dwarf = "DWARF"
}

/// A table of types that members can be looked up in.
protocol TypeSource {
  associatedtype Entry: TypeEntry

  static var format: TypeFormat { get }

  /// The definition of a type: "kvm_vcpu", "struct kvm_vcpu", "u64", "enum vcpu_sysreg". A bare name is
  /// a struct, union or enumeration first, a typedef or base type second.
  func definition(of name: String) -> Entry?

  /// The value of an enumerator; of any enumeration at file level if `enumeration` is nil.
  func enumerator(_ name: String, in enumeration: String?) -> Int64?
}

/// One type of a `TypeSource`.
protocol TypeEntry {
  /// The same for the same type alone, within its table.
  var identity: UInt64 { get }
  var name: String? { get }
  /// Its name stands for a definition elsewhere.
  var isDeclaration: Bool { get }
  /// The type without typedefs and qualifiers; nil if the data leads nowhere, or in a circle.
  var unqualified: Self? { get }
  /// Of an unqualified type.
  var shape: TypeShape { get }
  /// Bytes.
  var byteSize: UInt64? { get }
  /// Of an array: what its elements are, and how many each dimension has, outermost first; a count is
  /// nil if the dimension has no bound.
  var array: (element: Self, counts: [UInt64?])? { get }

  /// The first member that `select` returns something for.
  /// - Parameter wanted: a C string; only members of that name and anonymous ones are shown.
  func firstMember<Result>(
    named wanted: [CChar], where select: (TypeMember<Self>) -> Result?
  ) -> Result?
}

enum TypeShape { case aggregate, pointer, array, other }

/// A member of a struct or union.
struct TypeMember<Entry> {
  let isAnonymous: Bool
  /// Bytes from the start of the struct; nil: a bit field.
  let offset: UInt64?
  let type: Entry?
}
