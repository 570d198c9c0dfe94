import Glibc
import Recorder
import Testing
import Trace

/// What lies in pages of a ring buffer, counted by its description alone (Documentation/trace/ring-buffer-map.rst,
/// include/linux/ring_buffer.h) for what reads them.
private func recordCount(inPages bytes: [UInt8], pageSize: Int) -> Int {
  func number(_ place: Int) -> Int {
    (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) }
  }
  var count = 0
  for page in stride(from: 0, to: bytes.count / pageSize * pageSize, by: pageSize) {
    var place = page + 16
    let end = place + number(page + 8) & 0xfffff
    while place < min(end, page + pageSize) {
      let kind = number(place) & 31
      switch kind {
      case 0:
        count += 1
        place += 4 + number(place + 4)
      case 29: place += 4 + number(place + 4)
      case 30, 31: place += 8
      default:
        count += 1
        place += 4 + 4 * kind
      }
    }
  }
  return count
}

extension RecordTests {
  /// SIGKILL at any moment, of the recorder, of what it runs and of what cleans up behind it.
  @Suite(.enabled(if: LiveProbes.isThere, "needs root, tracefs and uprobes"), .serialized)
  struct Killed {
    enum Victim: String, CaseIterable {
      case recorder, command, guardian
      case recorderAndCommand = "recorder command"
      case all = "recorder command guardian"
    }

    /// $PTRAUTH_TRACE_KILLS moments, after $PTRAUTH_TRACE_SEED, which a failure names.
    private static let moments = Corpus.count("KILLS") ?? 6
    private static let seed =
      Corpus.count("SEED").map { UInt64(clamping: $0) } ?? .random(in: 0...9999)

    /// A tracefs whose probes are on programs, where this machine's kernel has none on itself; and a C library of
    /// its own, so that no other process meets the probe.
    private static let preparation = """
      mkdir tracefs
      for name in "$T"/*; do ln -s "$name" tracefs/; done
      rm -f tracefs/kprobe_events; ln -s "$T/uprobe_events" tracefs/kprobe_events
      mkdir lib
      cp "$(ldd "$(command -v dd)" | sed -n 's/.*=> \\(.*libc.so[^ ]*\\) .*/\\1/p')" lib/
      """

    /// Records for a moment, and kills meanwhile; says "whole" or "left", and what is still there of it.
    private static let script = """
      export TRACEFS=$PWD/tracefs
      at=0x$(nm -D lib/libc.so.6 | sed -n 's/^0*\\([0-9a-f]*\\) [TW] write@@.*/\\1/p')
      export PROBE=$PWD/lib/libc.so.6:$at
      cat > work << 'END'
      exec env LD_LIBRARY_PATH=$PWD/lib dd if=/dev/zero of=/dev/null bs=1 count=20000 status=none
      END
      $P t.dat 60000 sched:sched_switch sh work > said 2>&1 & recorder=$!
      sleep $DELAY
      guardian=$(pgrep -P $recorder -f ptrauth-trace-guardian)
      command=$(pgrep -P $recorder -f 'sh work|if=/dev/zero')
      for victim in $VICTIMS; do
        eval "id=\\$$victim"
        [ -z "$id" ] || kill -KILL $id
      done 2> /dev/null
      wait $recorder 2> /dev/null
      [ -z "$command" ] || kill -KILL $command 2> /dev/null
      # Nobody is left who could: the next recording does.
      case $VICTIMS in *recorder*guardian*) $P next.dat 1 sched:sched_switch true > /dev/null; rm next.dat ;; esac
      tries=0
      while [ -e "$T/instances/ptrauth-trace-$recorder" ] || grep -q "ptrauth_trace_$recorder/" "$T/uprobe_events"; do
        tries=$((tries + 1)); [ $tries -lt 1200 ] || { echo "instance or probe left"; break; }
        sleep 0.05
      done
      ls
      """

    @Test("no probe and no instance is left, and what was written can be read")
    func killed() throws {
      var random = SplitMix(state: Self.seed)
      var outcomes: [String: Int] = [:]
      for moment in 0..<Self.moments {
        let victim = Victim.allCases[moment % Victim.allCases.count]
        let delay = Double(random.next() % 700) / 1000
        let name =
          "PTRAUTH_TRACE_SEED=\(Self.seed), moment \(moment): \(victim.rawValue) after \(delay) s"
        let outcome = try kill(victim, after: delay, name)
        outcomes[outcome, default: 0] += 1
      }
      print("PTRAUTH_TRACE_SEED=\(Self.seed): \(outcomes.sorted { $0.key < $1.key })")
    }

    private func kill(_ victim: Victim, after delay: Double, _ name: String) throws -> String {
      var template = Array("/tmp/ptrauth-trace-killed-XXXXXX".utf8CString)
      let directory = try #require(unsafe mkdtemp(&template).map { unsafe String(cString: $0) })
      defer { _ = try? Program.run("rm", ["-r", directory]) }
      let run = try Program.run(
        "sh", ["-c", Self.preparation + "\n" + Self.script], directory: directory,
        environment: [
          "P=" + RecordTests.program, "T=" + (Tracefs.find()?.root ?? ""), "DELAY=\(delay)",
          "VICTIMS=" + victim.rawValue,
        ])
      let left = run.output.split(separator: "\n").map(String.init)
        .filter { !["lib", "tracefs", "work", "said"].contains($0) }
      #expect(run.errors == "" && !run.output.contains("instance or probe left"), "\(name)")
      if left == ["t.dat"] {
        let file = try RecordingFile(path: directory + "/t.dat")
        try file.readEvents { _ in }
        #expect(!file.recording.isIncomplete && !file.recording.isDamaged, "\(name)")
        return "whole"
      }
      #expect(victim.rawValue.contains("recorder"), "\(name): \(left)")
      let parts = left.filter { $0.hasPrefix("t.dat.cpu") }
      #expect(left.filter { $0 != "t.dat.unfinished" } == parts, "\(name): \(left)")
      // Before there was an event to be taken: nothing to read.
      guard left.contains("t.dat.unfinished") else { return "nothing yet" }
      return try read(directory, parts, name)
    }

    /// By the name of the file and, if pages lie beside it, of the directory: every record of every whole page.
    private func read(_ directory: String, _ parts: [String], _ name: String) throws -> String {
      let pageSize = 4096
      var expected = 0
      for part in parts {
        expected += recordCount(
          inPages: Corpus.bytes(directory + "/" + part), pageSize: pageSize)
      }
      // What was in the file when the parts were joined.
      let joined = Set((0..<sysconf(Int32(_SC_NPROCESSORS_CONF))).map { "t.dat.cpu\($0)" })
        .subtracting(parts)
      let paths = [directory + "/t.dat.unfinished"] + (parts.isEmpty ? [] : [directory])
      for path in paths {
        let file = try RecordingFile(path: path)
        var lost: UInt64 = 0
        try file.readEvents { if case .lost(let count) = $0.payload { lost += count } }
        let count = file.recording.recordedEvents.reduce(0) { $0 + $1.count }
        #expect(joined.isEmpty ? count == expected : count >= expected, "\(name): \(path)")
        #expect(file.recording.isIncomplete || parts.isEmpty, "\(name)")
        #expect(!file.recording.isDamaged, "\(name)")
      }
      return joined.isEmpty ? (expected > 0 ? "pages" : "no page yet") : "while joining"
    }
  }
}
