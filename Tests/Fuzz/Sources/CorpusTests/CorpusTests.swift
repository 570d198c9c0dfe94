import Glibc
import Testing

/// What the fuzzers start from, and every file that ever made one fail: each comes back, and soon.
struct CorpusTests {
  struct Input: CustomTestStringConvertible, Sendable {
    var target: Target
    var path: String
    var testDescription: String { path.split(separator: "/").suffix(3).joined(separator: "/") }
  }

  /// Tests/Fuzz/Sources/CorpusTests/CorpusTests.swift
  static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  static let inputs = Target.all.flatMap { target in
    ["Seeds", "Corpus"].map { "\(root)/\($0)/\(target.name)" }.flatMap { folder in
      Scratch.names(in: folder).map { Input(target: target, path: "\(folder)/\($0)") }
    }
  }

  @Test func everyTargetHasSeeds() {
    for target in Target.all {
      #expect(Self.inputs.contains { $0.target.name == target.name }, "\(target.name)")
    }
  }

  /// One at a time: some take the standard input.
  @Test func comesBack() throws {
    let saved = dup(STDIN_FILENO)
    defer {
      dup2(saved, STDIN_FILENO)
      close(saved)
    }
    for input in Self.inputs {
      let scratch = try #require(Scratch())
      defer { scratch.remove() }
      let time = processorTime { input.target.run(Scratch.bytes(input.path), scratch) }
      // Without optimization.
      #expect(time < 20, "\(input.testDescription)")
    }
  }
}
