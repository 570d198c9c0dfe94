import ArgumentParser
import Bytes
import Replay
import Report

/// A baseline of findings that do not fail a run again.
struct KnownOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Findings of this list are shown as known and do not count for the exit code; a new rule, a new place in the \
      kernel, and what was suspected and is proved do.
      """,
      valueName: "file"),
    completion: .file(extensions: ["json"]))
  var known: String?

  @Option(
    help: ArgumentHelp(
      "Write the findings of this run as such a list (rule, level and place in the kernel).",
      valueName: "file"),
    completion: .file(extensions: ["json"]))
  var writeKnown: String?

  func list() throws(Problem) -> KnownFindings? {
    guard let known else { return nil }
    guard let bytes = Folder.contents(known, limit: 16 << 20) else {
      throw Problem("\(known): cannot be read; analyze --write-known \(known) writes it")
    }
    do throws(SavedFault) { return try KnownFindings(bytes) } catch {
      throw Problem(
        "\(known): is no list of known findings (\(error)); analyze --write-known writes one")
    }
  }

  /// Of several recordings a known finding may be in any.
  func missing(in found: KnownFindings) throws(Problem) -> [String] {
    (try list())?.missing(in: found).map {
      "known, and in none of the recordings: \($0.rule) (\($0.level.word))"
    } ?? []
  }

  /// - Parameter report: where the report went.
  func write(_ found: KnownFindings, besides report: String) throws {
    guard let writeKnown else { return }
    guard !Folder.isSameFile(writeKnown, report) else {
      throw Problem("\(writeKnown): holds the report; name another file with --write-known")
    }
    let sink = try ByteSink(path: writeKnown)
    try sink.write(found.bytes)
    try sink.finish()
  }
}
