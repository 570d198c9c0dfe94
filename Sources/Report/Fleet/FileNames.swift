/// A sentence about files, with their names and not where they lie.
enum FileNames {
  /// The file's name without its directories.
  static func base(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// - Parameter files: paths that it may name. Of others it is known by the way they are written: what stands before a
  ///   colon and has a slash, and what begins with a slash, with blanks in it or not.
  static func only(in sentence: String, of files: [String]) -> String {
    let folders = files.map { String($0.dropLast(base($0).count)) }.filter { $0.count > 1 }
    let text = folders.sorted { $0.count > $1.count }
      .reduce(sentence) { $0.replacing($1, with: "") }
    guard let colon = text.firstRange(of: ": "), !text[..<colon.lowerBound].contains(" /"),
      let slash = text[..<colon.lowerBound].lastIndex(of: "/")
    else { return withoutPaths(text) }
    return withoutPaths(String(text[text.index(after: slash)...]))
  }

  private static func withoutPaths(_ text: String) -> String {
    var left = text.split(separator: " ", omittingEmptySubsequences: false)[...]
    var words: [String] = []
    while let word = left.popFirst() {
      let opening = word.prefix { "(\"'".contains($0) }
      var path = String(word.dropFirst(opening.count))
      guard beginsPath(path) else {
        words.append(String(word))
        continue
      }
      while let more = rest(of: path, in: left) {
        path += " " + left.prefix(more).joined(separator: " ")
        left = left.dropFirst(more)
      }
      words.append(opening + base(path))
    }
    return words.joined(separator: " ")
  }

  private static func beginsPath(_ word: some StringProtocol) -> Bool {
    word.hasPrefix("/") || word.hasPrefix("./") || word.hasPrefix("../") || word.hasPrefix("~/")
  }

  /// How many of the next words still are of the path: up to one with a slash, in the same clause.
  private static func rest(of path: String, in words: ArraySlice<Substring>) -> Int? {
    func endsClause(_ word: some StringProtocol) -> Bool {
      word.last.map { ":,;)\"'".contains($0) } ?? false
    }
    guard !endsClause(path) else { return nil }
    for (number, word) in words.enumerated() {
      if beginsPath(word.drop { "(\"'".contains($0) }) { return nil }
      if word.contains("/") { return number + 1 }
      if endsClause(word) { return nil }
    }
    return nil
  }
}
