import Ptrauth
package import Replay

/// One recording's part of what `analyze --format jsonl` wrote, read back as the picture it is of.
public struct SavedTimeline: Sendable {
  /// The recording; nil: the lines end before they name it.
  public private(set) var path: String?
  public private(set) var picture: TimelinePicture
  /// Its last line; nil: it was cut.
  let verdict: SavedObject?
  /// As far as lines tell them: without evidence.
  let findings: [Finding]
  package let vcpus: [Analysis.VCPU]

  /// All that `lines` hold, one for each recording.
  public static func read(_ lines: [UInt8]) throws(SavedFault) -> [SavedTimeline] {
    var timelines: [SavedTimeline] = []
    var reading = Reading()
    for (number, line) in lines.split(separator: UInt8(ascii: "\n")).enumerated() {
      let json: JSONValue
      do throws(JSONValue.Fault) { json = try JSONValue(Array(line)) } catch {
        // The last line of a file that is cut.
        if line.endIndex == lines.endIndex { break }
        throw SavedFault(
          description: "line \(number + 1), byte \(error.offset + 1): this is no JSON")
      }
      let saved = SavedObject(value: json, place: "line \(number + 1): ")
      switch try saved.text("type") {
      case "timeline":
        let schema = try saved.text("schema")
        guard schema == JSONFormat.lines.name else {
          throw SavedFault(
            description: "schema is \(schema); this version shows \(JSONFormat.lines.name): "
              + "write the timeline again")
        }
      case "recording":
        if !reading.isEmpty { timelines.append(reading.finish()) }
        reading = Reading()
        reading.path = try saved.text("path")
      case "verdict":
        reading.verdict = saved
        reading.path = try saved.text("path")
        timelines.append(reading.finish())
        reading = Reading()
      default: reading.add(try TimelineEntry(saved))
      }
    }
    if !reading.isEmpty { timelines.append(reading.finish()) }
    return timelines
  }

  /// Lines of one recording, as they come.
  private struct Reading {
    var path: String?
    var verdict: SavedObject?
    private var collector = TimelineCollector()
    private var findings: [Finding] = []
    private var vcpus: [Analysis.VCPU] = []
    /// Where they are: by pointer, and by thread; a recording can have as many as lines.
    private var byPointer: [UInt64: Int] = [:]
    private var byThread: [Int32: Int] = [:]
    private var found: [Set<VCPUIdentity>] = []
    private var count = 0

    var isEmpty: Bool { path == nil && count == 0 }

    mutating func add(_ entry: TimelineEntry) {
      count += 1
      collector.add(entry)
      switch entry {
      case .run(let run): note(run.vcpu, run.tid) { $0.runs += 1 }
      case .load(let vcpu, let at, _): note(vcpu, at.tid) { $0.loads += 1 }
      case .finding(let rule, let level, let vcpu, let at):
        let index =
          findings.firstIndex { $0.rule == rule && $0.level == level } ?? findings.count
        if index == findings.count {
          findings.append(
            Finding(
              reported: rule, level, count: 0, first: at, last: at, statement: rule.title))
          found.append([])
        }
        findings[index].count += 1
        findings[index].last = at
        if let vcpu, found[index].insert(vcpu).inserted {
          findings[index].vcpus.append((identity: vcpu, count: 1))
        }
      default: break
      }
    }

    private mutating func note(
      _ vcpu: VCPUIdentity, _ tid: Int32, _ change: (inout Counters) -> Void
    ) {
      let index =
        (vcpu.pointer.map { byPointer[$0] } ?? byThread[tid]) ?? vcpus.count
      if index == vcpus.count {
        if let pointer = vcpu.pointer { byPointer[pointer] = index }
        if let thread = vcpu.thread, byThread[thread] == nil { byThread[thread] = index }
        vcpus.append(
          Analysis.VCPU(
            reported: vcpu, tid: tid, pid: -1, feature: .unknown, counters: Counters()))
      }
      change(&vcpus[index].counters)
    }

    consuming func finish() -> SavedTimeline {
      SavedTimeline(
        path: path, picture: collector.finish(), verdict: verdict, findings: findings.worstFirst,
        vcpus: vcpus.sorted {
          ($0.identity.number ?? .max, $0.tid) < ($1.identity.number ?? .max, $1.tid)
        })
    }
  }
}

extension TimelineEntry {
  /// A line that is neither the first nor the last.
  fileprivate init(_ saved: SavedObject) throws(SavedFault) {
    let identity = saved.identity(saved.value["vcpu"].address == nil ? .thread : .probe)
    func moment() throws(SavedFault) -> Moment {
      Moment(
        time: try saved.number("time"), cpu: try saved.number("cpu"), tid: try saved.number("tid"))
    }
    switch try saved.text("type") {
    case "run":
      self = .run(
        Run(
          vcpu: identity, tid: try saved.number("tid"), pid: -1, cpu: try saved.number("cpu"),
          enter: try saved.number("enter"), exit: saved.numberOrNull("exit"),
          ret: saved.textOrNull("ret").flatMap(exceptionCode), ec: saved.numberOrNull("ec"),
          atEntry: saved.bits(0), atExit: saved.bits(1)))
    case "load": self = .load(identity, try moment(), isImplied: try saved.flag("implied"))
    case "put": self = .put(identity, try moment(), isImplied: try saved.flag("implied"))
    case "trap":
      let answers: [TrapAnswer] = [.enabled, .undefined, .notEnabled]
      self = .trap(
        identity, try moment(), try saved.trap(),
        answer: answers.first { $0.word == saved.textOrNull("answer") } ?? .unknown)
    case "loss":
      self = .loss(try moment(), since: try saved.number("since"), count: try saved.number("count"))
    case "finding":
      let isOfVCPU = saved.value["vcpu"].text != nil || saved.value["vcpuId"].whole(Int.self) != nil
      self = .finding(
        try saved.rule(), try saved.one("level", of: [.proved, .static, .suspected]) { $0.word },
        isOfVCPU ? identity : nil, try moment())
    case let other:
      throw SavedFault(
        description: "\(saved.place)type is \"\(other)\", which this version does not know")
    }
  }
}

extension SavedObject {
  /// API and APK at one end of a run.
  fileprivate func bits(_ end: Int) -> KnownBits {
    func item(_ name: String) -> JSONValue? {
      guard let list = value[name].list, list.indices.contains(end) else { return nil }
      return list[end]
    }
    func bit(_ name: String) -> Bit {
      switch item(name)?.whole(Int.self) {
      case 0: .clear
      case 1: .set
      default: .unknown
      }
    }
    let bases: [Basis] = [.observed, .implied, .unknown]
    return KnownBits(
      EnableBits(api: bit("api"), apk: bit("apk")),
      bases.first { $0.word == item("basis")?.text } ?? .unknown)
  }

  fileprivate func trap() throws(SavedFault) -> PtrauthTrap {
    guard let name = textOrNull("register") else { return .instruction }
    guard let register = KeyRegister.allCases.first(where: { $0.name == name }) else {
      throw SavedFault(description: "\(place)register is \"\(name)\", no key register")
    }
    return .register(KeyRegisterAccess(register: register, isWrite: try flag("write")))
  }
}

/// The inverse of ``exceptionName(_:)``.
private func exceptionCode(_ name: String) -> Int32? {
  for known: Int32 in [0, 1, 2, 0xbadca11] where exceptionName(known) == name { return known }
  guard name.hasPrefix("0x") else { return nil }
  return UInt32(name.dropFirst(2), radix: 16).map { Int32(bitPattern: $0) }
}
