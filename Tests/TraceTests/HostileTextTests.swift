import Testing
import Trace

/// Every byte can be wrong: no crash, no hang, and a sentence.
struct HostileTextTests {
  private static let whole: [UInt8] = Array(
    """
    # tracer: nop
    # entries-in-buffer/entries-written: 5/9   #P:4
              bash-42      [003] d..2.     1.500000: kvm_entry: PC: 0x0000000040000000
              bash-42      [003] d..2.     1.500001: kvm_exit: TRAP: HSR_EC: 0x0009 (PAC), PC: 0x10
    CPU:1 [LOST 7 EVENTS]
    ##### CPU 2 buffer started ####
              bash-42      [002] d..2.     1.500002: load: (f+0x0/0x8) vcpu=0xffff000001810000 cpu=1
              bash-42      [001] d..2.     1.500003: ret: (g+0x8/0x10 <- f) exit_code=2
              bash-42      [001] d..2.     1.500004: sched_switch: a:1 [1] S ==> b:2 [1]
        bash-42     3d..2. 1500000us+: kvm_sys_access: PC: 10 X (3,0,2,1,0) read
        bash 42/43 [003] 1.5: sched:sched_switch: prev_comm=a prev_pid=1 prev_prio=1 prev_state=S ==> next_comm=b next_pid=2 next_prio=1
        bash 42/43 [003] 1.5: PERF_RECORD_FORK(1:2):(3:4)
        bash 42/43 [003] 1.5: PERF_RECORD_LOST lost 3

    """.utf8)

  @discardableResult
  private func read(_ bytes: [UInt8]) throws -> TraceError? {
    let file = try TextFile(bytes)
    do throws(TraceError) {
      let events = try Events(file: file.path)
      _ = events.recording.warnings
      return nil
    } catch {
      #expect(!error.description.contains("\n"))
      return error
    }
  }

  @Test
  func theWholeIsFine() throws {
    let events = try Events(text: TextFile(Self.whole))
    #expect(events.list.count == 11)
    #expect(events.losses.byCPU == [1: 7, 2: 0, 3: 3])
    #expect(events.losses.samples == 4)
  }

  @Test
  func everyCut() throws {
    for count in 0..<Self.whole.count { try read(Array(Self.whole[..<count])) }
  }

  @Test
  func everyByteReplaced() throws {
    for place in Self.whole.indices {
      for value in [0, 0x20, 0x2d, 0x39, 0x3a, 0x5b, 0xff] as [UInt8] where place % 3 == 0 {
        var bytes = Self.whole
        bytes[place] = value
        try read(bytes)
      }
    }
  }

  @Test(arguments: 0..<40)
  func randomBytes(seed: UInt64) throws {
    var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    let alphabet = Array("0123456789abcdefx.:-[]() /+<>=_\n\n PC HSR_EC kvm_entry".utf8)
    var bytes = Self.whole
    for _ in 0..<4000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let random = Int(truncatingIfNeeded: state >> 33)
      if seed % 2 == 0 {
        bytes.append(UInt8(truncatingIfNeeded: random))
      } else {
        bytes.append(alphabet[random % alphabet.count])
      }
    }
    try read(bytes)
  }

  @Test
  func longLinesAndHugeNumbers() throws {
    let line = "bash-42 [003] d..2. 1.5: kvm_entry: PC: 0x10\n"
    let long =
      "bash-42 [003] d..2. 1.5: kvm_entry: PC: 0x10" + String(repeating: " x", count: 70_000)
    let events = try Events(text: TextFile(Array((line + long + "\n" + line).utf8)))
    #expect(events.list.count == 2)
    #expect(events.recording.warnings.contains { $0.contains("65535 bytes") })
    let digits = String(repeating: "9", count: 40)
    for text in [
      "bash-\(digits) [003] d..2. 1.5: kvm_entry: PC: 0x10\n",
      "bash-42 [\(digits)] d..2. 1.5: kvm_entry: PC: 0x10\n",
      "bash-42 [65536] d..2. 1.5: kvm_entry: PC: 0x10\n",
      "bash-42 [003] d..2. \(digits).5: kvm_entry: PC: 0x10\n",
      "bash-42 [003] d..2. 18446744073709551615.5: kvm_entry: PC: 0x10\n",
      "bash-42 [003] d..2. 1.\(digits): kvm_entry: PC: 0x10\n",
      "bash-42 3d..2. 18446744073709551615us : kvm_entry: PC: 0x10\n",
    ] { #expect(try Events(text: TextFile(Array((line + text).utf8))).list.count == 1) }
    let values = line + "bash-42 [003] d..2. 1.5: kvm_entry: PC: 0x\(digits)\n"
    #expect(try Events(text: TextFile(Array(values.utf8))).list.count == 1)
  }

  @Test
  func manyEventNamesAreBounded() throws {
    var text = ""
    for index in 0..<5000 { text += "bash-42 [003] d..2. 1.5: event\(index): x\n" }
    let events = try Events(text: TextFile(Array(text.utf8)))
    #expect(events.recording.recordedEvents.count == 4096)
    #expect(events.recording.warnings.contains { $0.hasPrefix("904 lines have event names") })
  }

  @Test
  func textsThatAreNoTracesGetOneSentence() throws {
    #expect(try read([])?.code == .isEmpty)
    #expect(try read(Array("hello\n".utf8))?.code == .isNotFtraceText)
    #expect(try read(Array("<html><body>\n</body></html>\n".utf8))?.code == .isNotFtraceText)
    #expect(try read(Array("TRACE:\nx".utf8))?.code == .isCompressedText)
    #expect(try read(Array("# tracer: nop\n#\n".utf8)) == nil)
    #expect(try read(Array("# tracer: nop\n\u{1}\u{2}\u{3}\n".utf8))?.code == .textOption("bin"))
    let verbose =
      "# tracer: nop\n            bash 42     3 0 00000000 00000001 [00139dd8] 1348.041ms (+0.002ms): "
      + "sys_exit: NR 1 = 2\n"
    #expect(try read(Array(verbose.utf8))?.code == .textOption("verbose"))
    #expect {
      _ = try FtraceTextFile(path: "/tmp")
    } throws: {
      ($0 as? TraceError)?.code == .isDirectory
    }
  }
}
