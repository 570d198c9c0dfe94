import Ptrauth
import Replay
import Report
import Trace

/// A long recording written by hand: every load interval of every vCPU holds four runs, the first of which
/// traps and enables; so long that no real one is at hand.
struct SyntheticRecording {
  var runs: Int
  var vcpus = 8
  var cpus = 4
  /// Every so many runs one enters with the bits still set after a load.
  var faultEvery = 50_000

  static func address(_ function: KernelFunction) -> UInt64 {
    0xffff_8000_0800_0000 + UInt64(KernelFunction.allCases.firstIndex(of: function) ?? 0) * 0x1000
  }

  private var configuration: Replayer.Configuration {
    var configuration = Replayer.Configuration()
    configuration.generation = .g2
    configuration.kernelUsesPointerAuth = false
    configuration.recordedEvents = ["kvm_entry", "kvm_exit"].map {
      RecordedEvent(system: "kvm", name: $0, isProbe: false, fields: [])
    }
    configuration.recordedEvents.append(
      RecordedEvent(
        system: "ptrauth", name: "p", isProbe: true,
        fields: ["vcpu", "cpu", "vcpu_id", "hcr_el2", "features"]))
    let known = Dictionary(
      uniqueKeysWithValues: KernelFunction.allCases.map { (Self.address($0), $0) })
    configuration.resolve = { known[$0] }
    return configuration
  }

  /// Replays it, and calls `timeline` with every entry.
  func replay(timeline: @escaping (TimelineEntry) -> Void) -> Analysis {
    var replayer = Replayer(configuration, timeline: timeline)
    var time: UInt64 = 5_000_000_000
    var made = 0
    var interval = 0
    while made < runs {
      let number = interval % vcpus
      let cpu = Int32(interval % cpus)
      let tid = Int32(101 + number)
      let pointer = 0xffff_0000_0100_0000 + UInt64(number) * 0x8000
      func add(_ payload: Event.Payload) {
        time += 900
        replayer.consume(Event(time: time, cpu: cpu, pid: 100, tid: tid, payload: payload))
      }
      func probe(_ function: KernelFunction, hcr: UInt64) {
        var fields = ProbeFields()
        fields.vcpu = pointer
        fields.vcpuID = Int32(number)
        fields.hcr = hcr
        fields.features = 0x64
        if function == .vcpuLoad { fields.cpu = cpu }
        add(.probe(ProbeHit(address: Self.address(function), isReturn: false, fields: fields)))
      }
      let enabled = EnableBits.apiMask | EnableBits.apkMask
      probe(.vcpuLoad, hcr: 0)
      for run in 0..<4 {
        let isFault = run == 0 && made > 0 && made % faultEvery < 4
        let hcr = run == 0 && !isFault ? 0 : enabled
        probe(.flush, hcr: hcr)
        add(.entry(pc: 0x4000_0000))
        time += UInt64(2000 + (made &* 7919) % 9000)
        add(.exit(ret: 2, ec: run == 0 && !isFault ? 9 : 0x24, pc: 0x4000_0010))
        if run == 0, !isFault { probe(.ptrauthTrap, hcr: 0) }
        made += 1
      }
      probe(.vcpuPut, hcr: enabled)
      time += 5000
      interval += 1
    }
    return replayer.finish()
  }

  /// Its document, with its picture.
  var document: Document {
    var collector = TimelineCollector()
    let analysis = replay { collector.add($0) }
    var document = Document(
      recording: RecordingFacts(
        path: "synthetic.data", format: "perf.data file mode", byteCount: 1, clock: "perf"),
      kernel: KernelFacts(match: "synthetic", generation: .g2, generationBasis: "--generation"),
      analysis: analysis)
    document.picture = collector.finish()
    return document
  }
}
