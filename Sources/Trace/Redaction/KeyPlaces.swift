/// Where the key slots lie in the raw records of one event.
///
/// An event that has none of them is copied as it is.
struct KeyPlaces {
  /// From the start of the raw record, in bytes; each value has 8.
  private(set) var offsets: [Int] = []
  /// Bytes between the fields, which nobody writes.
  private(set) var gaps: [Range<Int>] = []
  /// Where the fields end, and what is behind is nobody's; nil where more follows them.
  private(set) var end: Int?
  /// Fields of a key's name that are no 64-bit number: nothing says how to replace them.
  private(set) var unknown: String?

  static let names: Set<String> = {
    let keys = ["ia", "ib", "da", "db", "ga"].flatMap { ["ap\($0)keylo_el1", "ap\($0)keyhi_el1"] }
    return Set(keys + keys.map { "host_" + $0 })
  }()

  init(_ format: EventFormat) {
    for field in format.fields where Self.names.contains(field.name.lowercased()) {
      if field.isScalar, field.size == 8 {
        offsets.append(field.offset)
      } else {
        unknown = "\(format.system):\(format.name), field \(field.name)"
      }
    }
    offsets.sort()
    let fields = (format.commonFields + format.fields).sorted { $0.offset < $1.offset }
    var covered = 0
    for field in fields {
      if field.offset > covered { gaps.append(covered..<field.offset) }
      covered = max(covered, field.offset + field.size)
    }
    // ftrace's own events end with arrays of any length, whatever their formats say (kernel_stack).
    if format.system != "ftrace", !fields.contains(where: { $0.isDynamic || $0.size == 0 }) {
      end = covered
    }
  }

  /// By the event's number.
  static func table(_ formats: [EventFormat]) throws(Redaction.Failure) -> [UInt64: KeyPlaces] {
    var table: [UInt64: KeyPlaces] = [:]
    for format in formats {
      let places = KeyPlaces(format)
      if let unknown = places.unknown {
        throw Redaction.Failure(cannot: "\(unknown), is not one number of 8 bytes")
      }
      table[format.id] = places
    }
    return table
  }
}
