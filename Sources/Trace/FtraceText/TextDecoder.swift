import Bytes

/// Turns the values of lines into payloads.
package struct TextDecoder {
  private let isKernelText: Bool
  /// kvm_arm_setup_debug's hashed pointers are not those of the probes.
  private let usesHashedPointers: Bool
  private var symbols: [SymbolMemory] = []
  private(set) var doubts: TextDoubts

  /// The symbol an event's lines had last: probes have one each.
  private struct SymbolMemory {
    var bytes: [UInt8] = []
    var offset: UInt64 = 0
    var symbol: SymbolName?
  }

  init(isKernelText: Bool, usesHashedPointers: Bool, doubts: TextDoubts = TextDoubts()) {
    self.isKernelText = isKernelText
    self.usesHashedPointers = usesHashedPointers
    self.doubts = doubts
  }

  /// Decodes what line `number` says, whose values start at `values`: the event `index` of `table`; false where that
  /// cannot be read, or says nothing.
  mutating func read(
    _ line: RawSpan, _ values: Int, _ table: borrowing TextEventTable, _ index: Int, number: Int,
    into event: inout Event
  ) -> Bool {
    let kind: TextEventKind
    switch table.reader(index) {
    case .probe(let layout):
      guard read(line, values, table, layout, index, number, into: &event.hit) else {
        doubts.unreadValues.note(number)
        return false
      }
      event.occurrence = .probe
      return true
    case .tracepoint(let known): kind = known
    case .none: return false
    }
    if kind == .setupDebug { return readSetupDebug(line, values, number, into: &event) }
    guard kind.read(line, values, into: &event) else {
      doubts.unreadValues.note(number)
      return false
    }
    return true
  }

  private static let caller: TextPattern = " <-"

  /// "kvm_arch_vcpu_load <-kvm_sched_in": the tracer `function`; nil for other tracers' lines. With the
  /// trace option sym-offset the name is "kvm_arch_vcpu_load+0x8/0x2a0".
  package static func function(_ line: RawSpan, _ head: LineHead) -> Event.Payload? {
    var end = head.nameStart
    while let byte = line.u8(at: end), Character8.isWord(byte) || byte == Character8.dot {
      end &+= 1
    }
    guard end > head.nameStart else { return nil }
    let word = line.wordEnd(from: end)
    guard word == end || line.u8(at: end) == Character8.plus, line.starts(with: caller, at: word)
    else { return nil }
    return .probe(ProbeHit(traced: line.string(head.nameStart, end)))
  }

  private static let lost: TextPattern = "PERF_RECORD_LOST lost "
  static let fork: TextPattern = "PERF_RECORD_FORK("

  /// "PERF_RECORD_LOST lost 59" (perf script --show-lost-events), "PERF_RECORD_FORK(93:93):(89:89)"
  /// (--show-task-events); nil for other records.
  package static func record(_ line: RawSpan, _ head: LineHead) -> Event.Payload? {
    if line.starts(with: lost, at: head.nameStart) {
      var position = head.nameStart &+ lost.bytes.count
      return line.decimal(&position).map { .lost(count: $0) }
    }
    guard line.starts(with: fork, at: head.nameStart) else { return nil }
    return fork(line, head.nameStart &+ fork.bytes.count)
  }

  /// "93:93):(89:89)": the child's process and thread; the parent is the line's task.
  static func fork(_ line: RawSpan, _ start: Int) -> Event.Payload? {
    var position = start
    guard let process = line.decimal(&position), line.u8(at: position) == Character8.colon else {
      return nil
    }
    position += 1
    guard let thread = line.decimal(&position) else { return nil }
    return .fork(
      child: Int32(truncatingIfNeeded: thread), childPid: Int32(truncatingIfNeeded: process))
  }

  private static let masked: TextPattern = "(____ptrval____)"

  /// The kernel hashes the pointers that it prints to 32 bits, or masks them while it has no
  /// randomness; a hash is an identity, but not the probes'.
  private mutating func readSetupDebug(
    _ line: RawSpan, _ values: Int, _ number: Int, into event: inout Event
  ) -> Bool {
    guard TextEventKind.setupDebug.read(line, values, into: &event) else {
      if line.position(behind: Self.masked, from: values) != nil {
        doubts.maskedPointers.note(number)
      } else {
        doubts.unreadValues.note(number)
      }
      return false
    }
    if case .setupDebug(let pointer) = event.occurrence, pointer >> 32 == 0, !usesHashedPointers {
      return false
    }
    return true
  }

  private mutating func read(
    _ line: RawSpan, _ values: Int, _ table: borrowing TextEventTable, _ layout: Int,
    _ index: Int, _ number: Int, into hit: inout ProbeHit
  ) -> Bool {
    guard let place = ProbePlace(line, from: values, isKernelText: isKernelText) else {
      return false
    }
    hit.address = place.address
    hit.isReturn = place.isReturn
    hit.isTraced = false
    if !table.layouts[layout].read(line, from: place.end, into: &hit.fields) {
      doubts.narrowFields.note(number)
    }
    hit.symbolName =
      place.symbolEnd > place.symbolStart ? symbol(line, place, index) : nil
    return true
  }

  private mutating func symbol(_ line: RawSpan, _ place: ProbePlace, _ index: Int) -> SymbolName? {
    let count = place.symbolEnd - place.symbolStart
    while symbols.count <= index { symbols.append(SymbolMemory()) }
    if symbols[index].bytes.count == count, symbols[index].offset == place.symbolOffset,
      (0..<count).allSatisfy({
        line.u8(at: place.symbolStart &+ $0) == symbols[index].bytes[$0]
      })
    {
      return symbols[index].symbol
    }
    let name = line.string(place.symbolStart, place.symbolEnd)
    symbols[index].bytes = Array(name.utf8)
    symbols[index].offset = place.symbolOffset
    symbols[index].symbol = SymbolName(
      place.symbolOffset == 0 ? name : "\(name)+0x\(String(place.symbolOffset, radix: 16))",
      size: place.symbolSize)
    return symbols[index].symbol
  }
}
