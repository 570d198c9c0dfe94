import ArgumentParser
import FoundationEssentials
import Glibc
import KernelImage
import Ptrauth
import Regression
import Replay
import Report
import Testing
import Trace
import ptrauth_trace

/// Passes counted from samples of branches, of instructions, and from branch stacks, made of a run whose every
/// block is known.
struct InstructionSampleTests {
  static var image: KernelImage? { try? KernelImage(path: SwitchTrace.vmlinux) }
  static let excluded = try? SwitchTrace(#require(image), guest: .excluded)

  private func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
    let path = "/tmp/ptrauth-trace-samples-out-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    defer { unsafe unlink(path) }
    let command = try Analyze.parse(arguments + ["-q", "-o", path])
    var code: Int32 = 0
    do { try command.run() } catch let exit as ExitCode { code = exit.rawValue }
    return (code, String(decoding: Corpus.bytes(path), as: UTF8.self))
  }

  private struct Shape: Decodable {
    struct Passes: Decodable {
      struct Counts: Decodable {
        var calls, bailOuts, entries, exits, switchedEntries, switchedExits: UInt64
        var partialSwitches, reads, writes: UInt64
      }
      var event: String
      var complete: Bool
      var certainty: String
      var reasons: [String]
      var total: Counts
      var cpus: [Counts]
    }
    var verdict: String
    var passes: Passes?
  }

  private func passes(_ path: String, _ more: [String] = []) throws -> Shape.Passes {
    let (code, text) = try run([path, "-k", SwitchTrace.vmlinux, "--format", "json"] + more)
    #expect(code == 2, "no rule can be judged")
    let shape = try JSONDecoder().decode(Shape.self, from: Data(text.utf8))
    #expect(shape.verdict == "unusable")
    return try #require(shape.passes)
  }

  /// The counts that grep makes of the log (InstructionLogTests): 904 calls, 885 entries, 168 switches.
  private func expectTheRun(_ passes: Shape.Passes, _ trace: SwitchTrace) {
    let total = passes.total
    #expect(passes.certainty == "exactly" && passes.complete && passes.reasons == [])
    #expect(total.calls == trace.calls && total.entries == trace.entries)
    #expect(total.switchedEntries == trace.switchedIn && total.switchedExits == trace.switchedOut)
    #expect(total.writes == (trace.switchedIn + trace.switchedOut) * 10)
    #expect(total.reads == trace.switchedOut * 10 && total.partialSwitches == 0)
    #expect(passes.cpus.count == 2)
  }

  private static func branchFile(_ trace: SwitchTrace, slide: UInt64 = 0) -> SampleFile {
    // PERF_COUNT_HW_BRANCH_INSTRUCTIONS, as `perf inject --itrace=b` writes it.
    var file = SampleFile(config: 4, SampleFile.addr)
    file.text = file.text.map { $0 &+ slide }
    for step in trace.steps {
      file.sample(
        ip: step.branch.from, addr: step.branch.to, cpu: step.cpu, isGuest: step.isGuest)
    }
    return file
  }

  /// What `perf script` reads in the file is what was written.
  private func expectPerfReads(_ path: String, _ fields: String, _ lines: [String]) {
    /// Later versions say more of a branch than where it was and went.
    func places(_ line: some StringProtocol) -> String {
      line.split(separator: " ").filter { $0 != "=>" }.map { word in
        word.split(separator: "/").prefix(2).joined(separator: "/")
      }.joined(separator: " ")
    }
    let found = Tool.lines("perf script -i '\(path)' -F \(fields) </dev/null").map(places)
    #expect(found.count == lines.count)
    #expect(found == lines.map(places))
  }

  private static func hex(_ number: UInt64) -> String { String(number, radix: 16) }

  @Test(arguments: [0, 0x12_3000_0000 as UInt64])
  func branches(slide: UInt64) throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .excluded, slide: slide)
    #expect(trace.switchedIn == 168 && trace.switchedOut == 168)
    #expect(trace.calls == 904 && trace.entries == 885)
    try Self.branchFile(trace, slide: slide).write { path in
      if slide == 0 {
        expectPerfReads(
          path, "ip,addr",
          trace.steps.map { "\(Self.hex($0.branch.from)) \(Self.hex($0.branch.to))" })
      }
      expectTheRun(try passes(path), trace)
      let (code, text) = try run([path, "-k", SwitchTrace.vmlinux])
      #expect(code == 2)
      #expect(text.contains("nothing else can be judged"))
      #expect(text.contains("Exactly 168 passes of 885 switched keys (5040 register accesses)."))
    }
  }

  /// The guest's branches are in the trace; one of its addresses is __guest_enter's.
  @Test func branchesWithTheGuests() throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .traced, limit: 4000)
    try Self.branchFile(trace).write { expectTheRun(try passes($0), trace) }
  }

  @Test func instructions() throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .unseen, limit: 2500)
    #expect(trace.switchedIn > 15)
    var file = SampleFile(config: 1)
    let list = trace.instructions
    for (cpu, address) in list { file.sample(ip: address, cpu: cpu) }
    try file.write { path in
      expectPerfReads(path, "ip", list.map { Self.hex($0.address) })
      expectTheRun(try passes(path), trace)
    }
    // Some of them: what is seen was there.
    var some = SampleFile(config: 1)
    some.period = 23
    for (index, step) in list.enumerated() where index % 23 == 0 {
      some.sample(ip: step.address, cpu: step.cpu)
    }
    try some.write { path in
      let passes = try passes(path)
      #expect(passes.certainty == "at least" && !passes.complete)
      #expect(passes.total.switchedEntries <= trace.switchedIn && passes.total.switchedEntries > 0)
      #expect(passes.total.calls <= trace.calls && passes.total.exits <= trace.entries)
      #expect(try run([path, "-k", SwitchTrace.vmlinux]).output.contains("At least "))
    }
  }

  @Test func stacks() throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .excluded, limit: 4000)
    // The last 32 branches, now after 7 more, now after 90: they overlap, or leave some out.
    for (pace, kinds, isAll) in [(7, 1 << 3, true), (90, 1 << 3, false), (7, 1 << 4, false)] {
      var file = SampleFile(config: 0, SampleFile.branchStack)
      file.period = 1000
      file.branchSampleType = UInt64(kinds)
      var history: [Int32: [TakenBranch]] = [:]
      var lines: [String] = []
      var seen = 0
      for (index, step) in trace.steps.enumerated() {
        // Hardware has half an entry where recording ends, and where it begins.
        history[step.cpu, default: []].append(step.branch)
        guard index % pace == pace - 1 else { continue }
        let stack = Array((history[step.cpu] ?? []).suffix(32).reversed())
        let ip = stack.first?.to ?? 0
        file.sample(ip: ip, cpu: step.cpu, stack: stack)
        seen += stack.count
        lines.append(
          ([Self.hex(ip)]
            + stack.map { "0x\(Self.hex($0.from))/0x\(Self.hex($0.to))/P/-/-/0/" })
            .joined(separator: " "))
      }
      try file.write { path in
        expectPerfReads(path, "ip,brstack", lines)
        let passes = try passes(path)
        #expect(passes.certainty == "at least")
        #expect(
          passes.total.switchedEntries <= trace.switchedIn
            && passes.total.switchedExits <= trace.switchedOut)
        #expect(passes.total.calls <= trace.calls && passes.total.exits <= trace.entries)
        if isAll {
          #expect(passes.total.switchedEntries * 10 > trace.switchedIn * 9, "\(passes.total)")
        } else if kinds == 1 << 4 {
          // Calls only: what ran between two is not known.
          #expect(passes.total.switchedEntries == 0 && passes.total.calls > 50)
        } else {
          #expect(passes.total.switchedEntries * 10 > trace.switchedIn)
        }
      }
    }
  }

  // MARK: What is missing

  private func count(
    _ trace: [SwitchTrace.Step], lossAt: Set<Int> = [], image: KernelImage,
    _ flow: inout ControlFlow?
  ) throws -> InstructionPasses? {
    let source = InstructionSource(
      number: 0, name: "branches", kind: .branches, isEvery: true, isSpeculative: false)
    let made = InstructionTally(image, slide: 0, sources: [source], flow: flow)
    var tally = try #require(made)
    var sample = InstructionSample(
      time: 0, cpu: 0, tid: 0, source: 0, mode: .kernel, content: .instruction)
    for (index, step) in trace.enumerated() {
      sample.cpu = step.cpu
      sample.tid = step.tid
      if lossAt.contains(index) {
        sample.content = .lost
        tally.take(sample)
      }
      sample.mode = step.isGuest ? .guest : .kernel
      sample.content = .branch(step.branch)
      tally.take(sample)
    }
    let found = tally.finish(InstructionTally.Shortcomings())
    flow = tally.flow
    return found
  }

  /// Branches that are missing without a word: never a wrong exact number, never a bound that is too high.
  @Test(arguments: [SwitchTrace.Guest.excluded, .traced])
  func droppedBranches(guest: SwitchTrace.Guest) throws {
    let image = try #require(Self.image)
    let trace = try SwitchTrace(image, guest: guest, limit: 2500)
    #expect(trace.switchedIn > 15)
    var flow: ControlFlow?
    let whole = try #require(try count(trace.steps, image: image, &flow))
    #expect(whole.certainty == .exactly)
    #expect(whole.total.switchedEntries == trace.switchedIn)
    #expect(whole.total.entries == trace.entries && whole.total.calls == trace.calls)
    var certainties: Set<InstructionPasses.Certainty> = []
    for seed in 0..<40 as Range<UInt64> {
      var random = SplitMix(state: seed)
      let share = [0.0003, 0.002, 0.02, 0.3][Int(seed % 4)]
      let kept =
        seed % 5 == 4
        ? Self.without(trace.steps, &random)
        : trace.steps.filter { _ in Double.random(in: 0..<1, using: &random) >= share }
      guard let found = try count(kept, image: image, &flow) else { continue }
      certainties.insert(found.certainty)
      let isSame = found.total == whole.total
      #expect(
        found.certainty != .exactly || isSame,
        "seed \(seed): exactly \(found.total.switchedEntries) of \(kept.count) branches")
      if found.certainty == .atLeast {
        #expect(InstructionPasses.switched(found.total) <= trace.switchedIn, "seed \(seed)")
      }
    }
    #expect(certainties.contains(.sample))
  }

  /// All branches of some range of addresses, as an address filter leaves them out.
  private static func without(
    _ steps: [SwitchTrace.Step], _ random: inout SplitMix
  ) -> [SwitchTrace.Step] {
    let start =
      UInt64.random(in: 0xffff_8000_0808_7498...0xffff_8000_0808_7700, using: &random) & ~3
    let range = start..<start + 0x100
    return steps.filter { !range.contains($0.branch.from) }
  }

  /// Branches that are missing where the recording says so.
  @Test func losses() throws {
    let image = try #require(Self.image)
    let trace = try SwitchTrace(image, guest: .excluded, limit: 2500)
    var flow: ControlFlow?
    for seed in 0..<15 as Range<UInt64> {
      var random = SplitMix(state: seed)
      var kept: [SwitchTrace.Step] = []
      var losses: Set<Int> = []
      var missing = 0
      for step in trace.steps {
        if missing == 0, Int.random(in: 0..<400, using: &random) == 0 {
          missing = Int.random(in: 1..<60, using: &random)
          // On both CPUs.
          losses.insert(kept.count)
        }
        if missing > 0 { missing -= 1 } else { kept.append(step) }
      }
      // A loss of both: the next step of either comes behind it.
      var doubled: Set<Int> = losses
      for place in losses where place < kept.count {
        if let other = kept[place...].firstIndex(where: { $0.cpu != kept[place].cpu }) {
          doubled.insert(other)
        }
      }
      let found = try #require(try count(kept, lossAt: doubled, image: image, &flow))
      #expect(found.certainty == .atLeast, "seed \(seed): \(found.reasons)")
      let switched = InstructionPasses.switched(found.total)
      #expect(switched <= trace.switchedIn, "seed \(seed)")
      #expect(switched * 2 > trace.switchedIn, "seed \(seed)")
    }
  }

  @Test func aLostRecordInTheFile() throws {
    let trace = try #require(Self.excluded)
    var file = SampleFile(config: 4, SampleFile.addr)
    for (index, step) in trace.steps.enumerated() {
      if index == 5000 { file.lost(cpu: step.cpu) }
      file.sample(ip: step.branch.from, addr: step.branch.to, cpu: step.cpu)
    }
    try file.write { path in
      let passes = try passes(path)
      #expect(passes.certainty == "at least")
      #expect(passes.reasons.contains { $0.contains("lost") })
      #expect(passes.total.switchedEntries <= 168 && passes.total.switchedEntries >= 166)
    }
  }

  // MARK: What cannot be used

  @Test func whatCannotBeUsedIsSaid() throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .excluded, limit: 300)
    func text(_ file: SampleFile, vmlinux: String = SwitchTrace.vmlinux) throws -> String {
      try file.write { path in
        let (code, text) = try run([path, "-k", vmlinux])
        #expect(code == 2)
        return text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
      }
    }
    var file = Self.branchFile(trace)
    file.text = nil
    #expect(try text(file).contains("does not say where the kernel lay"))
    // Moved, and not said to be.
    #expect(
      try text(
        Self.branchFile(
          try SwitchTrace(#require(Self.image), guest: .excluded, limit: 300, slide: 1 << 21))
      )
      .contains(
        "none of its samples of executed instructions lies in __guest_enter (0xffff800008087498): another kernel"
      ))
    var operations = SampleFile(config: 1, SampleFile.dataSource)
    for step in trace.steps { operations.sample(ip: step.branch.from, cpu: step.cpu) }
    #expect(try text(operations).contains("Statistical Profiling Extension"))
  }

  // MARK: With kvm events

  private static func passes(
    _ certainty: InstructionPasses.Certainty, switched: [Int32: UInt64]
  ) -> InstructionPasses {
    var total = PassCounts()
    let byThread = switched.mapValues { count in
      var passes = PassCounts()
      passes.switchedEntries = count
      passes.switchedExits = count
      passes.entries = count
      return passes
    }
    for passes in byThread.values { total.add(passes) }
    return InstructionPasses(
      event: "branches", certainty: certainty, reasons: [], cpus: [(0, total)], byThread: byThread,
      total: total)
  }

  /// The counts of a thread are those of the vCPU that it runs, in every report.
  @Test func countsCombine() throws {
    let original = Documents.real[0]
    let tids = original.analysis.vcpus.map { $0.runThread ?? -1 }
    let bounds = original.analysis.vcpus.map(\.counters.keySwitches)
    #expect(Set(tids).count == tids.count && bounds.contains { $0 > 0 })
    #expect(!tids.contains(-1))
    let more = Dictionary(uniqueKeysWithValues: zip(tids, bounds.map { $0 + 3 }))

    var document = original
    let exact = Self.passes(.exactly, switched: more)
    let none = document.analysis.take(exact)
    #expect(none == nil)
    document.analysis.passes = exact
    #expect(document.analysis.vcpus.map(\.counters.keySwitches) == bounds.map { $0 + 3 })
    let total = bounds.reduce(0) { $0 + $1 + 3 }
    let text = TextReport.render(document, style: Style(isColoured: false))
    #expect(text.contains("Exactly \(total) passes switched keys"))
    #expect(!text.contains("At least"))
    let json = String(decoding: JSONReport.render(document), as: UTF8.self)
    #expect(!json.contains("\"keySwitches\"\n") && json.contains("\"certainty\": \"exactly\""))
    let page = String(decoding: HTMLReport.render([.judged(document)]), as: UTF8.self)
    #expect(
      page.contains("exact, as executed instructions were recorded")
        && page.contains("<h2>Passes, by executed"))
    let csv = CountersCSV.render([TestSuite(document, failOn: .medium)])
    let records = csv.split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let column = try #require(records.first?.firstIndex(of: "key_switches_are_lower_bounds"))
    #expect(records.dropFirst().allSatisfy { $0[column] == "false" })

    // Read back by compare, the rates are no lower bounds; with another of which they are, they are.
    let path = "/tmp/ptrauth-trace-exact-\(getpid()).json"
    defer { unsafe unlink(path) }
    Corpus.write(JSONReport.render(document), to: path)
    let reports = try ReportFile.read(path)
    let known = try #require(reports)
    #expect(
      known[0].counters.keySwitches == total
        && !known[0].counters.bounds.lower.contains(.keySwitches))
    let events = Sample(name: "events", kernel: "", original.analysis)
    #expect(Comparison(base: known, new: known).rates.allSatisfy { !$0.isLowerBound })
    #expect(Comparison(base: known, new: [events]).rates.contains { $0.isLowerBound })

    // A bound raises what the events prove, and lowers nothing.
    var bounded = original.analysis
    _ = bounded.take(Self.passes(.atLeast, switched: [tids[0]: bounds[0] + 9]))
    #expect(bounded.vcpus[0].counters.keySwitches == bounds[0] + 9)
    #expect(bounded.vcpus.dropFirst().map(\.counters.keySwitches) == Array(bounds.dropFirst()))
    #expect(bounded.vcpus.allSatisfy { $0.counters.bounds.lower.contains(.keySwitches) })
    // A sample says nothing.
    var sampled = original.analysis
    _ = sampled.take(Self.passes(.sample, switched: more))
    #expect(sampled.vcpus.map(\.counters) == original.analysis.vcpus.map(\.counters))
    // "Exactly" fewer than the events prove is a contradiction.
    let index = try #require(bounds.firstIndex { $0 > 0 })
    var fewer = more
    fewer[tids[index]] = bounds[index] - 1
    var contradicted = original.analysis
    let contradiction = contradicted.take(Self.passes(.exactly, switched: fewer))
    #expect(contradiction?.contains("prove") == true)
    #expect(contradicted.vcpus.map(\.counters) == original.analysis.vcpus.map(\.counters))
    // The trace does not cover a thread's runs, or a thread ran several vCPUs.
    var partly = exact
    partly.threadsWithOtherRuns = [tids[0]]
    var covered = original.analysis
    covered.vcpus[1].runThread = nil
    let nothing = covered.take(partly)
    #expect(nothing == nil)
    #expect(covered.vcpus[0].counters.bounds.lower.contains(.keySwitches))
    #expect(covered.vcpus[0].counters.keySwitches == bounds[0] + 3)
    #expect(covered.vcpus[1].counters.bounds.lower.contains(.keySwitches))
    #expect(covered.vcpus[1].counters.keySwitches == bounds[1])
  }

  /// A run without a call of __guest_enter in the trace was not traced.
  @Test func runsThatWereNotTraced() throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .excluded, limit: 300)
    for skipped in [false, true] {
      let source = InstructionSource(
        number: 0, name: "branches", kind: .branches, isEvery: true, isSpeculative: false)
      let image = try #require(Self.image)
      let made = InstructionTally(image, slide: 0, sources: [source])
      var tally = try #require(made)
      var time: UInt64 = 0
      func event(_ tid: Int32, _ payload: Event.Payload) {
        time += 1
        tally.take(Event(time: time, cpu: tid - 1000, pid: 900, tid: tid, payload: payload))
      }
      if skipped {
        event(1001, .entry(pc: 0))
        event(1001, .exit(ret: 0, ec: 0, pc: 0))
      }
      for tid in [1000, 1001] as [Int32] { event(tid, .entry(pc: 0)) }
      for step in trace.steps {
        tally.take(
          InstructionSample(
            time: time, cpu: step.cpu, tid: step.tid, source: 0, mode: .kernel,
            content: .branch(step.branch)))
      }
      for tid in [1000, 1001] as [Int32] { event(tid, .exit(ret: 0, ec: 0, pc: 0)) }
      let result = tally.finish(InstructionTally.Shortcomings())
      let found = try #require(result)
      #expect(found.certainty == .exactly)
      #expect(found.threadsWithOtherRuns == (skipped ? [1001] : []))
      #expect(found.byThread.keys.sorted() == [1000, 1001])
    }
  }

  @Test func infoNamesTheSamples() throws {
    let trace = try SwitchTrace(#require(Self.image), guest: .excluded, limit: 300)
    try Self.branchFile(trace).write { path in
      let session = try Session(recording: path, vmlinux: SwitchTrace.vmlinux)
      let contents = try session.contents()
      let source = try #require(contents.evidence.first { $0.kind == .instructions })
      #expect(source.isThere && source.count == UInt64(trace.steps.count))
      #expect(contents.sufficiency == .no)
    }
  }

  /// As --instructions beside a recording, in place of QEMU's log.
  @Test func besideARecording() throws {
    let trace = try #require(Self.excluded)
    try Self.branchFile(trace).write { path in
      let (code, text) = try run(
        [SwitchTrace.folder + "/trace.dat", "--instructions", path, "-k", SwitchTrace.vmlinux])
      #expect(code == 0)
      #expect(text.hasPrefix("CLEAN"))
      #expect(text.contains("Exactly 168 passes of 885 switched keys (5040 register accesses)."))
      #expect(try run(["--instructions", path, "-k", SwitchTrace.vmlinux]).code == 0)
    }
  }
}
