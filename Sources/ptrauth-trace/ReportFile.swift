import Bytes
package import Regression
import Report

/// A report of `analyze --format json`, read back from a file.
package enum ReportFile {
  /// What its documents say; nil if `path` is no report. An array of documents is several recordings.
  package static func read(_ path: String) throws(Problem) -> [Sample]? {
    guard let text = whole(path) else { return nil }
    let head = Array(text.prefix(4096))
    guard schemas.contains(where: { head.firstRange(of: $0) != nil }) else { return nil }
    guard text.count <= limit else {
      throw Problem("\(path): a report of more than \(limit >> 20) MiB is not read")
    }
    do throws(ReportDocument.Failure) {
      return try ReportDocument.samples(in: text, name: path)
    } catch {
      let what: String
      switch error {
      case .isFiltered:
        throw Problem(
          "\(path): shows a part of its recording, and what it leaves out would seem fixed; write the whole with "
            + "analyze --format json")
      case .damaged: what = "is not one to its end"
      case .impossibleCount: what = "has a count that no recording can have"
      }
      throw Problem(
        "\(path): begins as a report of ptrauth-trace, but \(what); write it again with analyze "
          + "--format json")
    }
  }

  /// Of documents that are read: what changed between them is not looked at here.
  private static let schemas = [JSONFormat.analysis.name, "ptrauth-trace/analysis/1"].map {
    Array("\"\($0)\"".utf8)
  }
  private static let limit = 64 << 20

  /// The whole of a file that begins like JSON.
  private static func whole(_ path: String) -> [UInt8]? {
    guard path != "-", let file = try? MappedFile(path: path) else { return nil }
    let bytes = file.bytes
    guard let first = bytes.u8(at: 0), first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    else { return nil }
    return bytes.slice(at: 0, count: min(bytes.byteCount, limit + 1))?.copied()
  }
}
