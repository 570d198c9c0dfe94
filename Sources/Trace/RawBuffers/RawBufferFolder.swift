import Bytes

/// Where the parts of a copy of tracefs' raw ring buffers lie: dumps of
/// `per_cpu/cpuN/trace_pipe_raw` (Documentation/trace/ftrace.rst), one per CPU, and what describes
/// them.
///
///     DIR/cpuN.trace_pipe_raw or DIR/[per_cpu/]cpuN/trace_pipe_raw      packed with gzip, xz, zstd or not
///     DIR/trace.dat.cpuN                                                 left by a killed trace-cmd record
///     DIR/cpuN.stats          or DIR/[per_cpu/]cpuN/stats
///     DIR/events or DIR/formats, trace_clock, saved_cmdlines, kallsyms: there, or up to two folders above
struct RawBufferFolder {
  struct Dump {
    var cpu: UInt32
    var path: String
  }

  let path: String
  /// By CPU.
  private(set) var dumps: [Dump] = []
  private(set) var stats: [Dump] = []
  /// A killed trace-cmd record left them.
  private(set) var hasLeftovers = false
  /// Recordings that lie in the same folder and are not read.
  private(set) var ignored = 0

  /// Small files of tracefs have less, in bytes; kallsyms too.
  private static let textLimit = 1 << 26

  /// nil when there are no dumps below `path`.
  init?(_ path: String) {
    self.path = path
    takeNamed(path)
    if dumps.isEmpty { takeFolders(path) }
    if dumps.isEmpty { takeFolders("\(path)/per_cpu") }
    guard !dumps.isEmpty else { return nil }
    keepOneRecording()
    dumps.sort { ($0.cpu, $0.path) < ($1.cpu, $1.path) }
    stats.sort { ($0.cpu, $0.path) < ($1.cpu, $1.path) }
  }

  /// The name of a dump, whatever folder it lies in.
  static func isDump(_ path: String) -> Bool {
    let name = path.split(separator: "/").last ?? ""
    return isNamedDump(name) || isLeftover(name)
  }

  private static func isNamedDump(_ name: Substring) -> Bool {
    ["trace_pipe_raw", "snapshot_raw"].contains { name.contains($0) }
  }

  /// "trace.dat.cpu3": what the recorder of CPU 3 wrote, if trace-cmd was killed before it joined the files of
  /// all CPUs; their pages are those of trace_pipe_raw.
  private static func isLeftover(_ name: Substring) -> Bool {
    guard !isNamedDump(name), let dot = name.lastIndex(of: "."), dot != name.startIndex else {
      return false
    }
    return cpu(String(name[name.index(after: dot)...]), isWhole: true) != nil
  }

  /// What describes the leftovers, if `ptrauth-trace record` left them.
  var unfinished: String? {
    guard hasLeftovers, let first = dumps.first, let dot = first.path.lastIndex(of: ".") else {
      return nil
    }
    let path = UnfinishedRecording.path(of: String(first.path[..<dot]))
    return Folder.head(of: path, count: 1) == nil ? nil : path
  }

  /// Of files of several recordings in one folder, those of the first.
  private mutating func keepOneRecording() {
    func stem(_ dump: Dump) -> Substring {
      dump.path[..<(dump.path.lastIndex(of: ".") ?? dump.path.endIndex)]
    }
    let left = dumps.filter { Self.isLeftover($0.path.split(separator: "/").last ?? "") }
    guard !left.isEmpty else { return }
    hasLeftovers = left.count == dumps.count
    if !hasLeftovers {
      dumps.removeAll { Self.isLeftover($0.path.split(separator: "/").last ?? "") }
    } else if let first = dumps.map(stem).min() {
      ignored = Set(dumps.map(stem)).count - 1
      dumps.removeAll { stem($0) != first }
    }
  }

  private mutating func takeNamed(_ folder: String) {
    for name in Folder.names(in: folder) ?? [] {
      guard let cpu = Self.cpu(name, isWhole: false) else { continue }
      let dump = Dump(cpu: cpu, path: "\(folder)/\(name)")
      if Self.isDump(name), !Folder.isDirectory(dump.path) { dumps.append(dump) }
      if name.hasSuffix(".stats") { stats.append(dump) }
    }
  }

  private mutating func takeFolders(_ folder: String) {
    for name in Folder.names(in: folder) ?? [] {
      guard let cpu = Self.cpu(name, isWhole: true) else { continue }
      let names = Folder.names(in: "\(folder)/\(name)") ?? []
      // The snapshot is another buffer: read only where it is alone.
      for kind in ["trace_pipe_raw", "snapshot_raw"] {
        guard let raw = names.first(where: { $0.hasPrefix(kind) }) else { continue }
        dumps.append(Dump(cpu: cpu, path: "\(folder)/\(name)/\(raw)"))
        break
      }
      if names.contains("stats") {
        stats.append(Dump(cpu: cpu, path: "\(folder)/\(name)/stats"))
      }
    }
  }

  /// The number in "cpu12.trace_pipe_raw", "trace_pipe_raw.cpu12" or, as the whole, "cpu12".
  private static func cpu(_ name: String, isWhole: Bool) -> UInt32? {
    for part in isWhole ? [name[...]] : name.split(separator: ".") where part.hasPrefix("cpu") {
      if let number = UInt32(part.dropFirst(3)), number < TimeSpans.cpuLimit,
        part == "cpu\(number)"
      {
        return number
      }
    }
    return nil
  }

  /// The folder of that name: below, or beside the dumps' own folders.
  func folder(_ names: [String]) -> String? {
    for place in places {
      for name in names where Folder.isDirectory("\(place)/\(name)") { return "\(place)/\(name)" }
    }
    return nil
  }

  /// The text of a small file.
  func text(_ name: String) -> [UInt8]? { file(name)?.text }

  /// A small file, and the folder in which it lies.
  func file(_ name: String) -> (place: String, path: String, text: [UInt8])? {
    for place in places {
      let path = "\(place)/\(name)"
      if let text = Folder.contents(path, limit: Self.textLimit), !text.isEmpty {
        return (place, path, text)
      }
    }
    return nil
  }

  private var places: [String] {
    let here = path == "/" ? path : String(path.reversed().drop { $0 == "/" }.reversed())
    return [here, "\(here)/..", "\(here)/../.."]
  }

  func text(of dump: Dump) -> [UInt8]? { Folder.contents(dump.path, limit: Self.textLimit) }
}
