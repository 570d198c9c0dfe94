import Glibc
import Testing

/// A file of Golden/ that somebody read. `UPDATE_GOLDEN=1 swift test --filter GoldenTests` writes them anew:
/// read what changed before you commit it.
enum Golden {
  static func expect(_ bytes: [UInt8], is name: String) {
    let path = Corpus.root + "/Tests/CommandTests/Golden/" + name
    if unsafe getenv("UPDATE_GOLDEN") != nil { Corpus.write(bytes, to: path) }
    let golden = Corpus.bytes(path)
    #expect(!golden.isEmpty, "\(name)")
    guard bytes != golden else { return }
    let lines = [bytes, golden].map { String(decoding: $0, as: UTF8.self).split(separator: "\n") }
    let same = zip(lines[0], lines[1]).prefix { $0 == $1 }.count
    Issue.record(
      """
      \(name): line \(same + 1) is not
      \(lines[1].dropFirst(same).first ?? "(end)")
      but
      \(lines[0].dropFirst(same).first ?? "(end)")
      """)
  }
}
