import Bytes

/// A directory that holds recordings, and is none itself.
public struct RecordingFolder: Sendable {
  /// In the order of their names.
  public var recordings: [String] = []
  /// Files that are no recordings.
  public var others = 0

  /// - Parameter path: a directory. nil: it is no directory, or is one recording (of `perf record --threads`
  ///   or `--kcore`, or raw ring buffers).
  public init?(_ path: String) {
    guard Folder.isDirectory(path), !Self.isRecording(path), let names = Folder.names(in: path)
    else { return nil }
    let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
    for name in names where !name.hasPrefix(".") {
      let entry = "\(folder)/\(name)"
      if Folder.isDirectory(entry) {
        if Self.isRecording(entry) { recordings.append(entry) }
      } else if RecordingFile.isRecording(entry) {
        recordings.append(entry)
      } else {
        others += 1
      }
    }
  }

  private static func isRecording(_ directory: String) -> Bool {
    PartFiles.list(directory) != nil || RawBufferFolder(directory) != nil
  }
}
