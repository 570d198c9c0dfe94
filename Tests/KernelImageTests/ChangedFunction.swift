import KernelImage
import Ptrauth
import Testing

/// A function of a kernel, whose instructions a test replaces by others.
struct ChangedFunction {
  private let scratch: Scratch
  let image: KernelImage
  let address: UInt64
  let words: [UInt32]
  let code: [A64Instruction]

  /// - Parameter names: of which the kernel has one.
  init(_ kernel: CodeKernel, _ names: [String]) throws {
    let scratch = try Scratch()
    try self.init(KernelImage(path: kernel.unpacked(in: scratch)), names, scratch)
  }

  /// - Parameter kernel: what a ``CodeKernel`` or a ``RecordedKernel`` is called.
  init(_ kernel: String, _ name: String) throws {
    if let recorded = RecordedKernel(rawValue: kernel) {
      try self.init(recorded.open(), [name], Scratch())
    } else {
      let known = CodeKernel.all.first { $0.testDescription == kernel }
      try self.init(#require(known), [name])
    }
  }

  private init(_ image: KernelImage, _ names: [String], _ scratch: Scratch) throws {
    let found = names.lazy.compactMap { image.addresses(of: $0).first }.first
    let start = try #require(found)
    let function = try #require(image.function(at: start))
    let words = try #require(image.words(of: function))
    self.scratch = scratch
    self.image = image
    self.words = words
    address = start
    code = words.indices.map { A64Instruction(words[$0], at: start + UInt64($0) * 4) }
  }

  func first(_ matches: (A64Instruction) -> Bool) throws -> Int {
    let index = code.firstIndex(where: matches)
    return try #require(index)
  }

  func last(before index: Int, _ matches: (A64Instruction) -> Bool) throws -> Int {
    let found = code[..<index].lastIndex(where: matches)
    return try #require(found)
  }

  /// What the audit says to the questions, with these words in place of those of the code, by index.
  func checks(
    _ questions: Set<CodeCheck.Question>, _ changes: [Int: UInt32]
  ) throws -> [CodeCheck] {
    image.replacedInstructions = Dictionary(
      uniqueKeysWithValues: changes.map { (address + UInt64($0.key) * 4, $0.value) })
    defer { image.replacedInstructions = [:] }
    return try image.audit(asking: questions).checks.filter { questions.contains($0.question) }
  }
}
