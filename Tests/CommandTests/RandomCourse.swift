import Explorer
import Ptrauth
import Replay
import Trace

extension Course {
  /// A schedule by chance, with about as much of everything as a busy host has.
  static func random(
    in setting: Setting, length: Int, hasSErrors: Bool = false, _ random: inout SplitMix
  ) -> Course {
    var numbers = random
    defer { random = numbers }
    let classes = setting.registerClasses
    let registers = classes[Int(numbers.next() % UInt64(classes.count))]
    return Course(in: setting, of: registers, length: length) { actions in
      let weights = actions.map { action in
        if hasSErrors, case .trap(_, _, isServed: false) = action { return 20 }
        return weight(action)
      }
      var left = Int.random(in: 0..<max(1, weights.reduce(0, +)), using: &numbers)
      for (action, weight) in zip(actions, weights) {
        left -= weight
        if left < 0 { return action }
      }
      return nil
    }
  }

  private static func weight(_ action: Action) -> Int {
    switch action {
    case .switchTask: 20
    case .run, .handle: 300
    case .enter: 400
    case .interrupt: 200
    // What trapped is retried at once, unless an interrupt comes first.
    case .use: 1000
    case .trap(_, _, isServed: true): 200
    // An SError pending at the same moment.
    case .trap(_, _, isServed: false): 0
    case .leave: 60
    case .readIDRegister, .nest: 30
    case .initialize, .reset: 5
    case .readOneReg: 1
    }
  }
}

/// What somebody records of what happens: some of the probes, some of their fields, some of the tracepoints; and
/// loses some of it.
struct View: CustomStringConvertible {
  var functions = Set(KernelFunction.allCases)
  var hasShadow = true
  var hasFeatures = true
  var hasKeys = true
  var tracepoints: Set<String> = Self.allTracepoints
  var losses = 0

  static let allTracepoints: Set<String> = [
    "kvm_entry", "kvm_exit", "kvm_handle_sys_reg", "kvm_userspace_exit", "kvm_nested_eret",
    "kvm_inject_nested_exception", "sched_switch",
  ]

  static let everything = View()
  static let tracepointsOnly = View(functions: [])

  /// Entries and exits are always recorded.
  static func random(_ random: inout SplitMix) -> View {
    func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }
    var view = View()
    if chance(15) {
      view.functions = []
    } else if chance(70) {
      for function in KernelFunction.allCases where chance(30) { view.functions.remove(function) }
    }
    view.hasShadow = chance(75)
    view.hasFeatures = chance(75)
    view.hasKeys = chance(75)
    if chance(50) {
      for name in allTracepoints.subtracting(["kvm_entry", "kvm_exit"]).sorted() where chance(30) {
        view.tracepoints.remove(name)
      }
    }
    view.losses = chance(40) ? Int(random.next() % 4) : 0
    return view
  }

  var description: String {
    let without = KernelFunction.allCases.filter { !functions.contains($0) }.map(\.rawValue)
    return
      "without \(without), \(Self.allTracepoints.subtracting(tracepoints).sorted()); shadow \(hasShadow), features "
      + "\(hasFeatures), keys \(hasKeys), losses \(losses)"
  }

  /// What is in the recording.
  func events(_ all: [Event], _ random: inout SplitMix) -> [Event] {
    var events = all.compactMap(seen)
    for _ in 0..<losses where events.count > 20 {
      // Some of one pCPU's events in a row; it tells with its next one.
      let begin = Int(random.next() % UInt64(events.count))
      let cpu = events[begin].cpu
      let here = events.indices.filter { $0 >= begin && events[$0].cpu == cpu }
      let lost = here.prefix(1 + Int(random.next() % 40))
      let time =
        lost.count < here.count ? events[here[lost.count]].time : (events.last?.time ?? 0) + 1
      let count = UInt64(lost.count)
      for index in lost.reversed() { events.remove(at: index) }
      let place = events.firstIndex { $0.time >= time } ?? events.count
      events.insert(
        Event(time: time, cpu: cpu, pid: -1, tid: -1, payload: .lost(count: count)), at: place)
    }
    return events
  }

  private func seen(_ event: Event) -> Event? {
    switch event.payload {
    case .probe(let hit):
      guard
        let function = KernelFunction.allCases.first(where: {
          CourseEvents.address(of: $0) == hit.address
        }),
        functions.contains(function)
      else { return nil }
      var fields = hit.fields
      if !hasShadow { fields.hcr = nil }
      if !hasFeatures { fields.features = nil }
      if !hasKeys { (fields.guestKeys, fields.hostKeys, fields.hostContext) = (nil, nil, nil) }
      return Event(
        time: event.time, cpu: event.cpu, pid: event.pid, tid: event.tid,
        payload: .probe(ProbeHit(address: hit.address, isReturn: hit.isReturn, fields: fields)))
    case .handleSysReg: return tracepoints.contains("kvm_handle_sys_reg") ? event : nil
    case .userspaceExit: return tracepoints.contains("kvm_userspace_exit") ? event : nil
    case .nestedEret: return tracepoints.contains("kvm_nested_eret") ? event : nil
    case .nestedException:
      return tracepoints.contains("kvm_inject_nested_exception") ? event : nil
    case .schedSwitch: return tracepoints.contains("sched_switch") ? event : nil
    default: return event
    }
  }

  /// As the recording's own header says.
  func recorded(_ all: [RecordedEvent]) -> [RecordedEvent] {
    var list = all.filter { !$0.isProbe && tracepoints.contains($0.name) }
    let fields = all.first(where: \.isProbe)?.fields ?? []
    for function in KernelFunction.allCases where functions.contains(function) {
      let own = fields.filter { field in
        if field == "cpu" { return function == .vcpuLoad }
        if field == "hcr_el2" { return hasShadow }
        if field == "features" { return hasFeatures }
        return hasKeys || !(field.hasPrefix("ap") || field.hasPrefix("host_"))
      }
      list.append(
        RecordedEvent(system: "ptrauth", name: function.rawValue, isProbe: true, fields: own))
    }
    return list
  }
}
