import Glibc
import Trace

/// Builds a perf.data in memory, right or wrong.
struct PerfDataBuilder {
  struct Attribute {
    var type: UInt32 = 2
    var config: UInt64
    var sampleType: UInt64
    var readFormat: UInt64 = 0
    var period: UInt64 = 1
    var branchSampleType: UInt64 = 0
    var registers: UInt64 = 0
    /// `sample_id_all`.
    var flags: UInt64 = 1 << 18
    var ids: [UInt64] = []
  }

  enum Sample {
    static let ip: UInt64 = 1
    static let tid: UInt64 = 1 << 1
    static let time: UInt64 = 1 << 2
    static let addr: UInt64 = 1 << 3
    static let read: UInt64 = 1 << 4
    static let callchain: UInt64 = 1 << 5
    static let id: UInt64 = 1 << 6
    static let cpu: UInt64 = 1 << 7
    static let period: UInt64 = 1 << 8
    static let streamID: UInt64 = 1 << 9
    static let raw: UInt64 = 1 << 10
    static let branchStack: UInt64 = 1 << 11
    static let userRegisters: UInt64 = 1 << 12
    static let weight: UInt64 = 1 << 14
    static let dataSource: UInt64 = 1 << 15
    static let identifier: UInt64 = 1 << 16
    static let physicalAddress: UInt64 = 1 << 19
    static let cgroup: UInt64 = 1 << 21
    static let usual = ip | tid | time | cpu | period | raw
  }

  var attributeSize = 128
  var attributes: [Attribute] = []
  var records = ByteWriter()
  var formats: [(system: String, text: String)] = [
    ("kvm", Formats.entry), ("kvm", Formats.exit), ("ptrauth", Formats.probe),
  ]
  var hasFeatures = true
  /// More of them, of features above 4, in order.
  var sections: [(feature: Int, bytes: [UInt8])] = []

  mutating func record(_ type: UInt32, misc: UInt16 = 0, _ body: [UInt8]) {
    var record = ByteWriter()
    record.add(type)
    record.add(misc)
    record.add(UInt16(8 + body.count))
    record.add(body)
    records.add(record.bytes)
  }

  /// What a sample says about executed instructions.
  struct Execution {
    var ip: UInt64 = 0xffff_8000_0000_0000
    var addr: UInt64 = 0
    /// The newest first.
    var branches: [TakenBranch] = []
    /// What stands behind the branch stack.
    var tail: [UInt8] = []
  }

  mutating func finishRound() { record(RecordKind.finishedRound, []) }

  /// A sample of `attribute` with the fields its sample type asks for.
  mutating func sample(
    _ attribute: Attribute, id: UInt64 = 0, time: UInt64, cpu: UInt32 = 0, tid: UInt32 = 7,
    read: [UInt8] = [], callchain: [UInt64] = [], raw: [UInt8] = [],
    execution: Execution = Execution(), misc: UInt16 = 0
  ) {
    record(
      RecordKind.sample, misc: misc,
      Self.sampleBody(
        attribute, id: id, time: time, cpu: cpu, tid: tid, read: read, callchain: callchain,
        raw: raw, execution: execution))
  }

  static func sampleBody(
    _ attribute: Attribute, id: UInt64 = 0, time: UInt64, cpu: UInt32 = 0, tid: UInt32 = 7,
    read: [UInt8] = [], callchain: [UInt64] = [], raw: [UInt8],
    execution: Execution = Execution()
  ) -> [UInt8] {
    let type = attribute.sampleType
    var body = ByteWriter()
    if type & Sample.identifier != 0 { body.add(id) }
    if type & Sample.ip != 0 { body.add(execution.ip) }
    if type & Sample.tid != 0 {
      body.add(UInt32(5))
      body.add(tid)
    }
    if type & Sample.time != 0 { body.add(time) }
    if type & Sample.addr != 0 { body.add(execution.addr) }
    if type & Sample.id != 0 { body.add(id) }
    if type & Sample.streamID != 0 { body.add(UInt64(99)) }
    if type & Sample.cpu != 0 {
      body.add(cpu)
      body.add(UInt32(0))
    }
    if type & Sample.period != 0 { body.add(UInt64(1)) }
    body.add(read)
    if type & Sample.callchain != 0 {
      body.add(UInt64(callchain.count))
      for address in callchain { body.add(address) }
    }
    if type & Sample.raw != 0 {
      var padded = raw
      while (4 + padded.count) % 8 != 0 { padded.append(0) }
      body.add(UInt32(padded.count))
      body.add(padded)
    }
    if type & Sample.branchStack != 0 {
      body.add(UInt64(execution.branches.count))
      if attribute.branchSampleType & BranchStack.hardwareIndex != 0 { body.add(UInt64.max) }
      for branch in execution.branches {
        body.add(branch.from)
        body.add(branch.to)
        body.add(UInt64(1 << 1))
      }
    }
    body.add(execution.tail)
    return body.bytes
  }

  /// The whole file.
  func bytes() -> [UInt8] {
    var file = ByteWriter()
    file.add(Array("PERFILE2".utf8))
    file.add(UInt64(104))
    file.add(UInt64(attributeSize + 16))
    for _ in 0..<10 { file.add(UInt64(0)) }
    var idPlaces: [Int] = []
    for attribute in attributes {
      idPlaces.append(file.bytes.count)
      for id in attribute.ids { file.add(id) }
    }
    file.set(UInt64(file.bytes.count), at: 24)
    file.set(UInt64(attributes.count * (attributeSize + 16)), at: 32)
    for (number, attribute) in attributes.enumerated() {
      var attr = ByteWriter()
      attr.add(attribute.type)
      attr.add(UInt32(attributeSize))
      attr.add(attribute.config)
      attr.add(attribute.period)
      attr.add(attribute.sampleType)
      attr.add(attribute.readFormat)
      attr.add(attribute.flags)
      if attributeSize >= 88, attribute.branchSampleType | attribute.registers != 0 {
        while attr.bytes.count < 72 { attr.add(UInt8(0)) }
        attr.add(attribute.branchSampleType)
        attr.add(attribute.registers)
      }
      while attr.bytes.count < attributeSize { attr.add(UInt8(0)) }
      file.add(attr.bytes)
      file.add(UInt64(idPlaces[number]))
      file.add(UInt64(attribute.ids.count * 8))
    }
    file.set(UInt64(file.bytes.count), at: 40)
    file.set(UInt64(records.bytes.count), at: 48)
    file.add(records.bytes)
    guard hasFeatures else { return file.bytes }
    file.set(sections.reduce(1 << 1 | 1 << 4) { $0 | 1 << UInt64($1.feature) }, at: 72)
    let table = file.bytes.count
    let all = [tracingData(), release()] + sections.map(\.bytes)
    for _ in 0..<2 * all.count { file.add(UInt64(0)) }
    for (number, section) in all.enumerated() {
      file.set(UInt64(file.bytes.count), at: table + number * 16)
      file.set(UInt64(section.count), at: table + number * 16 + 8)
      file.add(section)
    }
    return file.bytes
  }

  private func release() -> [UInt8] {
    var section = ByteWriter()
    section.add(UInt32(64))
    section.text("6.1.0-built")
    while section.bytes.count < 68 { section.add(UInt8(0)) }
    return section.bytes
  }

  private func tracingData() -> [UInt8] {
    var data = ByteWriter()
    data.add([0x17, 0x08, 0x44])
    data.add(Array("tracing".utf8))
    data.text("0.6")
    data.add([0, 8])
    data.add(UInt32(4096))
    data.add(Formats.headers(longSize: 8))
    data.add(UInt32(0))
    data.add(UInt32(formats.count))
    for format in formats {
      data.text(format.system)
      data.add(UInt32(1))
      data.add(UInt64(format.text.utf8.count))
      data.add(Array(format.text.utf8))
    }
    for _ in 0..<4 { data.add(UInt32(0)) }
    return data.bytes
  }
}

/// A file that is there as long as the value.
final class TemporaryFile {
  let path: String

  init(_ bytes: [UInt8]) {
    var template = Array("/tmp/perfdata-test-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  deinit { _ = unsafe unlink(path) }

  /// A path where nothing is.
  static func freePath() -> String {
    let path = TemporaryFile([]).path
    return path + "-free"
  }
}

/// What reading a built file gives.
struct Outcome {
  var events: [Event] = []
  var recording: Recording
  var losses: Losses

  init(_ bytes: [UInt8]) throws(TraceError) {
    let file = TemporaryFile(bytes)
    var reader = try PerfDataFile(path: file.path)
    var events: [Event] = []
    try reader.readEvents { event in events.append(copy event) }
    self.events = events
    recording = reader.recording
    losses = reader.losses
  }

  /// Program counters of the kvm_entry events, in the order delivered.
  var programCounters: [UInt64] {
    events.compactMap { if case .entry(let pc) = $0.payload { pc } else { nil } }
  }
}
