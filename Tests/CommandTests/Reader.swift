import Glibc
import Testing

/// What a validator of Tests/CommandTests/Validators says of a report.
struct Reader {
  struct Refusal: Error, CustomStringConvertible { var description: String }

  /// The lines that a validator prints of a report; a refusal is thrown.
  @discardableResult
  static func lines(_ validator: String, _ report: [UInt8]) throws -> [String] {
    let path = "/tmp/ptrauth-trace-report-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    Corpus.write(report, to: path)
    let reader = try Program.validate(validator, [path])
    guard reader.code == 0 else { throw Refusal(description: reader.errors) }
    return reader.output.split(separator: "\n").map(String.init)
  }

  @discardableResult
  static func lines(_ validator: String, _ report: String) throws -> [String] {
    try lines(validator, Array(report.utf8))
  }
}
