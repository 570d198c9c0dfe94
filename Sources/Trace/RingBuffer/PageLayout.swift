import Bytes

/// Where the parts of a ring-buffer page lie, as tracefs' `events/header_page` says.
package struct PageLayout: BitwiseCopyable, Equatable {
  /// Offsets in the page, in bytes.
  private(set) var time = 0
  private(set) var commit = 8
  /// Size of `commit`, that of the recorded kernel's `long`: 4 or 8 bytes.
  private(set) var longSize = 8
  /// Where the events start.
  private(set) var data = 16
  /// Bytes of events in a page, nil: the kernel does not say.
  private(set) var dataSize: Int?
  /// The recorded kernel's byte order.
  private(set) var isBigEndian = false

  /// A 64-bit kernel's.
  package init(isBigEndian: Bool = false) { self.isBigEndian = isBigEndian }

  /// Lines such as "field: local_t commit;\toffset:8;\tsize:8;\tsigned:1;". A kernel too old to have
  /// them says nothing; then it is 64-bit. Nil when a page cannot be so.
  package init?(_ text: RawSpan, isBigEndian: Bool = false) {
    self.isBigEndian = isBigEndian
    for line in text.text().split(separator: "\n") {
      let parts = line.split(separator: ";").map { $0.drop { $0 == " " || $0 == "\t" } }
      guard let name = parts.first?.split(separator: " ").last else { continue }
      func number(_ key: String) -> Int? {
        guard let part = parts.first(where: { $0.hasPrefix(key) }) else { return nil }
        return Int(part.dropFirst(key.count))
      }
      guard let offset = number("offset:"), offset >= 0, offset < 256 else { continue }
      switch name {
      case "timestamp": time = offset
      case "commit":
        commit = offset
        guard let size = number("size:"), size == 4 || size == 8 else { return nil }
        longSize = size
      case "data":
        data = offset
        if let size = number("size:"), size > 0, size < 1 << 24 { dataSize = size }
      default: break
      }
    }
    guard data >= commit + longSize, data >= time + 8 else { return nil }
  }
}
