import Bytes

/// One event of a text recording, known by the name its lines bear.
package struct TextEvent {
  let system: String
  let name: String
  let kind: TextEventKind?
  let probe: ProbeTextLayout?
  /// Fields that KVM of another architecture prints under the same name; none on arm64.
  let foreignFields: [String]
  /// Lines with this name.
  var count: UInt64 = 0

  /// arch/x86/kvm/trace.h, arch/riscv/kvm/trace.h.
  private static let foreignLabels: [(pattern: TextPattern, field: String)] = [
    (" rip 0x", "guest_rip"), ("reason ", "exit_reason"), ("EXIT_REASON", "exit_reason"),
  ]

  /// System of events of which the text has only the name.
  static let unknownSystem = "unknown"

  /// From the first line of the event.
  init(_ line: RawSpan, _ head: LineHead) {
    let text = line.string(head.nameStart, head.nameEnd)
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    let said = parts.count == 2 ? parts[0] : nil
    name = parts.last ?? text
    probe = ProbeTextLayout(line, from: head.values)
    kind = probe == nil ? TextEventKind(name: name, system: said) : nil
    foreignFields =
      kind == .entry || kind == .exit
      ? Self.foreignLabels.filter { line.position(behind: $0.pattern, from: head.values) != nil }
        .map(\.field) : []
    if let said {
      system = said
    } else if let kind {
      system = kind.system
    } else {
      system = Self.unknownSystem
    }
  }

  package var recorded: RecordedEvent {
    var event = RecordedEvent(
      system: system, name: name, isProbe: probe != nil, fields: probe?.fields ?? foreignFields)
    event.count = count
    event.namesItsFunction = probe?.namesItsFunction ?? false
    return event
  }
}

/// The events of a text recording by their labels: no String is made for a line.
package struct TextEventTable {
  package private(set) var events: [TextEvent] = []
  /// How each is read.
  private var readers: [Reader] = []
  private(set) var layouts: [ProbeTextLayout] = []
  /// The labels one behind another, as the lines have them, perf's system included ("kvm:kvm_entry"); and where each ends.
  private var labels: [UInt8] = []
  private var labelEnds: [Int] = []
  /// Index + 1 by hash; 0: free. Open addressing, a power of two, never more than half full.
  private var slots = [UInt16](repeating: 0, count: 1 << 13)

  /// More events than any kernel has turned on at once; the rest of a hostile file is not read.
  static let limit = 4096
  static let labelLimit = 200
  /// Names of a hostile file may all fall on one slot; those further away are not read.
  private static let reach = 64

  /// Index of the event named in `line`, nil when it is new and there are too many.
  @inline(__always)
  mutating func index(_ line: RawSpan, _ head: LineHead) -> Int? {
    var slot = Self.hash(line, head)
    let end = slot &+ Self.reach
    while slot < end {
      let entry = slots[slot & (slots.count &- 1)]
      if entry == 0 { break }
      if isLabel(Int(entry) &- 1, line, head) { return Int(entry) &- 1 }
      slot &+= 1
    }
    guard slot < end, events.count < Self.limit, head.nameEnd &- head.nameStart <= Self.labelLimit
    else {
      return nil
    }
    labels += line.slice(at: head.nameStart, count: head.nameEnd - head.nameStart)?.copied() ?? []
    labelEnds.append(labels.count)
    add(TextEvent(line, head))
    slots[slot & (slots.count &- 1)] = UInt16(events.count)
    return events.count - 1
  }

  /// Index of an event that is known.
  @inline(__always)
  func known(_ line: RawSpan, _ head: LineHead) -> Int? {
    var slot = Self.hash(line, head)
    let end = slot &+ Self.reach
    while slot < end {
      let entry = slots[slot & (slots.count &- 1)]
      if entry == 0 { return nil }
      if isLabel(Int(entry) &- 1, line, head) { return Int(entry) &- 1 }
      slot &+= 1
    }
    return nil
  }

  /// How the lines of an event are read.
  enum Reader: BitwiseCopyable {
    case tracepoint(TextEventKind)
    /// Index in ``TextEventTable/layouts``.
    case probe(Int)
    /// The analysis has no use for it.
    case none
  }

  func reader(_ index: Int) -> Reader { readers[index] }

  func isDelivered(_ index: Int) -> Bool {
    if case .none = readers[index] { false } else { true }
  }

  private mutating func add(_ event: TextEvent) {
    events.append(event)
    if let probe = event.probe {
      readers.append(.probe(layouts.count))
      layouts.append(probe)
    } else {
      readers.append(event.kind.map { .tracepoint($0) } ?? .none)
    }
  }

  mutating func count(_ index: Int) { events[index].count &+= 1 }

  @inline(__always)
  private func isLabel(_ index: Int, _ line: RawSpan, _ head: LineHead) -> Bool {
    let start = index == 0 ? 0 : labelEnds[index &- 1]
    let count = labelEnds[index] &- start
    guard count == head.nameEnd &- head.nameStart,
      let label = labels.rawBytes.slice(at: start, count: count),
      let name = line.slice(at: head.nameStart, count: count)
    else { return false }
    return name.isSame(as: label)
  }

  /// Of the first, the middle and the last eight characters; FNV-1a of shorter names.
  @inline(__always)
  private static func hash(_ line: RawSpan, _ head: LineHead) -> Int {
    if head.nameEnd &- head.nameStart >= 8, let first = line.u64(at: head.nameStart),
      let last = line.u64(at: head.nameEnd &- 8),
      let middle = line.u64(at: (head.nameStart &+ head.nameEnd) / 2 &- 4)
    {
      let ends = (first ^ last.byteSwapped) &* 0x9e37_79b9_7f4a_7c15
      let product = (ends ^ middle) &* 0x9e37_79b9_7f4a_7c15
      return Int(truncatingIfNeeded: product >> 48)
    }
    var hash: UInt32 = 2_166_136_261
    var position = head.nameStart
    while position < head.nameEnd, let byte = line.u8(at: position) {
      hash = (hash ^ UInt32(byte)) &* 16_777_619
      position &+= 1
    }
    return Int(hash ^ hash >> 15) & 0xffff
  }
}
