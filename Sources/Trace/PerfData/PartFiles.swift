import Bytes

/// The files of a recording that is a directory: `data` with header and sections, and of
/// `perf record --threads` also `data.0`, `data.1` ..., with nothing but records
/// (tools/perf/util/data.c). A directory of `--kcore` has `data` alone.
enum PartFiles {
  /// `data` first, then the others by number; nil when there is no `data`.
  static func list(_ directory: String) -> [String]? {
    guard let names = Folder.names(in: directory), names.contains("data") else { return nil }
    let numbers = names.compactMap { name -> Int? in
      guard name.hasPrefix("data."), let number = Int(name.dropFirst(5)), number >= 0,
        name == "data.\(number)"
      else { return nil }
      return number
    }
    return ["\(directory)/data"] + numbers.sorted().map { "\(directory)/data.\($0)" }
  }

  /// `path` is one of the other files.
  static func isPart(_ path: String) -> Bool {
    let directory = directory(of: path)
    return list(directory)?.dropFirst().contains {
      $0 == path || $0 == "\(directory)/\(path)"
    } ?? false
  }

  /// The directory that `path` lies in.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
