extension OutputOptions {
  /// The format that the name of the output asks for, if the command has it: `-o report.html`.
  func impliedFormat<Format: RawRepresentable<String>>() -> Format? {
    let name = output.split(separator: "/").last?.lowercased() ?? ""
    // The longest comes first: report.sarif.json is SARIF.
    let words = [
      ".sarif.json": "sarif", ".html": "html", ".htm": "html", ".json": "json", ".jsonl": "jsonl",
      ".ndjson": "jsonl", ".sarif": "sarif", ".csv": "csv", ".ktap": "ktap", ".tap": "ktap",
      ".xml": "junit", ".md": "markdown", ".txt": "text", ".text": "text",
    ].sorted { $0.key.count > $1.key.count }
    let found = words.first { name.count > $0.key.count && name.hasSuffix($0.key) }
    return found.flatMap { Format(rawValue: $0.value) }
  }
}
