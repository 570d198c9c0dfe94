public import Ptrauth
public import Replay

/// Everything `info` shows: what is in a recording, and what can be judged from it.
public struct Contents: Sendable {
  public var document: Document
  /// False: every time is in ticks of the recording's clock.
  public var clockIsInNanoseconds = true
  public var cpus: [CPU] = []
  public var guests: [Guest] = []
  public var evidence: [EvidenceSource] = []
  /// It is of another architecture: there is no key switch in it.
  public var isForeign = false
  /// Why nothing can be judged; nil if something can.
  public var obstacle: String?

  public init(_ document: Document) { self.document = document }

  /// One pCPU's part of the recording.
  public struct CPU: Sendable {
    public var cpu: Int32
    /// Times of its first and last event; nil: it has none.
    public var span: (first: UInt64, last: UInt64)?
    /// Events the recorder lost; nil: none that it knows of. 0: how many is not known.
    public var lost: UInt64?
    public init(cpu: Int32, span: (first: UInt64, last: UInt64)?, lost: UInt64?) {
      self.cpu = cpu
      self.span = span
      self.lost = lost
    }
  }

  /// A guest as the recorder described it.
  public struct Guest: Sendable {
    public var name: String
    public var vcpus: Int
    public init(name: String, vcpus: Int) {
      self.name = name
      self.vcpus = vcpus
    }
  }

  /// Events in all, those that the analysis has no use for included.
  public var eventCount: UInt64 {
    document.recording.events.reduce(0) { $0 &+ $1.count }
  }

  /// First and last time of any event.
  public var span: (first: UInt64, last: UInt64)? {
    guard let first = cpus.compactMap({ $0.span?.first }).min(),
      let last = cpus.compactMap({ $0.span?.last }).max()
    else { return nil }
    return (first, last)
  }

  /// Events are missing: no verdict can be `clean`.
  public var isIncomplete: Bool { document.analysis.isIncomplete }

  /// The correctness rules that can be judged.
  public var judged: [Rule] {
    obstacle == nil ? document.analysis.judged : []
  }

  /// The correctness rules that this kernel and its guests can break.
  public var breakable: [Rule] { document.analysis.breakable }

  /// Whether the recording suffices to judge by.
  public enum Sufficiency: String, Sendable {
    /// Every correctness rule that this kernel can break.
    case yes
    /// Some of them.
    case partly
    /// None.
    case no
  }

  /// Why no rule can be judged, and what would change that.
  public var shortcoming: String {
    if let obstacle { return obstacle }
    let probes = evidence.contains { $0.kind == .shadow && $0.isThere }
    if probes, document.kernel.path == nil {
      return "its probes cannot be named without the kernel's vmlinux"
    }
    return "no correctness rule can be judged from what was recorded"
  }

  /// What records all that can be judged; nil where nothing is missing, or nothing would help.
  public var next: String? {
    guard !isForeign, sufficiency != .yes else { return nil }
    if document.kernel.path == nil, obstacle == nil,
      let remark = document.kernelCommand("info")
    {
      return remark
    }
    let image = document.kernel.path ?? "vmlinux"
    return "ptrauth-trace record -k \(shellWord(image)) -- COMMAND"
  }

  public var sufficiency: Sufficiency {
    if obstacle != nil || document.analysis.judgedByEvents.isEmpty { return .no }
    return judged.count == breakable.count ? .yes : .partly
  }
}
