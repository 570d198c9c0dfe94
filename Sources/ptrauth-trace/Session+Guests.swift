import Report
import Trace

extension Session {
  /// The guests that the recorder of this recording knew, with what their own recordings hold: those of
  /// `given` that name this one as their host's, and those that lie beside it under their usual names.
  func takeGuests(_ given: [String]) {
    let recording = file.recording
    guard !recording.guests.isEmpty || !given.isEmpty else { return }
    var files = given.compactMap { GuestFile(path: $0, isRead: true) }
    guests = recording.guests.map { guest in
      var facts = GuestFacts(name: guest.name)
      facts.threads = guest.threads.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
      func fits(_ file: GuestFile) -> Bool {
        guest.traceID != 0 && file.traceID == guest.traceID
          && file.hostTraceID == recording.traceID
      }
      if let index = files.firstIndex(where: fits) {
        facts.recording = GuestFacts.Recording(files.remove(at: index))
      } else {
        if let usual = GuestFile.usualPath(host: recording.path, guest: guest.name),
          let found = GuestFile(path: usual, isRead: false), fits(found),
          let read = GuestFile(path: usual, isRead: true)
        {
          facts.recording = GuestFacts.Recording(read)
        }
      }
      return facts
    }
    // The host's recorder was stopped before it wrote who its guests were.
    for file in files {
      var facts = GuestFacts(name: file.path.lastComponent)
      facts.recording = GuestFacts.Recording(file)
      guests.append(facts)
    }
  }
}

extension GuestFacts.Recording {
  init(_ file: GuestFile) {
    self.init(
      path: file.path, eventCount: file.eventCount, cpuCount: file.cpuCount, span: file.span,
      hasHostTimes: file.hasHostTimes)
    lostCount = file.lostCount
    isIncomplete = file.isIncomplete
    // That it is a guest's is said anyway.
    warnings = file.warnings.filter { !$0.contains("TIME_SHIFT") }
  }
}

/// The recordings of one call; a guest's goes with its host's.
struct RecordingGroups {
  /// Without the guests'.
  private(set) var recordings: [String] = []
  /// By the host's path.
  private(set) var guests: [String: [String]] = [:]
  /// Directories that stand for the recordings in them, and what else is there.
  private(set) var folders: [(path: String, folder: RecordingFolder)] = []

  init(_ given: [String]) {
    var paths: [String] = []
    for path in given {
      if let folder = RecordingFolder(path), !folder.recordings.isEmpty {
        paths += folder.recordings
        folders.append((path, folder))
      } else {
        paths.append(path)
      }
    }
    guard paths.count > 1 else {
      recordings = paths
      return
    }
    let files = paths.map { GuestFile(path: $0, isRead: false) }
    var hosts: [UInt64: String] = [:]
    for case .some(let file) in files where file.hostTraceID == nil {
      if let number = file.traceID, hosts[number] == nil { hosts[number] = file.path }
    }
    for (path, file) in zip(paths, files) {
      if let host = file?.hostTraceID.flatMap({ hosts[$0] }) {
        guests[host, default: []].append(path)
      } else {
        recordings.append(path)
      }
    }
  }
  /// What was passed over, a sentence each.
  var passedOver: [String] {
    folders.flatMap { path, folder in
      [
        ("files in it that are no recordings", folder.others),
        ("folders in it, which are not read", folder.folders),
      ].compactMap { what, names in
        guard !names.isEmpty else { return nil }
        let rest = names.count > 3 ? " and \(names.count - 3) more" : ""
        let first = names.prefix(3).joined(separator: ", ")
        return "\(path): \(what): \(names.count) (\(first)\(rest))"
      }
    }
  }
}
