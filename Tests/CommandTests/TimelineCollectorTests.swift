import Ptrauth
import Replay
import Report
import Testing

/// The picture says what the timeline said, however it was cut.
struct TimelineCollectorTests {
  private struct Random {
    var state: UInt64
    mutating func next(_ below: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % below
    }
  }

  private func vcpu(_ number: Int32) -> VCPUIdentity {
    VCPUIdentity(pointer: 0x1000 + UInt64(number), number: number, kind: .probe)
  }

  private func run(_ number: Int32, cpu: Int32, _ enter: UInt64, _ exit: UInt64, _ bits: EnableBits)
    -> TimelineEntry
  {
    let known = KnownBits(bits, .observed)
    return .run(
      Run(
        vcpu: vcpu(number), tid: number + 10, pid: 1, cpu: cpu, enter: enter, exit: exit, ret: 2,
        ec: 1, atEntry: known, atExit: known))
  }

  /// Time per state is conserved to the nanosecond, whatever the order and the width of slices.
  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func timeIsConserved(seed: UInt64) {
    var random = Random(state: seed)
    var collector = TimelineCollector()
    var expected: [EnableBits: UInt64] = [:]
    var entries: [TimelineEntry] = []
    for number in 0..<Int32(3) {
      var time = 1_000_000_000 + random.next(1000)
      for _ in 0..<400 {
        time += random.next(random.next(10) == 0 ? 5_000_000_000 : 100_000)
        let length = random.next(random.next(20) == 0 ? 3_000_000_000 : 3000)
        let bits = [EnableBits.clear, .set, .unknown][Int(random.next(3))]
        entries.append(run(number, cpu: number, time, time + length, bits))
        expected[bits, default: 0] += length
        time += length
      }
    }
    // Not in order, as the replay says things when it knows them.
    for i in entries.indices { entries.swapAt(i, Int(random.next(UInt64(entries.count)))) }
    for entry in entries { collector.add(entry) }
    let picture = collector.finish()
    for lanes in [picture.vcpus.map(\.lane), picture.cpus.map(\.lane)] {
      for (bits, state) in [(EnableBits.clear, 0), (.set, 1), (.unknown, 3)] {
        var sum: UInt64 = 0
        for lane in lanes { for slice in lane.slices { sum += slice.time[state] } }
        #expect(sum == expected[bits, default: 0])
      }
      var runs: UInt32 = 0
      for lane in lanes { for slice in lane.slices { runs += slice.count[0] } }
      #expect(runs == 1200)
      for lane in lanes {
        for slice in lane.slices where !slice.isEmpty {
          var busy: UInt64 = 0
          for state in 0..<4 { busy += slice.time[state] }
          #expect(busy <= picture.sliceWidth, "no slice holds more than its width")
        }
      }
    }
  }

  /// A run lies in the slices that it covers.
  @Test func placesAreRight() throws {
    var collector = TimelineCollector()
    for i in 0..<UInt64(64) {
      collector.add(run(0, cpu: 0, 1_000_000 + i * 1_000_000, 1_400_000 + i * 1_000_000, .set))
    }
    let picture = collector.finish()
    let lane = try #require(picture.vcpus.first).lane
    for (i, slice) in lane.slices.enumerated() where slice.time[1] > 0 {
      let begin = picture.origin + UInt64(i) * picture.sliceWidth
      let end = begin + picture.sliceWidth
      let covered = (0..<UInt64(64)).reduce(0 as UInt64) { sum, k in
        let from = max(begin, 1_000_000 + k * 1_000_000)
        let to = min(end, 1_400_000 + k * 1_000_000)
        return sum + (to > from ? to - from : 0)
      }
      #expect(slice.time[1] == covered)
    }
  }

  /// Where marks are said to be whole, every one is there.
  @Test func wholeIsWhole() {
    var collector = TimelineCollector()
    var begins: [UInt64] = []
    for i in 0..<UInt64(150_000) {
      let begin = 1000 + i * 5000
      collector.add(run(Int32(i % 4), cpu: 0, begin, begin + 3000, i % 3 == 0 ? .set : .clear))
      begins.append(begin)
      if i == 90_000 || i == 140_000 {
        collector.add(
          .finding(
            i == 90_000 ? .staleEnable : .bitsDiffer, .proved, vcpu(0),
            Moment(time: begin, cpu: 0, tid: 10)))
      }
    }
    let picture = collector.finish()
    #expect(picture.marks.count < 60_000)
    #expect(picture.whole.count == 3)
    for range in picture.whole {
      let kept = picture.marks.filter { range.contains($0.begin) }.map(\.begin)
      #expect(kept == begins.filter { range.contains($0) })
      #expect(kept.count > 1000)
    }
    #expect(picture.marks.allSatisfy { mark in picture.whole.contains { $0.contains(mark.begin) } })
    #expect(picture.flags.count == 2)
  }

  /// A vCPU known by its thread first keeps its lane when its pointer is learnt.
  @Test func aLaneOutlivesItsName() {
    var collector = TimelineCollector()
    let at = Moment(time: 1000, cpu: 0, tid: 7)
    collector.add(.load(VCPUIdentity(thread: 7, kind: .thread), at, isImplied: true))
    collector.add(
      .put(
        VCPUIdentity(pointer: 9, number: 3, thread: 7, kind: .probe),
        Moment(time: 2000, cpu: 0, tid: 7),
        isImplied: false))
    let picture = collector.finish()
    #expect(picture.vcpus.count == 1 && picture.vcpus.first?.identity.pointer == 9)
    #expect(picture.vcpus.first?.lane.slices.reduce(0) { $0 + $1.time[4] } == 1000)
  }

  /// Lanes take slices from one another, and too many are counted instead.
  @Test func manyLanes() {
    var collector = TimelineCollector()
    for number in 0..<Int32(2000) {
      collector.add(
        run(number, cpu: number % 64, 1000 + UInt64(number), 1500 + UInt64(number), .set))
    }
    let picture = collector.finish()
    #expect(picture.vcpus.count + picture.cpus.count == TimelineCollector.laneLimit)
    #expect(picture.lanesLeftOut > 0)
    let slices = picture.vcpus.reduce(0) { $0 + $1.lane.slices.count }
    #expect(slices <= TimelineCollector.sliceBudget + TimelineCollector.laneLimit)
  }
}
