import Bytes

/// Pages of a ring buffer on their way from the kernel to a file: with other keys in them, under a secret that
/// lives as long as this value.
///
/// A page that is not understood may hold keys anywhere: it must not be written. The next one then says that
/// events are missing before it.
package struct LivePages {
  /// Of a whole page, in bytes.
  package let pageSize: Int
  /// Pages that were not understood, and why the first of them was not.
  package private(set) var refused: UInt64 = 0
  package private(set) var reason: String?
  private let layout: PageLayout
  private let pages: PageRedaction
  private let masking = KeyMasking()
  private var isMissing = false

  /// Why nothing of a ring buffer could be written.
  package struct Refusal: Error, Sendable, CustomStringConvertible {
    package var description: String
  }

  /// - Parameters:
  ///   - header: tracefs' events/header_page of the instance.
  ///   - formats: the `format` file of every event that can be in it, with its system.
  package init(header: [UInt8], formats: [(system: String, text: [UInt8])]) throws(Refusal) {
    guard let layout = PageLayout(header.rawBytes), let dataSize = layout.dataSize else {
      throw Refusal(description: "no page of a ring buffer can be as tracefs' header_page says")
    }
    guard let parser = FormatParser(longSize: layout.longSize) else {
      throw Refusal(description: "there is no memory to parse event formats")
    }
    var parsed: [EventFormat] = []
    for format in formats {
      if let known = parser.parse(format.text.rawBytes, system: format.system) {
        parsed.append(known)
      } else if format.system != "ftrace" {
        throw Refusal(
          description:
            "a format of \(format.system) cannot be read, so its key values would not be found")
      }
    }
    do throws(Redaction.Failure) {
      pages = try PageRedaction(layout, parsed)
    } catch {
      throw Refusal(description: Self.words(error))
    }
    self.layout = layout
    pageSize = layout.data + dataSize
  }

  /// Makes a page, as one read gave it, fit to be written; false when it must not be.
  package mutating func prepare(_ page: inout [UInt8]) -> Bool {
    guard page.count == pageSize else {
      refuse("a read gave \(page.count) bytes, and a page has \(pageSize)")
      return false
    }
    do throws(Redaction.Failure) {
      try pages.rewrite(&page, masking.masked)
    } catch {
      refuse(Self.words(error))
      return false
    }
    if isMissing { markMissing(&page) }
    isMissing = false
    return true
  }

  private mutating func refuse(_ why: String) {
    refused += 1
    if reason == nil { reason = why }
    isMissing = true
  }

  /// Bit 31: events are missing before this page; bit 30, which says that their number is behind the last event,
  /// goes: nobody knows it (ring_buffer_read_page()).
  private func markMissing(_ page: inout [UInt8]) {
    guard let commit = page.rawBytes.u32(at: layout.commit) else { return }
    let end = layout.data + Int(commit & 0x3fff_ffff)
    let marked = commit & 0x3fff_ffff | 1 << 31
    for byte in 0..<4 {
      page[layout.commit + byte] = UInt8(truncatingIfNeeded: marked >> (8 * byte))
    }
    for index in end..<max(end, min(end + layout.longSize, page.count)) { page[index] = 0 }
  }

  private static func words(_ error: Redaction.Failure) -> String {
    switch error {
    case .recording(let error):
      if case .cannotRedact(let reason) = error.code { return reason }
      return "\(error)"
    case .output(let error): return "\(error)"
    }
  }
}
