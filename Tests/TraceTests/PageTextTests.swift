import Bytes
import Testing
import Trace

/// Text that was taken out of a page, and what systrace adds to it.
struct PageTextTests {
  private static let text = """
    # tracer: nop
    #
             vcpu-90    [001] d..2.  5.000001: sched_switch: prev_comm=vcpu prev_pid=90 prev_prio=120 prev_state=S ==> next_comm=swapper/1 next_pid=0 next_prio=120
             vcpu-90    [001] d..1.  5.000002: kvm_entry: PC: 0x0000000080528a6c
             vcpu-90    [001] d..1.  5.000003: p: (kvm_arm_vcpu_ptrauth_trap+0x0/0x40) vcpu=0xffff000000000010 hcr_el2=0x800000001
             vcpu-90    [001] d..1.  5.000004: r: (handle_exit+0x58/0x80 <- kvm_arm_vcpu_ptrauth_trap) vcpu=0xffff000000000010
             a&b-91     [000] d..1.  5.000005: kvm_exit: TRAP: HSR_EC: 0x0009 (PAC), PC: 0x0000000080528a6c

    """

  private func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }

  private func events(_ text: String) throws -> Events {
    let file = try TextFile(Array(text.utf8))
    return try Events(text: file)
  }

  @Test func escapedArrowsAreArrows() throws {
    let expected = try events(Self.text)
    #expect(expected.list.count == 5)
    let found = try events(escaped(Self.text))
    #expect(found.with(time: 1).difference(from: expected.with(time: 1)) == nil)
    #expect(found.counts == expected.counts)
    #expect(found.recording.warnings == expected.recording.warnings)
    #expect(found.recording.byteCount == UInt64(escaped(Self.text).utf8.count))
  }

  @Test(arguments: ["0x807c263f", "-2139347393"])
  func halfOfHCRIsNone(value: String) throws {
    let events = try events(Self.text.replacing("hcr_el2=0x800000001", with: "hcr_el2=\(value)"))
    #expect(events.list.count == 5)
    #expect(
      events.recording.warnings.contains {
        $0.contains("fetch it as x64 ") || $0.hasSuffix("as x64")
      })
    for event in events.list {
      guard case .probe(let hit) = event.payload else { continue }
      #expect(hit.fields.hcr == nil && hit.fields.vcpu == 0xffff_0000_0000_0010)
    }
  }

  @Test(arguments: [(5, false), (6, true), (500, true)])
  func linesThatTheHeaderCounts(kept: Int, isCut: Bool) throws {
    let header = "# entries-in-buffer/entries-written: \(kept)/\(kept)   #P:2\n"
    let events = try events(Self.text.replacing("#\n", with: header))
    #expect(events.list.count == 5 && events.recording.isIncomplete == isCut)
    #expect(
      events.recording.warnings.contains {
        $0.contains("5 of the \(kept) events that its header counts")
      }
        == isCut)
  }

  /// A text without arrows stays as it is.
  @Test func entitiesAloneAreText() {
    func isIn(_ text: String) -> Bool { EscapedMarkup.isIn(Array(text.utf8).rawBytes) }
    func removed(_ text: String) -> String {
      String(decoding: EscapedMarkup.removed(from: Array(text.utf8).rawBytes), as: UTF8.self)
    }
    let text = "a &amp; b, &gt; c, & d &lt;e\n"
    #expect(!isIn(text) && !isIn("") && isIn("f &lt;- g") && isIn("a ==&gt; b"))
    #expect(removed(text) == "a & b, > c, & d <e\n")
    #expect(removed("x&") == "x&")
  }

  /// systrace's own line has no time: the trace begins with its first event.
  @Test func systracesClockIsNoEvent() throws {
    let line =
      "           dummy-0000  [000] 0.0: 0: trace_event_clock_sync: parent_ts=0.0\\n\\\n"
    let own = line.replacing("\\n\\", with: "")
    let head = "<html>\n<body>\n"
    let file = try TextFile(Array((head + own + Self.text).utf8))
    var text = try FtraceTextFile(path: file.path)
    var count = 0
    try text.readEvents { _ in count += 1 }
    #expect(count == 5)
    #expect(text.firstTimeByCPU[0] == 5_000_005_000)
    #expect(!text.recording.recordedEvents.contains { $0.name == "0" })
    // A real one, of an Android kernel, is an event.
    let real =
      "          atrace-12   [000] ...1  4.000000: tracing_mark_write: trace_event_clock_sync: parent_ts=4.0\n"
    #expect(
      try events(real + Self.text).recording.recordedEvents.contains {
        $0.name == "tracing_mark_write"
      })
  }
}
