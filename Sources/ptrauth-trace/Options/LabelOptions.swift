import ArgumentParser
import Fleet

/// What a summary says of where its recording was made.
struct LabelOptions: ParsableArguments {
  @Option(
    name: .customLong("label"),
    help: ArgumentHelp(
      "For --format summary: a fact that recordings are told apart by, as board=rock5; may be repeated.",
      valueName: "key=value"))
  var words: [String] = []

  var labels: [(key: String, value: String?)] {
    words.map { word in
      let key = word.prefix { $0 != "=" }
      return (String(key), String(word.dropFirst(key.count + 1)))
    }
  }

  func validate() throws {
    for word in words {
      let key = word.prefix { $0 != "=" }
      guard key.count < word.count, Grouping.isKey(key) else {
        throw ValidationError(
          "--label \(word): must be key=value, the key of letters, digits, _, - and ., as in board=rock5"
        )
      }
    }
    let keys = labels.map(\.key)
    if let twice = keys.first(where: { key in keys.count { $0 == key } > 1 }) {
      throw ValidationError("--label \(twice): is given twice")
    }
  }
}
