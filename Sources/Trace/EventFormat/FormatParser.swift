import Bytes
internal import CTraceEvent

/// Parses event formats with libtraceevent, and keeps plain values only.
///
/// The parser sees the fields of a format and not its `print fmt`: nothing here prints events, and
/// some formats have one that libtraceevent cannot parse (kvm_sys_access: "bad op token").
@safe package struct FormatParser: ~Copyable {
  private let table: EventTable

  /// nil when there is no memory. `longSize`: size of the recorded machine's `long`, in bytes.
  package init?(longSize: Int) {
    guard let table = EventTable(longSize: longSize) else { return nil }
    self.table = table
  }

  /// The format in `text`, nil when it is not one.
  package borrowing func parse(_ text: RawSpan, system: String) -> EventFormat? {
    guard var lines = Self.fieldLines(text) else { return nil }
    let handle = unsafe table.withRoom()
    var event: UnsafeMutablePointer<tep_event>?
    let length = UInt(lines.count)
    lines.append(0)
    _ = unsafe lines.withUnsafeBytes { bytes in
      unsafe tep_parse_format(
        handle, &event, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), length, system)
    }
    guard let event = unsafe event, let name = unsafe event.pointee.name else { return nil }
    var format = unsafe EventFormat(
      system: system, name: String(cString: name),
      id: UInt64(truncatingIfNeeded: event.pointee.id))
    unsafe format.fields = Self.list(event.pointee.format.fields)
    unsafe format.commonFields = Self.list(event.pointee.format.common_fields)
    return format
  }

  @unsafe private static func list(
    _ first: UnsafeMutablePointer<tep_format_field>?
  ) -> [EventFormat.Field] {
    var fields: [EventFormat.Field] = []
    var next = unsafe first
    while let field = unsafe next {
      if let described = unsafe Self.describe(field.pointee) { fields.append(described) }
      unsafe next = field.pointee.next
    }
    return fields
  }

  private static func describe(_ field: tep_format_field) -> EventFormat.Field? {
    guard let name = unsafe field.name else { return nil }
    let flags = unsafe field.flags
    let compound =
      UInt(TEP_FIELD_IS_ARRAY.rawValue) | UInt(TEP_FIELD_IS_STRING.rawValue)
      | UInt(TEP_FIELD_IS_DYNAMIC.rawValue)
    return unsafe EventFormat.Field(
      name: String(cString: name), offset: Int(field.offset), size: Int(field.size),
      isSigned: flags & UInt(TEP_FIELD_IS_SIGNED.rawValue) != 0,
      isScalar: flags & compound == 0,
      isDynamic: flags & UInt(TEP_FIELD_IS_DYNAMIC.rawValue) != 0)
  }

  /// Bytes of a line of a format; the kernel's have some hundred. libtraceevent copies what it has of a line for each
  /// word of it.
  private static let lineLimit = 4096

  /// `text` up to its print format, with an empty one in its place; nil when it holds bytes, or a line, that
  /// no format does.
  private static func fieldLines(_ text: RawSpan) -> [UInt8]? {
    let marker = Array("\nprint fmt:".utf8)
    var lines: [UInt8] = []
    lines.reserveCapacity(text.byteCount)
    var position = 0
    var start = 0
    while let byte = text.u8(at: position) {
      guard byte == 9 || byte == 10 || (byte >= 32 && byte < 127) else { return nil }
      lines.append(byte)
      position += 1
      if byte == 10 { start = position }
      guard position - start <= lineLimit else { return nil }
      if byte == marker[marker.count - 1], lines.suffix(marker.count).elementsEqual(marker) {
        lines.removeLast(marker.count)
        break
      }
    }
    lines.append(contentsOf: Array("\nprint fmt: \"\"\n".utf8))
    return lines
  }
}

/// libtraceevent's events. Each new one is compared with all that are there: they are given up now and then, so that
/// a recording with 50,000 formats does not take the square of that.
@safe private final class EventTable {
  private let longSize: Int
  private var handle: OpaquePointer
  private var count = 0

  private static let capacity = 256

  init?(longSize: Int) {
    tep_set_loglevel(TEP_LOG_NONE)
    guard let made = unsafe Self.make(longSize) else { return nil }
    unsafe handle = made
    self.longSize = longSize
  }

  deinit { unsafe tep_free(handle) }

  private static func make(_ longSize: Int) -> OpaquePointer? {
    guard let made = unsafe tep_alloc() else { return nil }
    unsafe tep_set_long_size(made, Int32(truncatingIfNeeded: longSize))
    unsafe tep_set_file_bigendian(made, TEP_LITTLE_ENDIAN)
    return unsafe made
  }

  /// For one more event; what came of those before may be gone.
  func withRoom() -> OpaquePointer {
    if count == Self.capacity, let fresh = unsafe Self.make(longSize) {
      unsafe tep_free(handle)
      unsafe handle = fresh
      count = 0
    }
    count += 1
    return unsafe handle
  }
}
