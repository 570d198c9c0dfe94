import Bytes
import Ptrauth
import Testing

/// What the CPU did, from the log of an instrumented emulator: a line for every entry to and exit from
/// a guest, with the live HCR_EL2. Nobody here computes it; see traces/README.md.
struct GroundTruth {
  struct Run {
    /// Nanoseconds of the log's counter (16 ns a count).
    var time: Int64
    var atEntry: EnableBits
    var atExit: EnableBits
  }
  /// By struct kvm_vcpu pointer, in time order.
  var runs: [UInt64: [Run]] = [:]
  var count: Int { runs.values.reduce(0) { $0 + $1.count } }

  /// A run is everything between a `__guest_enter` and the vCPU's next handle_exit or put: its bits are
  /// those of the first entry and of the last exit.
  init(log: [UInt8]) {
    var open: [UInt64: Run] = [:]
    var onCPU: [UInt64: UInt64] = [:]
    for line in log.split(separator: UInt8(ascii: "\n")) {
      let fields = Self.fields(line)
      guard let event = fields["ev"], let cpu = fields["cpu"].flatMap({ UInt64($0) }),
        let count = fields["cnt"].flatMap({ Int64($0) }),
        let hcr = fields["hcr"].flatMap({ UInt64($0, radix: 16) })
      else { continue }
      let bits = EnableBits(hcr: hcr)
      switch event {
      case "__guest_enter":
        guard let vcpu = fields["x0"].flatMap({ UInt64($0, radix: 16) }) else { continue }
        onCPU[cpu] = vcpu
        if open[vcpu] == nil { open[vcpu] = Run(time: count * 16, atEntry: bits, atExit: bits) }
        open[vcpu]?.atExit = bits
      case "EXIT":
        if let vcpu = onCPU[cpu] { open[vcpu]?.atExit = bits }
      case "handle_exit", "kvm_arch_vcpu_put":
        guard let vcpu = fields["x0"].flatMap({ UInt64($0, radix: 16) }) else { continue }
        if let run = open.removeValue(forKey: vcpu) { runs[vcpu, default: []].append(run) }
      default: break
      }
    }
    for (vcpu, run) in open { runs[vcpu, default: []].append(run) }
  }

  /// The few fields of a line that matter: `SEQ cpu=1 cnt=2 ev=EXIT hcr=.. ..`.
  private static func fields(_ line: ArraySlice<UInt8>) -> [String: String] {
    var result: [String: String] = [:]
    for word in line.split(separator: UInt8(ascii: " "), maxSplits: 8) {
      guard let equals = word.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let name = String(decoding: word[..<equals], as: UTF8.self)
      guard ["cpu", "cnt", "ev", "hcr", "x0"].contains(name) else { continue }
      result[name] = String(decoding: word[(equals + 1)...], as: UTF8.self)
    }
    return result
  }
}
