import Bytes

/// Looks for the event formats of a recording whose recorder was killed before it wrote them: in
/// directories and recordings beside it, then in tracefs if it was made since this machine booted.
///
/// Events are numbered by the boot, so formats of another would read every field from the wrong place.
/// They are taken only if each event that was hit has one, its records have the size that the format
/// gives them, and the kernel lay at the same address; a probe's only if a recording beside shows it at
/// the same address.
struct FormatsRecovery {
  let path: String
  private let shapes: [UInt64: RecordShape]
  private let kernelText: (symbol: String, address: UInt64)?

  /// Files beside the recording that are looked at.
  private static let siblingLimit = 32
  private static let tracefs = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]

  init(_ file: borrowing PerfDataFile, path: String) {
    self.path = path
    shapes = file.shapes()
    kernelText = file.recording.kernelText
  }

  func find() -> EventFormats? {
    guard !shapes.isEmpty else { return nil }
    return beside() ?? running()
  }

  // MARK: Beside the recording

  private func beside() -> EventFormats? {
    var directory = PartFiles.directory(of: path)
    // A directory-mode recording's own files are no siblings.
    if PartFiles.list(directory)?.contains(path) == true {
      directory = PartFiles.directory(of: directory)
    }
    for name in ["events", "formats"] where Folder.isDirectory("\(directory)/\(name)") {
      if let found = try? EventFormats(directory: "\(directory)/\(name)"), fits(found.all) {
        return found.fitting("fit by number and size")
      }
    }
    var looked = 0
    var best: (formats: EventFormats, count: Int)?
    for name in Folder.names(in: directory) ?? [] where looked < Self.siblingLimit {
      let sibling = "\(directory)/\(name)"
      guard sibling != path, name != path, !Folder.isDirectory(sibling) else { continue }
      let start = Folder.head(of: sibling, count: 16) ?? []
      guard StreamHeader.isPerfData(start) || start.starts(with: TraceDatHeader.magic) else {
        continue
      }
      looked += 1
      guard let found = formats(ofSibling: sibling) else { continue }
      let count = found.all.count { shapes[$0.id] != nil }
      if count > best?.count ?? 0 { best = (found, count) }
      if count == shapes.count { break }
    }
    return best?.formats.fitting("fit by number, size and place in the kernel")
  }

  private func formats(ofSibling sibling: String) -> EventFormats? {
    if let file = try? PerfDataFile(path: sibling) {
      guard isSameKernel(file.recording.kernelText) else { return nil }
      let known = file.shapes()
      return chosen(file.formats, sibling) { format in
        guard let mine = shapes[format.id], let its = known[format.id] else { return false }
        return mine.firstWords == its.firstWords
      }
    }
    guard let file = try? TraceDatFile(path: sibling), isSameKernel(file.recording.kernelText)
    else {
      return nil
    }
    // Nothing says that a probe's number is still that of the same probe.
    return chosen(file.formats, sibling) { _ in false }
  }

  /// `trusts`: whether a probe is still the same.
  private func chosen(
    _ formats: [EventFormat], _ sibling: String, trusts: (EventFormat) -> Bool
  ) -> EventFormats? {
    let used = formats.filter { !$0.isProbe || trusts($0) }
    let dropped = Set(formats.map(\.id)).subtracting(used.map(\.id))
    return fits(used, dropped: dropped) ? EventFormats(used, path: sibling) : nil
  }

  private func isSameKernel(_ other: (symbol: String, address: UInt64)?) -> Bool {
    guard let other, let kernelText, other.symbol == kernelText.symbol else { return true }
    return other.address == kernelText.address
  }

  /// - Parameter dropped: numbers whose format is there and is not to be used.
  private func fits(_ formats: [EventFormat], dropped: Set<UInt64> = []) -> Bool {
    let byID = Dictionary(formats.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    var hasUse = false
    for (id, shape) in shapes where !dropped.contains(id) {
      guard let format = byID[id], shape.fits(format) else { return false }
      hasUse = true
    }
    return hasUse
  }

  // MARK: The machine itself

  /// tracefs, if the recording was made on this machine since it booted.
  private func running() -> EventFormats? {
    guard let kernelText, let booted = Self.bootTime, let written = Folder.modified(path),
      written >= booted,
      Self.kernelStart[kernelText.symbol] == kernelText.address
    else { return nil }
    for place in Self.tracefs where Folder.isDirectory("\(place)/events") {
      if let found = try? EventFormats(directory: "\(place)/events"), fits(found.all) {
        return found.fitting("fit by number and size, on this machine since it booted")
      }
    }
    return nil
  }

  /// Where the running kernel lies, by the symbols that recordings name. It stays there, and the list is long.
  private static let kernelStart: [String: UInt64] = {
    let symbols = Folder.head(of: "/proc/kallsyms", count: 1 << 20) ?? []
    return ["_text", "_stext"].reduce(into: [:]) { start, symbol in
      start[symbol] = KernelSymbols.address(of: symbol, in: symbols.rawBytes)
    }
  }()

  /// Seconds since 1970: "btime" in /proc/stat.
  private static var bootTime: Int64? {
    let text = String(
      decoding: Folder.contents("/proc/stat", limit: 1 << 22) ?? [], as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
    return line.flatMap { Int64($0.dropFirst(6)) }
  }
}
