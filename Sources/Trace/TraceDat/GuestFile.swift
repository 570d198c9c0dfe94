import Bytes

/// A trace.dat as part of a session in which trace-cmd recorded a host and its guests: who it is, and what a
/// guest's holds.
public struct GuestFile: Sendable {
  public let path: String
  /// The recorder's number of this recording, and that of its host's; nil: it is no guest's.
  public let traceID: UInt64?
  public let hostTraceID: UInt64?
  /// Its times are those of the host's clock.
  public let hasHostTimes: Bool
  /// What it holds: events, whatever they are, and the time of the first and of the last.
  public private(set) var eventCount: UInt64 = 0
  public private(set) var span: (first: UInt64, last: UInt64)?
  /// Events lost.
  public private(set) var lostCount: UInt64 = 0
  /// CPUs of the guest with events.
  public private(set) var cpuCount = 0
  /// As of any recording.
  public private(set) var warnings: [String] = []
  public private(set) var isIncomplete = false

  /// Nil: this is no trace.dat, or one of no such session.
  ///
  /// - Parameter isRead: reads its events too.
  public init?(path: String, isRead: Bool) {
    guard !ByteStream.isStream(path), Self.isTraceDat(path),
      var file = try? TraceDatFile(path: path), file.recording.traceID != nil
    else { return nil }
    self.path = path
    traceID = file.recording.traceID
    hostTraceID = file.recording.hostTraceID
    hasHostTimes = file.recording.hasHostTimes
    guard isRead else { return }
    do throws(TraceError) { try file.readEvents { _ in } } catch {
      warnings.append("\(error)")
      isIncomplete = true
    }
    let recording = file.recording
    for event in recording.recordedEvents { eventCount.saturatingAdd(event.count) }
    for count in file.losses.byCPU.values { lostCount.saturatingAdd(count) }
    cpuCount = file.firstTimeByCPU.count
    if let first = file.firstTimeByCPU.values.min(), let last = file.lastTimeByCPU.values.max() {
      span = (first, last)
    }
    warnings += recording.warnings
    if recording.isIncomplete { isIncomplete = true }
  }

  private static func isTraceDat(_ path: String) -> Bool {
    guard let map = try? MappedFile(headOf: path, limit: 4 << 20) else { return false }
    return map.bytes.slice(at: 0, count: TraceDatHeader.magic.count)?.copied()
      == TraceDatHeader.magic
  }

  /// Where `trace-cmd record -A guest` puts the recording of a guest: trace.dat, trace-guest.dat. Nil: there is no
  /// such file beside the host's. The guest's name comes out of the recording: it, or a symbolic link of that
  /// name, could lead anywhere.
  public static func usualPath(host: String, guest: String) -> String? {
    guard !guest.isEmpty, !guest.utf8.contains(UInt8(ascii: "/")), !guest.utf8.contains(0) else {
      return nil
    }
    let path = named(host: host, guest: guest)
    return Folder.isInside(path, PartFiles.directory(of: host)) ? path : nil
  }

  private static func named(host: String, guest: String) -> String {
    let slash = host.lastIndex(of: "/").map { host.index(after: $0) } ?? host.startIndex
    let name = host[slash...]
    guard let dot = name.lastIndex(of: ".") else { return "\(host)-\(guest)" }
    return "\(host[..<dot])-\(guest)\(host[dot...])"
  }
}
