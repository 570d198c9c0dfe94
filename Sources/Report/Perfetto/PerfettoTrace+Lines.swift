import Ptrauth
import Replay

// MARK: Lines

extension PerfettoTrace {
  mutating func slice(
    _ name: String, _ category: String, _ process: Int, _ thread: Int, _ begin: UInt64,
    _ end: UInt64, _ details: (inout JSONWriter) -> Void
  ) {
    order.add(
      begin, end - begin,
      event("X", name, category, process, thread, begin, duration: end - begin, details))
  }

  mutating func instant(
    _ name: String, _ category: String, _ process: Int, _ thread: Int, _ time: UInt64,
    _ details: (inout JSONWriter) -> Void
  ) {
    order.add(time, 0, event("i", name, category, process, thread, time, details))
  }

  mutating func event(
    _ phase: String, _ name: String, _ category: String, _ process: Int, _ thread: Int,
    _ time: UInt64, duration: UInt64? = nil, _ details: (inout JSONWriter) -> Void
  ) -> [UInt8] {
    json.clear()
    json.object { json in
      json.field("ph", phase)
      json.field("name", name)
      json.field("cat", category)
      json.field("pid", process)
      json.field("tid", thread)
      json.key("ts")
      json.number(Self.microseconds(time))
      if let duration {
        json.key("dur")
        json.number(Self.microseconds(duration))
      }
      if phase == "i" { json.field("s", "t") }
      json.key("args")
      json.object(details)
    }
    return json.bytes
  }

  static func microseconds(_ nanoseconds: UInt64) -> String {
    let fraction = String(nanoseconds % 1000)
    return "\(nanoseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }

  mutating func written(_ lines: [[UInt8]]) -> [UInt8] {
    var bytes: [UInt8] = []
    for line in lines { bytes += separated(line) }
    return bytes
  }

  mutating func separated(_ line: [UInt8]) -> [UInt8] {
    defer { isFirst = false }
    return Array((isFirst ? "\n" : ",\n").utf8) + line
  }

  /// Names of processes and threads, and their order.
  mutating func metadata() -> [[UInt8]] {
    var lines: [[UInt8]] = []
    func add(_ kind: String, _ process: Int, _ thread: Int, _ details: (inout JSONWriter) -> Void) {
      json.clear()
      json.object { json in
        json.field("ph", "M")
        json.field("name", kind)
        json.field("pid", process)
        json.field("tid", thread)
        json.key("args")
        json.object(details)
      }
      lines.append(json.bytes)
    }
    add("process_name", Self.vcpuProcess, 0) { $0.field("name", "vCPUs: API and APK") }
    add("process_name", Self.cpuProcess, 0) { $0.field("name", "pCPUs: whose keys are live") }
    for lane in vcpus.indices {
      let name = "\(self.name(lane)), tid \(vcpus[lane].tid)"
      add("thread_name", Self.vcpuProcess, lane + 1) { $0.field("name", name) }
      add("thread_sort_index", Self.vcpuProcess, lane + 1) { $0.field("sort_index", lane) }
    }
    for cpu in cpus.keys.sorted() where cpu >= 0 {
      add("thread_name", Self.cpuProcess, Int(cpu) + 1) { $0.field("name", "pCPU \(cpu)") }
      add("thread_sort_index", Self.cpuProcess, Int(cpu) + 1) { $0.field("sort_index", cpu) }
    }
    return lines
  }

  /// "VM 90 vCPU 0"; before its number is known, "VM 90 vCPU of tid 91".
  func name(_ lane: Int) -> String {
    (vcpus[lane].pid < 0 ? "" : "VM \(vcpus[lane].pid) ") + ownName(lane)
  }

  private func ownName(_ lane: Int) -> String {
    numbers.identities[lane].number.map { "vCPU \($0)" } ?? "vCPU of tid \(vcpus[lane].tid)"
  }

  func words(_ bits: EnableBits) -> String {
    func digit(_ bit: Bit) -> String { bit.value.map(String.init) ?? "?" }
    return "API=\(digit(bits.api)) APK=\(digit(bits.apk))"
  }
}
