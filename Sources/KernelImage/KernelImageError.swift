/// Why a kernel image, or one fact about it, is not to be had.
public struct KernelImageError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: Sendable, Equatable {
    /// The file cannot be opened or read.
    case unreadable
    /// Named by a recording, and a symbolic link that leads out of where it was looked for.
    case leadsOut
    /// No debuginfod server was asked: the program that asks is not installed.
    case notAsked
    /// No debuginfod server has it, or none answers.
    case notServed
    /// Not a regular file: a directory, a FIFO, a device.
    case notARegularFile
    /// Zero bytes long.
    case empty
    /// Not BTF where BTF was asked for, or damaged BTF.
    case notBTF
    /// BTF of another kernel.
    case otherKernel
    /// Compressed, and unpacking failed.
    case notUnpacked
    /// Not an ELF file; the text says what it looks like.
    case notELF
    /// An ELF file whose headers contradict each other or the length of the file.
    case damaged
    /// 32-bit or big-endian.
    case wrongClass
    /// For another processor.
    case wrongMachine
    /// An object file, a module or a core dump.
    case notLinked
    /// No symbol table.
    case noSymbols
    /// Sections of code without their bytes: debug information alone.
    case noCode
    /// Built without KVM.
    case noKVM
    /// Neither BTF nor DWARF.
    case noTypes
    /// A member path that does not follow `type.member[index].member`.
    case malformedPath
    /// No such struct, union, enumeration or typedef.
    case noSuchType
    /// The type has no such member.
    case noSuchMember
    /// The index names no enumerator, or lies outside of the array.
    case noSuchIndex
    /// The path goes on behind a pointer, a bit field, or an array without an index.
    case notInside
    /// DWARF or BTF that contradicts itself.
    case damagedTypes
  }

  public let code: Code
  /// The file the sentence is about.
  public let path: String
  /// The rest of the sentence behind the file name, and what to do next.
  public let detail: String

  init(_ code: Code, _ path: String, _ detail: String) {
    self.code = code
    self.path = path
    self.detail = detail
  }

  public var description: String { "\(path) \(detail)" }
}
