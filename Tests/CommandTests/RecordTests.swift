import ArgumentParser
import Glibc
import Recorder
import Testing
import Trace
import ptrauth_trace

/// This machine's tracing files, writable.
enum LiveTracefs {
  static var isThere: Bool {
    guard geteuid() == 0, let tracefs = Tracefs.find() else { return false }
    return unsafe access(tracefs.path("events/sched/sched_switch/enable"), W_OK) == 0
      && access(tracefs.path("instances"), W_OK) == 0
  }
}

/// Recordings of this machine's scheduler, by the same types that record an arm64 host.
@Suite(.enabled(if: LiveTracefs.isThere, "needs root and tracefs"), .serialized)
struct RecordTests {
  static let program = String(Program.command.dropLast("ptrauth-trace".count)) + "record-events"
  static var instances: String { (Tracefs.find()?.root ?? "") + "/instances" }

  /// Runs a shell script in a directory of its own, with $P the recorder and $I the instances.
  private func shell(_ script: String, check: (String, String) throws -> Void) throws {
    var template = Array("/tmp/ptrauth-trace-record-XXXXXX".utf8CString)
    let directory = try #require(unsafe mkdtemp(&template).map { unsafe String(cString: $0) })
    defer { _ = try? Program.run("rm", ["-r", directory]) }
    let run = try Program.run(
      "unshare", ["-m", "sh", "-c", script], directory: directory,
      environment: ["P=" + Self.program, "I=" + Self.instances])
    try #require(run.errors == "")
    try check(run.output, directory)
  }

  private func reported(_ path: String, _ event: String) -> Int {
    Tool.lines("trace-cmd report -i \(path)").count { $0.contains(" \(event): ") }
  }

  @Test("trace-cmd and this reader count the events that the kernel counted")
  func counts() throws {
    try shell(
      """
      $P t.dat 20000 sched:sched_switch sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 0.02; done'; ls
      """
    ) { output, directory in
      let words = output.split { $0 == " " || $0 == "\n" }
      let count = try #require(Int(words[0]))
      #expect(count >= 18)
      #expect(words[1...].joined(separator: " ") == "0 true command(0) t.dat")
      #expect(reported(directory + "/t.dat", "sched_switch") == count)
      var file = try TraceDatFile(path: directory + "/t.dat")
      var own = 0
      try file.readEvents { _ in own += 1 }
      #expect(own == count)
      #expect(file.recording.clock == "mono")
      #expect(file.recording.architecture == "x86_64")
      #expect(file.recording.kernelText != nil)
      #expect(file.recording.cpusOnline == sysconf(Int32(_SC_NPROCESSORS_CONF)))
      #expect(!file.recording.isIncomplete && file.recording.warnings.isEmpty)
    }
  }

  @Test("after SIGKILL the guardian takes the instance away, and leaves what was written")
  func killed() throws {
    try shell(
      """
      $P t.dat 60000 sched:sched_switch & p=$!
      i=$I/ptrauth-trace-$p; n=0
      until [ -e t.dat.cpu0 ] && [ "$(cat $i/tracing_on)" = 1 ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done
      [ -e t.dat.cpu0 ] && echo recording
      kill -KILL $p; n=0
      while [ -e $i ] && [ $n -lt 150 ]; do sleep 0.1; n=$((n + 1)); done
      [ -e $i ] && echo left
      ls | grep -v cpu
      """
    ) { output, directory in
      #expect(output == "recording\nt.dat.unfinished\n")
      for path in [directory, directory + "/t.dat.unfinished"] {
        let file = try RecordingFile(path: path)
        #expect(file.recording.isIncomplete && file.recording.clock == "mono")
        #expect(
          file.recording.warnings.contains { $0.hasPrefix("ptrauth-trace record was killed") })
      }
    }
  }

  @Test("what a killed recording has left is kept when the next one has its name")
  func setAside() throws {
    try shell(
      """
      echo old > t.dat.old.unfinished; echo page > t.dat.old.cpu4000
      $P t.dat 60000 sched:sched_switch & p=$!
      n=0; until [ -s t.dat.cpu0 ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done
      kill -KILL $p; wait $p 2> /dev/null
      ls t.dat.unfinished t.dat.cpu* | sed 's/^t.dat/t.dat.old/' | sort > expected; cat t.dat.cpu0 > killed
      $P t.dat 1 sched:sched_switch true | grep killed
      cmp killed t.dat.old.cpu0
      ls t.dat.old* | sort | cmp - expected && $P t.dat 1 sched:sched_switch true | grep -c killed
      """
    ) { output, directory in
      #expect(
        output
          == "a recording to t.dat was killed: what it had written is t.dat.old.unfinished now\n0\n"
      )
      let left = try RecordingFile(path: directory + "/t.dat.old.unfinished")
      #expect(left.recording.isIncomplete && !left.recording.isDamaged)
      let next = try RecordingFile(path: directory + "/t.dat")
      #expect(!next.recording.isIncomplete)
    }
  }

  @Test("signals end the recording, and the file is whole", arguments: ["INT", "TERM", "HUP"])
  func interrupted(by signal: String) throws {
    try shell(
      """
      $P t.dat 60000 sched:sched_switch sleep 61 & p=$!
      i=$I/ptrauth-trace-$p; n=0
      until [ -e t.dat.cpu0 ] && [ "$(cat $i/tracing_on)" = 1 ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done
      sleep 0.2
      kill -\(signal) $p; wait $p
      [ -e $i ] && echo left
      ls
      """
    ) { output, directory in
      let words = output.split { $0 == " " || $0 == "\n" }
      #expect(words.dropFirst(2) == ["true", "signal", "t.dat"])
      let count = try #require(words.first.flatMap { Int($0) })
      #expect(reported(directory + "/t.dat", "sched_switch") == count)
    }
  }

  @Test("what is lost while it cannot read is counted, and the rest is whole")
  func losses() throws {
    try shell(
      """
      $P t.dat 60000 raw_syscalls:sys_enter sh -c 'kill -STOP $PPID
      dd if=/dev/zero of=/dev/null bs=1 count=200000 status=none; kill -CONT $PPID'
      """
    ) { output, directory in
      let words = output.split { $0 == " " || $0 == "\n" }
      try #require(words.count == 4)
      let count = try #require(Int(words[0]))
      #expect(try #require(Int(words[1])) > 50_000)
      #expect(words[2...] == ["true", "command(0)"])
      #expect(reported(directory + "/t.dat", "sys_enter") == count)
      var file = try TraceDatFile(path: directory + "/t.dat")
      var told: UInt64 = 0
      try file.readEvents { if case .lost(let count) = $0.payload { told += count } }
      #expect(told > 0, "at its place in time")
      #expect(file.losses.byCPU.values.reduce(0, +) == UInt64(words[1]))
    }
  }

  @Test("a killed command ends it")
  func killedCommand() throws {
    try shell("$P t.dat 60000 sched:sched_switch sh -c 'sleep 0.1; kill -KILL $$'; ls $I; ls") {
      output, _ in
      #expect(output.contains(" true command(137)\n"))
      #expect(!output.contains("ptrauth-trace-") && output.hasSuffix("t.dat\n"))
    }
  }

  @Test("a command that is not there is an error, and leaves nothing")
  func missingCommand() throws {
    try shell("$P t.dat 60000 sched:sched_switch /no/such; ls") { output, _ in
      #expect(output == "error: /no/such cannot be started: No such file or directory\n")
    }
  }

  @Test("before the disk is full the recording ends, and fits")
  func lowSpace() throws {
    try shell(
      """
      mkdir d; mount -t tmpfs -o size=48m none d || exit 1
      $P d/t.dat 60000 raw_syscalls:sys_enter dd if=/dev/zero of=/dev/null bs=1 status=none
      trace-cmd report -i d/t.dat 2> /dev/null | grep -c ' sys_enter: '; ls d
      """
    ) { output, _ in
      let words = output.split { $0 == " " || $0 == "\n" }
      try #require(words.count == 6, "\(output)")
      #expect(words[2...3] == ["true", "lowSpace"])
      #expect(words[0] == words[4] && words[5] == "t.dat")
    }
  }

  @Test("a full disk is said, and nothing is left")
  func fullDisk() throws {
    try shell(
      """
      mkdir d; mount -t tmpfs -o size=1m none d || exit 1
      $P d/t.dat 60000 sched:sched_switch; ls d; ls $I
      """
    ) { output, _ in
      #expect(output.hasPrefix("error: there is too little room for d/t.dat: the disk is full\n"))
      #expect(!output.contains("ptrauth-trace-") && !output.contains("\nt.dat"))
    }
  }

  @Test("somebody else fills the disk: what fits is written, or that it does not is said")
  func filledDisk() throws {
    try shell(
      """
      mkdir d; mount -t tmpfs -o size=48m none d || exit 1
      $P d/t.dat 60000 sched:sched_switch sh -c 'sleep 0.3; cat /dev/zero > d/other; sleep 60' 2> /dev/null
      rm d/other; ls d; ls $I
      """
    ) { output, _ in
      // Whoever of the two is faster.
      let isWritten = output.contains(" true lowSpace\n")
      let isSaid =
        output.hasPrefix("error: d/t.dat.") && output.contains("No space left on device\n")
      #expect(isWritten != isSaid, "\(output)")
      #expect(output.contains("\nt.dat\n") == isWritten)
      #expect(!output.contains("ptrauth-trace-"))
      #expect(!output.contains("\nt.dat.cpu") && !output.contains("\nt.dat.unfinished"))
    }
  }

  @Test("the exit code is COMMAND's, and that of no other end")
  func exitCode() {
    #expect(Record.code(of: .command(0)) == nil)
    #expect(Record.code(of: .command(7))?.rawValue == 7)
    #expect(Record.code(of: .command(137))?.rawValue == 137)
    for end in [Capture.End.signal, .duration, .lowSpace] { #expect(Record.code(of: end) == nil) }
  }

  @Test("the line of progress: rate, size, losses")
  func progress() {
    var before = Capture.Status()
    var now = Capture.Status()
    before.milliseconds = 1000
    before.counters.read = 500
    now.milliseconds = 3000
    now.counters.read = 2500
    now.counters.lost = 7
    now.bytes = 10240
    #expect(RecordProgress.line(now, since: before) == "3 s: 1000 events/s, 10 KiB, 7 lost")
    #expect(RecordProgress.line(now, since: now) == nil)
  }

  @Test("on a machine of another architecture the command says so in a sentence")
  func otherArchitecture() throws {
    let machine = try Program.run("uname", ["-m"]).output
    if machine == "aarch64\n" { return }
    let run = try Program.run(Program.command, ["record", "-o", "/nowhere/t.dat"])
    #expect(run.code == 2)
    #expect(run.errors.hasPrefix("ptrauth-trace: this is no arm64 KVM host: "))
    #expect(run.errors.split(separator: "\n").count == 1)
  }
}
