import Glibc
import Recorder
import Testing
import Trace

/// This machine's probes on programs.
enum LiveProbes {
  static var isThere: Bool {
    guard LiveTracefs.isThere, let tracefs = Tracefs.find() else { return false }
    return unsafe access(tracefs.path("uprobe_events"), W_OK) == 0
  }

  static var canSizePages: Bool {
    guard let tracefs = Tracefs.find() else { return false }
    return unsafe access(tracefs.path("buffer_subbuf_size_kb"), W_OK) == 0
  }
}

/// What a recorded program had in its memory: blocks of which a probe fetches key slots and other fields.
///
///     0 number | 8 vcpu_id | 12 flags | 16 ten guest keys | 96 ten host keys | 176 hcr_el2 | 184 features | 192
struct SecretBlocks {
  static let size = 192
  static let keys = ["ia", "ib", "da", "db", "ga"].flatMap {
    ["ap\($0)keylo_el1", "ap\($0)keyhi_el1"]
  }
  private(set) var bytes: [UInt8] = []
  /// The values of key slots, by block.
  private(set) var slots: [[UInt64]] = []
  /// Those that are secrets.
  let pool: Set<UInt64>

  init(count: Int) {
    let secrets = (0..<60).map { _ in UInt64.random(in: (1 << 63) ... .max) }
    pool = Set(secrets)
    for number in 0..<count {
      let values = (0..<20).map { _ in
        ([0, KeySlots.resetValue] as [UInt64])[
          Int.random(in: 0..<20), or: secrets[Int.random(in: 0..<60)]]
      }
      slots.append(values)
      add(Self.vcpu(number))
      add(Self.other(number))
      for value in values { add(value) }
      add(Self.vcpu(number) &* 3)
      add(UInt64(number & 255))
    }
  }

  static func vcpu(_ number: Int) -> UInt64 { 0xffff_0000_0000_0000 | UInt64(number) }
  /// vcpu_id and flags.
  static func other(_ number: Int) -> UInt64 { UInt64(number & 7) | UInt64(number & 127) << 32 }

  private mutating func add(_ value: UInt64) {
    for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
  }

  /// Fetch arguments of a probe on write(2) of the C library, whose second parameter points at a block.
  static func arguments(renaming: String? = nil) -> String {
    #if arch(arm64)
      let pointer = "%x1"
    #else
      let pointer = "%si"
    #endif
    let named = keys + keys.map { "host_" + $0 }
    let slots = named.enumerated().map { index, name in
      "\(name == renaming ? "x" + name : name)=+\(16 + 8 * index)(\(pointer)):x64"
    }
    return
      (["vcpu=+0(\(pointer)):x64", "vcpu_id=+8(\(pointer)):s32", "iflags=+12(\(pointer)):x8"]
      + slots + ["hcr_el2=+176(\(pointer)):x64", "features=+184(\(pointer)):x64"])
      .joined(separator: " ")
  }
}

extension [UInt64] {
  /// The element, or `other` behind the last.
  fileprivate subscript(index: Int, or other: UInt64) -> UInt64 {
    index < count ? self[index] : other
  }
}

extension RecordTests {
  /// Probes that fetch key slots of a program of this machine, by the same types that record an arm64 host.
  @Suite(.enabled(if: LiveProbes.isThere, "needs root, tracefs and uprobes"))
  struct Keys {
    static let count = 1000

    /// Records two processes on two pCPUs that write the blocks; `body` gets what record-events said, and the file.
    private func record(
      _ blocks: SecretBlocks, renaming: String? = nil, subBuffer: Int? = nil,
      meanwhile: String = ":",
      _ body: (String, String) throws -> Void
    ) throws {
      var template = Array("/tmp/ptrauth-trace-keys-XXXXXX".utf8CString)
      let directory = try #require(unsafe mkdtemp(&template).map { unsafe String(cString: $0) })
      defer { _ = try? Program.run("rm", ["-r", directory]) }
      Corpus.write(blocks.bytes, to: directory + "/blocks")
      // A C library of its own: no other process meets the probe.
      let script = """
        set -e
        mkdir lib
        cp "$(ldd "$(command -v dd)" | sed -n 's/.*=> \\(.*libc.so[^ ]*\\) .*/\\1/p')" lib/
        at=0x$(nm -D lib/libc.so.6 | sed -n 's/^0*\\([0-9a-f]*\\) [TW] write@@.*/\\1/p')
        group=ptrauth_trace_test_$$
        echo "p:$group/put $PWD/lib/libc.so.6:$at $ARGUMENTS" >> $T/uprobe_events
        trap 'echo "-:$group/put" >> $T/uprobe_events' EXIT
        cat > work << 'END'
        for cpu in 0 1; do
          LD_LIBRARY_PATH=$PWD/lib taskset -c $((cpu % $(nproc))) dd if=blocks of=/dev/null bs=\(SecretBlocks.size) status=none &
        done
        wait
        \(meanwhile)
        END
        $P t.dat 60000 $group:put sh work
        """
      let sizes = subBuffer.map { ["SUB_BUFFER=\($0)"] } ?? []
      let run = try Program.run(
        "sh", ["-c", script], directory: directory,
        environment: [
          "P=" + RecordTests.program, "T=" + (Tracefs.find()?.root ?? ""),
          "ARGUMENTS=" + SecretBlocks.arguments(renaming: renaming),
        ] + sizes)
      #expect(run.errors == "")
      try body(run.output, directory + "/t.dat")
    }

    /// How many raw values a file holds, at any place.
    private func leaks(_ path: String, _ blocks: SecretBlocks) -> Int {
      var found = 0
      var value: UInt64 = 0
      var isPossible = [Bool](repeating: false, count: 1 << 16)
      for secret in blocks.pool { isPossible[Int(secret >> 48)] = true }
      for byte in Corpus.bytes(path) {
        value = value >> 8 | UInt64(byte) << 56
        if isPossible[Int(value >> 48)], blocks.pool.contains(value) { found += 1 }
      }
      return found
    }

    @Test(
      "no key value is in the file, equal ones are equal, and all else is what it was",
      arguments: [nil, 8])
    func keysAreOthers(subBuffer: Int?) throws {
      if subBuffer != nil, !LiveProbes.canSizePages { return }
      let blocks = SecretBlocks(count: Self.count)
      try record(blocks, subBuffer: subBuffer) { output, path in
        #expect(output == "\(2 * Self.count) 0 true command(0)\n")
        #expect(leaks(path, blocks) == 0)
        var file = try TraceDatFile(path: path)
        #expect(!file.recording.isIncomplete)
        #expect(file.recording.warnings.allSatisfy { $0.contains("record sched:sched_switch too") })
        var others: [UInt64: Set<UInt64>] = [:]
        var hits = 0
        var cpus: Set<Int32> = []
        try file.readEvents { event in
          guard case .probe(let hit) = event.payload, let vcpu = hit.fields.vcpu,
            let guest = hit.fields.guestKeys, let host = hit.fields.hostKeys
          else { return }
          hits += 1
          cpus.insert(event.cpu)
          let number = Int(vcpu & 0xffff)
          let isWhole =
            number < Self.count && vcpu == SecretBlocks.vcpu(number)
            && hit.fields.hcr == SecretBlocks.vcpu(number) &* 3
            && hit.fields.features == UInt64(number & 255)
          #expect(isWhole, "event \(hits)")
          if !isWhole { return }
          for (raw, now) in zip(
            blocks.slots[number],
            (0..<10).map { guest.registers[$0] } + (0..<10).map { host.registers[$0] })
          {
            others[raw, default: []].insert(now)
          }
        }
        #expect(hits == 2 * Self.count)
        #expect(cpus.count == min(2, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        #expect(others.count == 62 && others.values.allSatisfy { $0.count == 1 }, "equal by equal")
        #expect(Set(others.values).count == 62, "different by different")
        #expect(others[0] == [0] && others[KeySlots.resetValue] == [KeySlots.resetValue])
        #expect(Set(others.values.flatMap(\.self)).intersection(blocks.pool).isEmpty)
        // trace-cmd reads it, and the other fields as they were.
        let lines = Tool.lines("trace-cmd report -i \(path) | grep ' put: '")
        #expect(lines.count == 2 * Self.count)
        let expected = Set(
          (0..<Self.count).map { number in
            "vcpu=0x\(String(SecretBlocks.vcpu(number), radix: 16)) vcpu_id=\(number & 7) iflags=0x\(String(number & 127, radix: 16))"
          })
        let seen = Set(
          lines.map { line in
            line.split(separator: " ").filter { $0.hasPrefix("vcpu") || $0.hasPrefix("iflags") }
              .joined(separator: " ")
          })
        #expect(seen == expected)
      }
    }

    @Test("two recordings of the same keys have nothing in common")
    func anotherSecret() throws {
      let blocks = SecretBlocks(count: 100)
      var seen: [Set<UInt64>] = []
      for _ in 0..<2 {
        try record(blocks) { _, path in
          var values: Set<UInt64> = []
          var file = try TraceDatFile(path: path)
          try file.readEvents { event in
            guard case .probe(let hit) = event.payload, let guest = hit.fields.guestKeys else {
              return
            }
            values.formUnion((0..<10).map { guest.registers[$0] })
          }
          seen.append(values.subtracting([0, KeySlots.resetValue]))
        }
      }
      #expect(seen.count == 2 && seen[0].count > 50 && seen[0].isDisjoint(with: seen[1]))
    }

    /// That the search for raw values finds them: a field of another name is no key slot.
    @Test func aFieldThatIsNotMaskedIsFound() throws {
      let blocks = SecretBlocks(count: 300)
      try record(blocks, renaming: "host_apdbkeyhi_el1") { output, path in
        #expect(output == "600 0 true command(0)\n")
        #expect(leaks(path, blocks) > 500)
      }
    }

    @Test(
      "pages of another size than the recording began with are left out and counted",
      .enabled(if: LiveProbes.canSizePages, "needs a kernel that sizes pages"))
    func anotherPageSize() throws {
      let blocks = SecretBlocks(count: 500)
      // Until the recorder has taken everything: another size empties the buffer.
      let meanwhile = """
        while grep -qh '^entries: [1-9]' $T/instances/ptrauth-trace-$PPID/per_cpu/cpu*/stats; do sleep 0.1; done
        echo 8 > $T/instances/ptrauth-trace-$PPID/buffer_subbuf_size_kb
        LD_LIBRARY_PATH=$PWD/lib dd if=blocks of=/dev/null bs=\(SecretBlocks.size) status=none
        """
      try record(blocks, meanwhile: meanwhile) { output, path in
        #expect(output.contains("\nrefused: ") && output.contains("a page has 4096\n"))
        #expect(leaks(path, blocks) == 0)
        var file = try TraceDatFile(path: path)
        var hits = 0
        try file.readEvents { if case .probe = $0.payload { hits += 1 } }
        #expect(hits == 1000)
        #expect(file.losses.byCPU.values.reduce(0, +) > 0, "a loss")
        #expect(Tool.lines("trace-cmd report -i \(path) | grep ' put: '").count == 1000)
      }
    }
  }
}
