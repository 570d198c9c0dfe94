import ArgumentParser
import Bytes

/// What somebody may have meant who named a command that does not exist.
enum Suggestion {
  /// nil if the first argument is a command, or an option.
  static func words(
    for arguments: [String], of configuration: CommandConfiguration
  ) -> String? {
    guard let word = arguments.first, !word.hasPrefix("-"), !word.isEmpty else { return nil }
    let names = configuration.subcommands.flatMap { command in
      [command._commandName] + command.configuration.aliases
    }
    if names.contains(word) || word == "help" { return nil }
    if isELF(word) {
      return "\(word) is no command; to check a kernel's code: ptrauth-trace audit \(word); to "
        + "analyze a recording of it: ptrauth-trace analyze -k \(word) perf.data"
    }
    if word.contains("/") || word.contains("."), SystemFile.exists(word) {
      return "\(word) is no command; to analyze it: ptrauth-trace analyze \(word)"
    }
    let near = names.map { (name: $0, distance: distance(word.lowercased(), $0)) }
      .min { $0.distance < $1.distance }
    if let near, near.distance <= max(1, min(3, near.name.count / 2)) {
      return "\(word) is no command; did you mean `ptrauth-trace \(near.name)`?"
    }
    return "\(word) is no command; there are "
      + configuration.subcommands.map { $0._commandName }.joined(separator: ", ")
  }

  private static func isELF(_ path: String) -> Bool {
    guard let file = try? MappedFile(headOf: path, limit: 4 << 20) else { return false }
    return file.bytes.extracting(first: 4).copied() == [0x7f] + Array("ELF".utf8)
  }

  /// Letters to add, take away, change or swap with their neighbour (optimal string alignment); a beginning
  /// of the name is near, too.
  private static func distance(_ a: String, _ b: String) -> Int {
    if a.count > 1, b.hasPrefix(a) { return 1 }
    let (a, b) = (Array(a), Array(b))
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var least = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          least = min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
