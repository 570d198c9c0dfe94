// The fuzzers are a package of their own, which sees what is `package` here only like this.
#if FUZZING
  @testable import Trace
#else
  import Trace
#endif

/// Parsers alone, without a file around them: thousands of times as many inputs in the same time.
extension Target {
  static let parsers = [numbers, textLine, formatParser, tracingData, pageEvents]

  /// Numbers in text. The standard library reads them too, and says the same.
  static let numbers = Target(name: "numbers") { bytes, _ in
    let text = unsafe bytes.span.bytes
    for start in 0...min(1, bytes.count) {
      check(
        bytes, start, radix: 10, { $0 &- 48 < 10 },
        { position in
          text.decimal(&position)
        })
      check(
        bytes, start, radix: 16, { $0 &- 48 < 10 || ($0 | 32) &- 97 < 6 },
        { position in
          text.hexadecimal(&position)
        })
      var position = start
      _ = text.number(&position)
      precondition((start...bytes.count).contains(position))
    }
  }

  /// One line of an ftrace text, and all kinds of events that its values could be.
  static let textLine = Target(name: "text-line") { bytes, _ in
    let line = unsafe bytes.span.bytes
    switch TextLine(line) {
    case .event(let head), .record(let head), .tracer(let head):
      var event = Event()
      for kind in kinds { _ = kind.read(line, head.values, into: &event) }
      _ = TextDecoder.function(line, head)
      _ = TextDecoder.record(line, head)
    case .lost, .bufferStarted, .idle, .unknown: break
    }
  }

  /// A format, a NUL, a header_page, a NUL, and a record of that event.
  static let formatParser = Target(name: "format-parser") { bytes, _ in
    let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
      .map(Array.init)
    let text = parts[0]
    let header = parts.count > 1 ? parts[1] : []
    let record = parts.count > 2 ? parts[2] : []
    let headerBytes = unsafe header.span.bytes
    _ = PageLayout(headerBytes)
    guard let parser = FormatParser(longSize: 8) else { return }
    let textBytes = unsafe text.span.bytes
    let recordBytes = unsafe record.span.bytes
    var event = Event()
    for system in ["kvm", "sched", "probes"] {
      guard var format = parser.parse(textBytes, system: system) else { continue }
      for isBigEndian in [false, true] {
        format.isBigEndian = isBigEndian
        let plan = RecordPlan([format])
        _ = plan.type.read(recordBytes)
        for source in plan.sources { _ = source.thread.int32(recordBytes) }
        for decoder in plan.events { _ = decoder.read(recordBytes, into: &event) }
        for decoder in plan.probes { _ = decoder.read(recordBytes, into: &event) }
      }
    }
  }

  /// What perf and trace-cmd keep of tracefs: lists of formats.
  static let tracingData = Target(name: "tracing-data") { bytes, _ in
    let data = unsafe bytes.span.bytes
    _ = try? TracingData(data)
  }

  /// The events of one page, which lie in it, one behind the other.
  static let pageEvents = Target(name: "page-events") { bytes, _ in
    for isBigEndian in [false, true] {
      for isCut in [false, true] {
        let page = unsafe bytes.span.bytes
        var cursor = PageCursor(page, PageLayout(isBigEndian: isBigEndian), isCut: isCut)
        var end = 16
        while let record = cursor.next(page) {
          precondition(record.offset >= end + 4 && record.size >= 0)
          end = record.offset + record.size
          precondition(end <= bytes.count)
        }
      }
    }
  }

  private static let kinds = [
    "kvm_entry", "kvm_exit", "kvm_handle_sys_reg", "kvm_sys_access", "kvm_userspace_exit",
    "kvm_arm_setup_debug", "kvm_halt_poll_ns", "kvm_get_timer_map", "sched_switch",
    "sched_migrate_task", "function", "funcgraph_entry",
  ].compactMap(TextEventKind.init)

  private static func check(
    _ bytes: [UInt8], _ start: Int, radix: Int, _ isDigit: (UInt8) -> Bool,
    _ read: (inout Int) -> UInt64?
  ) {
    let digits = bytes[start...].prefix(while: isDigit)
    var position = start
    let number = read(&position)
    precondition(number == UInt64(String(decoding: digits, as: UTF8.self), radix: radix))
    precondition(position == (number == nil ? start : digits.endIndex))
  }
}
