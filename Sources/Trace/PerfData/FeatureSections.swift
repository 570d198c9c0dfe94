import Bytes

/// What the feature sections at the end of a perf.data say, as far as it is needed
/// (tools/perf/util/header.c; perf.data-file-format.txt, "HEADER_*"). Unknown sections are skipped.
struct FeatureSections {
  var tracingData: TracingData?
  var kernelBuildID: [UInt8]?
  var osRelease: String?
  var architecture: String?
  var cpusOnline: Int?
  var commandLine: [String] = []
  /// Names of events by id, from EVENT_DESC.
  var names: [UInt64: String] = [:]
  /// Names of events by attr.config, from HEADER_EVENT_TYPE of old streams.
  var namesByConfig: [UInt64: String] = [:]
  var isDirectoryMode = false
  /// Where the last of them ends in the file, in bytes.
  private(set) var end: UInt64 = 0
  /// The file ends inside of the sections or their table.
  var isCut = false
  var warnings: [String] = []

  /// HEADER_DIR_FORMAT.
  static let directoryFormat = 24

  private enum Bit {
    static let tracingData = 1
    static let buildID = 2
    static let osRelease = 4
    static let architecture = 6
    static let cpus = 7
    static let commandLine = 11
    static let eventDescription = 12
  }

  /// A file without sections: its writer was killed, or it is cut.
  init() {}

  /// `end`: where the data ends and the table of sections begins, in bytes.
  init(_ header: PerfHeader, in bytes: RawSpan, after end: UInt64, isSwapped: Bool) {
    var entry = end
    defer { self.end = max(self.end, entry) }
    for bit in 0..<256 where header.hasFeature(bit) {
      guard let place = Int(exactly: entry),
        let offset = bytes.u64(at: place, swapped: isSwapped),
        let size = bytes.u64(at: place + 8, swapped: isSwapped)
      else {
        isCut = true
        warnings.append(
          "the table of feature sections is cut at byte \(entry); what follows is not known")
        return
      }
      entry += 16
      guard let section = bytes.slice(at: offset, count: size) else {
        isCut = true
        warnings.append(
          "feature section \(bit) is said to lie at byte \(offset) with \(size) bytes, outside of "
            + "the file; it is ignored")
        continue
      }
      self.end = max(self.end, offset + size)
      take(bit, section, at: offset, isSwapped: isSwapped)
    }
  }

  /// Reads the section of feature `bit`, which lies at byte `offset` of the input.
  mutating func take(_ bit: Int, _ section: RawSpan, at offset: UInt64, isSwapped: Bool) {
    do throws(ByteCursor.Truncation) {
      try read(bit, section, at: offset, isSwapped)
    } catch {
      warnings.append(
        "feature section \(bit) at byte \(offset) ends too early, at its byte \(error.offset)")
    }
  }

  private mutating func read(
    _ bit: Int, _ section: RawSpan, at offset: UInt64, _ isSwapped: Bool
  ) throws(ByteCursor.Truncation) {
    var cursor = ByteCursor(section, isSwapped: isSwapped)
    switch bit {
    case Bit.tracingData: readTracingData(section, at: offset)
    case Bit.buildID: kernelBuildID = BuildIDTable.kernel(in: section, isSwapped: isSwapped)
    case Bit.osRelease: osRelease = try Self.text(&cursor)
    case Bit.architecture: architecture = try Self.text(&cursor)
    case Bit.cpus:
      _ = try cursor.u32()
      cpusOnline = Int(try cursor.u32())
    case Bit.commandLine:
      commandLine = []
      for _ in 0..<(try cursor.u32()) { commandLine.append(try Self.text(&cursor)) }
    case Bit.eventDescription: try readNames(&cursor)
    case Self.directoryFormat: isDirectoryMode = true
    default: break
    }
  }

  /// `section`: tracing data, which lies at byte `offset` of the input.
  mutating func readTracingData(_ section: RawSpan, at offset: UInt64) {
    do throws(TracingData.Failure) {
      let data = try TracingData(section)
      if data.unreadable > 0 {
        warnings.append("\(data.unreadable) event formats of the recording cannot be parsed")
      }
      tracingData = data
    } catch {
      warnings.append(
        "the event formats (tracing data at byte \(offset)) cannot be read: \(error.reason) at "
          + "their byte \(error.offset)")
    }
  }

  /// EVENT_DESC: u32 count, u32 attr size; per event attr, u32 number of ids, name, ids.
  private mutating func readNames(_ cursor: inout ByteCursor) throws(ByteCursor.Truncation) {
    let count = try cursor.u32()
    let attributeSize = UInt64(try cursor.u32())
    for _ in 0..<count {
      try cursor.skip(attributeSize)
      let idCount = try cursor.u32()
      let name = try Self.text(&cursor)
      for _ in 0..<idCount { names[try cursor.u64()] = name }
    }
  }

  /// `struct perf_header_string`: u32 length, then that many bytes, padded with NUL.
  private static func text(_ cursor: inout ByteCursor) throws(ByteCursor.Truncation) -> String {
    let length = try cursor.u32()
    return try cursor.slice(UInt64(length)).text()
  }
}
