import ArgumentParser
import Ptrauth
import Replay

/// What of a recording is shown, and counts for the exit code. Everything is replayed.
package struct FilterOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Show the vCPUs of these VMs: the VMM's process id, or its name.", valueName: "pid|comm,..."))
  var vm: String?

  @Option(
    help: ArgumentHelp(
      "Show these vCPUs: their number, of one VM or all (1 or 4711:1).", valueName: "[vm:]n,..."))
  var vcpu: String?

  @Option(
    name: [.customShort("C"), .long],
    help: ArgumentHelp("Show what happened on these pCPUs (0,2-3).", valueName: "list"))
  var cpu: String?

  @Option(
    help: ArgumentHelp(
      """
      Show what happened from A to B, in seconds of the recording's clock; either may be left out (5.25, or ,5.3). \
      The state at A is known from what came before.
      """,
      valueName: "a,b"))
  var time: String?

  @Option(
    help: ArgumentHelp("Show these rules.", valueName: "rule,..."),
    completion: .list(Analysis.judgedRules.map(\.id)))
  var rule: String?

  func validate() throws { _ = try filter() }

  /// nil: nothing is asked for. Valid after `validate`.
  package var chosen: Filter? { (try? filter()).flatMap(\.self) }

  private func filter() throws -> Filter? {
    var filter = Filter(
      words: [
        ("vm", vm), ("vcpu", vcpu), ("cpu", cpu), ("time", time), ("rule", rule),
      ].compactMap { name, value in value.map { "--\(name) \($0)" } }.joined(separator: " "))
    if filter.words.isEmpty { return nil }
    if let vm {
      filter.vms = Self.words(vm)
      if filter.vms.contains("") { throw ValidationError("--vm \(vm): a VM has no name") }
    }
    if let vcpu { filter.vcpus = try Self.words(vcpu).map(Self.vcpu) }
    if let cpu { filter.cpus = try Self.cpus(cpu) }
    if let time { filter.time = try Self.span(time) }
    if let rule { filter.rules = try Self.words(rule).map(Self.rule) }
    return filter
  }

  private static func words(_ list: String) -> [String] {
    list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  /// "1", "4711:1", "qemu-system-aar:1"; a name may have colons.
  private static func vcpu(_ word: String) throws -> Filter.VCPU {
    let colon = word.lastIndex(of: ":")
    let digits = word[(colon.map { word.index(after: $0) } ?? word.startIndex)...]
    guard let number = Int32(digits), number >= 0, colon != word.startIndex else {
      throw ValidationError("--vcpu \(word): not a vCPU's number (1), nor VM:number (4711:1)")
    }
    return Filter.VCPU(vm: colon.map { String(word[..<$0]) }, number: number)
  }

  /// "0,2-3".
  private static func cpus(_ list: String) throws -> Set<Int32> {
    var cpus: Set<Int32> = []
    for word in words(list) {
      let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { Int32($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count < 3,
        first >= 0, last >= first, last - first < 1 << 16
      else { throw ValidationError("--cpu \(list): not a list of pCPUs (0,2-3)") }
      cpus.formUnion(first...last)
    }
    return cpus
  }

  /// "A,B", "A,", ",B" or "A", as perf script's.
  private static func span(_ text: String) throws -> ClosedRange<UInt64> {
    let wrong = "--time \(text): not a span of seconds (5.25,5.3; either may be left out)"
    let ends = words(text)
    guard ends.count < 3, ends.contains(where: { !$0.isEmpty }) else {
      throw ValidationError(wrong)
    }
    func end(_ word: String, _ open: UInt64) throws -> UInt64 {
      if word.isEmpty { return open }
      guard let time = nanoseconds(word) else {
        throw ValidationError(
          wrong + (word.contains("%") ? "; per cent of the recording are not understood" : ""))
      }
      return time
    }
    let begin = try end(ends[0], 0)
    let stop = try end(ends.count > 1 ? ends[1] : "", .max)
    guard begin <= stop else { throw ValidationError("--time \(text): it ends before it begins") }
    return begin...stop
  }

  /// Of decimal seconds.
  private static func nanoseconds(_ word: String) -> UInt64? {
    let parts = word.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count < 3, parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let seconds = UInt64(parts[0]), seconds < 1 << 33
    else { return nil }
    let digits = parts.count > 1 ? parts[1].prefix(9) : ""
    let fraction = UInt64(digits + String(repeating: "0", count: 9 - digits.count)) ?? 0
    return seconds * 1_000_000_000 + fraction
  }

  private static func rule(_ word: String) throws -> Rule {
    let rules = Analysis.judgedRules
    if let rule = rules.first(where: { $0.id == word }) { return rule }
    if Rule(id: word) != nil {
      throw ValidationError(
        "--rule \(word): no recording shows this rule; `ptrauth-trace audit` tells it from the code"
      )
    }
    let near = Nearest(to: word.lowercased(), among: rules.map(\.id)).name
    throw ValidationError(
      "--rule: no rule is named \(word.isEmpty ? "\"\"" : word)"
        + (near.map { "; did you mean \($0)?" } ?? "; `ptrauth-trace explain` lists them"))
  }
}
