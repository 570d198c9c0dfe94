/// One attr of a file, ready for reading its samples. Plain numbers: it is looked at for each of them.
struct SampleSource: BitwiseCopyable {
  var layout: SampleLayout
  /// `common_type` that its raw records must start with.
  var commonType: UInt16
  var isTracepoint: Bool
  /// Index of its event in ``Recording/recordedEvents``, -1: none.
  var recorded = -1
  /// Index into the event or probe decoders, -1: none.
  var eventDecoder = -1
  var probeDecoder = -1
  /// Its samples say which instructions ran.
  var instructions: InstructionSource.Kind?

  var isDelivered: Bool { eventDecoder >= 0 || probeDecoder >= 0 }

  /// What each of its samples is asked, in few bytes.
  struct Glance: BitwiseCopyable {
    let time: Int16
    let cpu: Int16
    let tid: Int16
    /// Where the size of the raw bytes lies; -1: behind fields of any length, or nowhere.
    let raw: Int16
    let commonType: UInt16
    /// Index into the probe decoders if it is not negative, otherwise the complement of one into those of events.
    let decoder: Int32
    let isTracepoint: Bool
    let isDelivered: Bool
    let isOfInstructions: Bool
    /// Nothing is behind the raw bytes of its samples.
    let endsWithRaw: Bool
  }

  var glance: Glance {
    Glance(
      time: layout.time, cpu: layout.cpu, tid: layout.tid, raw: layout.fixedRaw,
      commonType: commonType,
      decoder: Int32(truncatingIfNeeded: probeDecoder >= 0 ? probeDecoder : ~eventDecoder),
      isTracepoint: isTracepoint && layout.hasRaw, isDelivered: isDelivered,
      isOfInstructions: instructions != nil, endsWithRaw: layout.endsWithRaw)
  }
}

/// Finds the source of a sample by its id. Ids are handed out by a counter of the kernel, so they
/// are dense: a table, and a dictionary for what does not fit.
struct SourceIndex {
  static let none = UInt16.max
  private static let tableLimit: UInt64 = 1 << 20

  private var base: UInt64 = 0
  private var table: [UInt16] = []
  private var others: [UInt64: UInt16] = [:]

  init(_ attributes: [PerfAttribute]) {
    base = attributes.lazy.flatMap(\.ids).min() ?? 0
    for (source, attribute) in attributes.enumerated() {
      guard let source = UInt16(exactly: source), source != Self.none else { break }
      for id in attribute.ids {
        let place = id - base
        guard place < Self.tableLimit else {
          others[id] = source
          continue
        }
        let index = Int(place)
        while table.count <= index {
          table.append(contentsOf: repeatElement(Self.none, count: index + 1 - table.count))
        }
        table[index] = source
      }
    }
  }

  @inline(__always)
  func source(of id: UInt64) -> UInt16 {
    let place = id &- base
    if place < UInt64(table.count) { return table[Int(place)] }
    return others.isEmpty ? Self.none : others[id] ?? Self.none
  }
}
