import Report
import Testing

/// One place says what this is a build of, and each document only the number.
struct VersionTests {
  @Test func lineSaysTheBuild() throws {
    let line = try Program.run(Program.command, ["--version"]).output
    #expect(line == ToolVersion.line + "\n")
    let machine = try Program.run("uname", ["-m"]).output
    let parts = line.split(separator: ", ").map(String.init)
    #expect(parts.count == 4 && parts.first == "ptrauth-trace \(ToolVersion.number)")
    // The tests run on a working tree, of which no commit tells.
    #expect(parts.dropFirst().first == "no release")
    #expect(parts.dropFirst(2).first?.hasPrefix("Swift 6.") == true)
    #expect(parts.last == machine, "\(line)")
  }

  /// The release takes the number from here, and what changed from there.
  @Test func theChangesAreOfThisVersion() {
    let file = Corpus.bytes(Corpus.root + "/traces/CHANGELOG.md")
    let changes = String(decoding: file, as: UTF8.self)
    #expect(changes.contains("\n## \(ToolVersion.number)\n"))
  }

  @Test func documentsHaveTheNumberAlone() throws {
    let page = try Program.run(Program.command, ["manual"]).output
    #expect(page.contains("ptrauth-trace \(ToolVersion.number)\"\n"))
    #expect(!page.contains("Swift 6"))
  }
}
