import Bytes

/// A directory that holds recordings, and is none itself.
public struct RecordingFolder: Sendable {
  /// In the order of their names: what begins like one, and what was meant as one, though it cannot be read.
  public var recordings: [String] = []
  /// Names of files that are no recordings.
  public var others: [String] = []
  /// Names of directories in it that are no recordings: what lies there is not read.
  public var folders: [String] = []

  /// Fewer bytes than a recording of any format begins with: they do not tell what the file is.
  private static let leastBytes = 16

  /// - Parameter path: a directory. nil: it is no directory, or is one recording (of `perf record --threads`
  ///   or `--kcore`, or raw ring buffers).
  public init?(_ path: String) {
    guard Folder.isDirectory(path), !Self.isRecording(path), let names = Folder.names(in: path)
    else { return nil }
    let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
    func entry(_ name: String) -> String { "\(folder)/\(name)" }
    var unread: [String] = []
    for name in names where !name.hasPrefix(".") {
      if Folder.isDirectory(entry(name)) {
        let isMeant = Self.isNamed(name) && Self.isRemnant(entry(name))
        if isMeant || Self.isRecording(entry(name)) {
          recordings.append(name)
        } else {
          folders.append(name)
        }
      } else if ByteStream.isStream(entry(name)) {
        // A FIFO or a device may never say anything.
        others.append(name)
      } else if RecordingFile.isRecording(entry(name)) {
        recordings.append(name)
      } else {
        unread.append(name)
      }
    }
    let endings = Set(recordings.map(Self.ending)).filter { !$0.isEmpty }
    for name in unread {
      if Self.isMeant(name, at: entry(name), among: endings) {
        recordings.append(name)
      } else {
        others.append(name)
      }
    }
    recordings = recordings.sorted().map(entry)
  }

  private static func isRecording(_ directory: String) -> Bool {
    PartFiles.list(directory) != nil || RawBufferFolder(directory) != nil
  }

  /// What a killed `perf record --threads` leaves.
  private static func isRemnant(_ directory: String) -> Bool {
    guard let names = Folder.names(in: directory) else { return true }
    return names.isEmpty || names.contains { $0.hasPrefix("data.") }
  }

  /// Called as recordings are.
  private static func isNamed(_ name: String) -> Bool {
    let ending = ending(name)
    if ["data", "dat"].contains(ending) { return true }
    return (name.hasPrefix("perf.data") || name.hasPrefix("trace.dat"))
      && !["txt", "log", "md", "json", "jsonl", "html", "csv", "xml", "md5", "sha256"]
        .contains(ending)
  }

  /// A file that does not begin like a recording should have been one: its name says so, or nobody can tell, and it is
  /// called as recordings there are.
  private static func isMeant(
    _ name: String, at path: String, among endings: Set<String>
  ) -> Bool {
    if isNamed(name) { return true }
    guard !ByteStream.isStream(path), Folder.modified(path) != nil else { return false }
    guard let head = Folder.head(of: path, count: leastBytes) else {
      return !name.hasPrefix("vmlinu")
    }
    return head.count < leastBytes && endings.contains(ending(name))
  }

  /// What stands behind the last dot, that of a packed file aside: "data" of "a.data.zst".
  private static func ending(_ name: String) -> String {
    var parts = name.lowercased().split(separator: ".", omittingEmptySubsequences: false)
    if parts.count > 1, let last = parts.last, ["gz", "xz", "zst", "bz2", "lz4"].contains(last) {
      parts.removeLast()
    }
    return parts.count > 1 ? parts.last.map(String.init) ?? "" : ""
  }
}
