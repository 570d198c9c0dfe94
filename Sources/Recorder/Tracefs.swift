import Bytes

/// The kernel's tracing files, and the names under which this program uses them.
public struct Tracefs: Sendable {
  public let root: String

  public init(root: String) { self.root = root }

  /// Where it is mounted; nil if nowhere.
  public static func find(
    in places: [String] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
  ) -> Tracefs? {
    places.first { SystemFile.exists($0 + "/trace_clock") }.map(Tracefs.init(root:))
  }

  public func path(_ name: String) -> String { "\(root)/\(name)" }

  var hasProbes: Bool { SystemFile.exists(path("kprobe_events")) }

  private static let instancePrefix = "ptrauth-trace-"
  private static let groupPrefix = "ptrauth_trace_"

  /// The instance of the process `id`.
  public static func instance(of id: Int32) -> String { "\(instancePrefix)\(id)" }

  /// The group of its probes.
  public static func group(of id: Int32) -> String { "\(groupPrefix)\(id)" }

  /// Processes that are gone and whose instance or probes are still there.
  public func abandoned() -> [Int32] {
    let instances = SystemFile.names(in: path("instances")).compactMap { name in
      name.hasPrefix(Self.instancePrefix) ? Int32(name.dropFirst(Self.instancePrefix.count)) : nil
    }
    let definitions = (try? SystemFile.text(path("kprobe_events"))) ?? ""
    // "p:kprobes/event function": type and number, then the group.
    let groups = definitions.split(separator: "\n").compactMap { line -> Int32? in
      guard line.first != "-", let group = line.split(separator: ":").dropFirst().first,
        group.hasPrefix(Self.groupPrefix)
      else { return nil }
      return Int32(group.dropFirst(Self.groupPrefix.count).prefix { $0 != "/" })
    }
    return Set(instances + groups).filter { !SystemFile.exists("/proc/\($0)") }.sorted()
  }
}
