import ArgumentParser
package import Explorer
import Ptrauth

/// What `verify` explores.
package struct SettingOptions: ParsableArguments {
  package init() {}

  @Option(
    help: ArgumentHelp("v7, 5.2, 5.8, 5.9 ... or a kernel release.", valueName: "name"),
    completion: .list(Generation.all.map(\.name)))
  var generation: String?

  @Option(
    help: ArgumentHelp(
      "Plant a fault in it: " + Fault.all.map(\.name).joined(separator: ", ") + ".",
      valueName: "name"), completion: .list(Fault.all.map(\.name)))
  var fault: String?

  @Option(
    help: ArgumentHelp(
      "How the host itself uses the keys: "
        + Era.all.map { "\($0.name) (\($0.description))" }.joined(separator: "; ")
        + ". Default: the generation's first.", valueName: "era"),
    completion: .list(Era.all.map(\.name)))
  var era: String?

  @Option(help: "vCPUs, 1 to 3 (default 2).") var vcpus: Int?
  @Option(help: "pCPUs, 1 to 3 (default 2).") var pcpus: Int?
  @Option(help: "Host tasks besides the vCPUs' threads, 0 to 3 (default 2; with --fault 0).")
  var tasks: Int?

  @Option(
    help: ArgumentHelp(
      "What each vCPU asks for: both, none or partial (one of the two features); the last one is "
        + "repeated.", valueName: "list"), completion: .list(["both", "none", "partial"]))
  var features: String?

  @Flag(help: "All vCPU threads are of one process, and so share user keys.")
  var oneVmm = false

  @Flag(help: "Nested guests run too, with any bits of their hypervisor's.")
  var nested = false

  @Option(
    help: ArgumentHelp(
      "Where the host's trap handler is preempted: steps (between any two; the default, but for most faults) or none.",
      valueName: "points"))
  var preemption: Preemption?

  enum Preemption: String, ExpressibleByArgument, CaseIterable { case steps, none }

  /// Neither a generation nor a fault is named.
  var isEverything: Bool { generation == nil && fault == nil }

  var chosenFault: Fault? { fault.flatMap { Fault(name: $0) } }

  package func validate() throws {
    if let generation, Generation(named: generation) == nil {
      let names = Generation.all.map(\.name).joined(separator: ", ")
      throw ValidationError(
        "--generation \(generation): not a generation (\(names)) and not a kernel release")
    }
    if let fault, Fault(name: fault) == nil {
      throw ValidationError(
        "--fault \(fault): not one of " + Fault.all.map(\.name).joined(separator: ", "))
    }
    if let era, Self.era(era) == nil {
      throw ValidationError("--era \(era): not one of A, B, C, C-")
    }
    for (name, value, range) in [
      ("vcpus", vcpus, 1...Setting.vcpuLimit), ("pcpus", pcpus, 1...Setting.cpuLimit),
      ("tasks", tasks, 0...Setting.taskLimit),
    ] {
      if let value, !range.contains(value) {
        throw ValidationError("--\(name) \(value): \(range.lowerBound) to \(range.upperBound)")
      }
    }
    if let features, Self.features(features) == nil {
      throw ValidationError("--features \(features): a list of both, none and partial")
    }
    if let fault = chosenFault, fault.planted(in: try setting()) == nil {
      throw ValidationError(
        "--fault \(fault.name) changes nothing in \(generation ?? fault.generation.name): its code "
          + "has nothing to break that way")
    }
  }

  /// What is asked for, without the fault.
  package func setting() throws -> Setting {
    let fault = chosenFault
    guard let chosen = generation.flatMap({ Generation(named: $0) }) ?? fault?.generation else {
      throw ValidationError("give --generation")
    }
    var setting = setting(
      of: chosen, era.flatMap(Self.era) ?? (generation == nil ? fault?.era : nil) ?? chosen.eras[0])
    if let fault {
      setting.isNested = setting.isNested || fault.isNested
      setting.firstUse = fault.firstUse
      if preemption == nil { setting.preemptsHandler = fault.preempts }
      if features == nil, vcpus == nil { setting.features = fault.features }
      if features == nil, let vcpus {
        setting.features = Self.fill(fault.features, count: vcpus)
      }
      if tasks == nil { setting.tasks = 0 }
    }
    return setting
  }

  func setting(of generation: Generation, _ era: Era) -> Setting {
    let list = features.flatMap(Self.features) ?? [.both]
    var setting = Setting(
      generation, era: era, features: Self.fill(list, count: vcpus ?? max(2, list.count)),
      cpus: pcpus ?? 2, tasks: tasks ?? 2)
    setting.isOneVMM = oneVmm
    setting.isNested = nested
    setting.preemptsHandler = preemption != Preemption.none
    return setting
  }

  private static func fill(_ list: [Feature], count: Int) -> [Feature] {
    (0..<count).map { $0 < list.count ? list[$0] : list[list.count - 1] }
  }

  private static func era(_ name: String) -> Era? {
    Era.all.first { $0.name.lowercased() == name.lowercased() }
  }

  private static func features(_ text: String) -> [Feature]? {
    let words = text.split(separator: ",", omittingEmptySubsequences: false)
    let list = words.compactMap { word -> Feature? in
      switch word {
      case "both": .both
      case "none": Feature.none
      case "partial": .partial
      default: nil
      }
    }
    return list.count == words.count && (1...Setting.vcpuLimit).contains(list.count) ? list : nil
  }
}
