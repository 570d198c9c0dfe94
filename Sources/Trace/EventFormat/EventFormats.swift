import Bytes

/// Event formats from elsewhere, for a recording without: from a directory like tracefs' `events`, or
/// from another recording.
///
/// Tracepoints and probes are numbered anew with each kernel, and some with each boot: formats fit if
/// they come from the boot that was recorded.
struct EventFormats {
  /// Where they come from.
  let path: String
  private var byID: [UInt64: EventFormat] = [:]
  /// What speaks for them, in words.
  private var fit = "are matched by number alone"

  /// The same, with more to speak for them.
  func fitting(_ words: String) -> EventFormats {
    var copy = self
    copy.fit = words
    return copy
  }

  /// tracefs' `events/header_page`, if it is there.
  private(set) var pageHeader: [UInt8]?

  /// By number.
  var all: [EventFormat] { byID.values.sorted { $0.id < $1.id } }

  /// Largest format file in bytes; the kernel's own limit of a seq_file page is far below.
  static let fileLimit = 1 << 20

  init(_ formats: [EventFormat], path: String) {
    self.path = path
    for format in formats { byID[format.id] = format }
  }

  /// Reads `DIR/SYSTEM/EVENT/format`, as tracefs has them, or copies of these as
  /// `DIR/SYSTEM/EVENT.format`.
  init(directory path: String) throws(TraceError) {
    self.path = path
    pageHeader = Folder.contents("\(path)/header_page", limit: Self.fileLimit)
    guard let parser = FormatParser(longSize: Self.longSize(pageHeader)) else {
      throw TraceError(.hasNoFormats(reason: "there is no memory to parse them"), path: path)
    }
    for system in Folder.names(in: path) ?? [] where Folder.isDirectory("\(path)/\(system)") {
      for name in Folder.names(in: "\(path)/\(system)") ?? [] {
        let file =
          name.hasSuffix(".format")
          ? "\(path)/\(system)/\(name)" : "\(path)/\(system)/\(name)/format"
        guard let text = Folder.contents(file, limit: Self.fileLimit),
          let format = parser.parse(text.rawBytes, system: system)
        else { continue }
        byID[format.id] = format
      }
    }
    guard !byID.isEmpty else {
      throw TraceError(
        .hasNoFormats(
          reason: "it has no SYSTEM/EVENT/format files; give a copy of tracefs' events"),
        path: path)
    }
  }

  /// Size of the recorded kernel's `long`: that of `commit` in header_page.
  private static func longSize(_ page: [UInt8]?) -> Int {
    let text = String(decoding: page ?? [], as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.contains(" commit;") }
    return line?.contains("size:4;") == true ? 4 : 8
  }

  /// The formats of the events in `attributes`, by number. Where the recording has a name for an event,
  /// the format must have it too.
  func matching(
    _ attributes: [PerfAttribute], _ names: [UInt64: String], _ warnings: inout [String]
  ) -> [UInt64: EventFormat] {
    var found: [UInt64: EventFormat] = [:]
    var unnamed = 0
    var missing = 0
    for attribute in attributes where attribute.type == PerfAttribute.tracepoint {
      guard let format = byID[attribute.config] else {
        missing += 1
        continue
      }
      if let name = attribute.ids.lazy.compactMap({ names[$0] }).first {
        guard name == "\(format.system):\(format.name)" else {
          warnings.append(
            "event \(attribute.config) is \(name) in the recording and \(format.system):"
              + "\(format.name) in \(path), so that format is not used")
          continue
        }
      } else {
        unnamed += 1
      }
      found[attribute.config] = format
    }
    if unnamed > 0 {
      warnings.append(
        "the formats of \(unnamed) event\(unnamed == 1 ? "" : "s") come from \(path): they \(fit), "
          + "which is right only if they are of the boot that was recorded")
    }
    if missing > 0 {
      warnings.append(
        "\(path) has no format for \(missing) event\(missing == 1 ? "" : "s") of the recording, "
          + "which \(missing == 1 ? "is" : "are") counted and not decoded")
    }
    return found
  }
}
