/// What the code of one kernel does with the keys, as a checklist against the patch.
public struct CodeAudit: Sendable, Equatable {
  public var checks: [CodeCheck]
  /// Every place that reads or writes a key register, by address.
  public var sites: [KeySites]

  public init(checks: [CodeCheck], sites: [KeySites]) {
    self.checks = checks
    self.sites = sites
  }
}

/// One question about one place, and its answer.
public struct CodeCheck: Sendable, Equatable {
  public enum Question: String, Sendable, CaseIterable {
    case sites = "S1"
    case keySet = "S2"
    case base = "S3"
    case bits = "S4"
    case isb = "S5"
    case registers = "S6"
    case order = "S7"
    case hostSave = "S8"
    case preemption = "S9"
    case enable = "S10"
    case copies = "S11"
    case era = "S12"
    case confinement = "S13"
    case panic = "S14"
    case nested = "S15"
    case forwarding = "S16"
    case identity = "S17"

    public var title: String {
      switch self {
      case .sites: "every access to a key register is one we know"
      case .keySet: "all ten registers, each at its slot"
      case .base: "the right context"
      case .bits: "entry and exit test the same bits"
      case .isb: "synchronized before keys are used"
      case .registers: "no other register is lost"
      case .order: "host keys before the host's return address"
      case .hostSave: "the host's keys are saved, all ten"
      case .preemption: "the host save cannot be preempted"
      case .enable: "API and APK are set and cleared together"
      case .copies: "VHE and nVHE copies both switch"
      case .era: "who uses the host's keys"
      case .confinement: "EL2 stays in the text that it maps"
      case .panic: "a panic at EL2 gives the guest's keys back first"
      case .nested: "an L2 guest gets L1's API and APK"
      case .forwarding: "L1 gets the ptrauth traps of its L2 guest"
      case .identity: "ID registers hide ptrauth from vCPUs without it"
      }
    }
  }

  public enum Outcome: String, Sendable, CaseIterable {
    case pass, fail
    /// So by the design of this generation; worth knowing, no fault of this build.
    case note
    case notApplicable = "not applicable"
    case cannotJudge = "cannot judge"
  }

  /// What a check's code has to do with a run.
  public enum Part: Sendable, CaseIterable {
    /// Every pass, every load or every ptrauth trap of this generation comes through it.
    case scheme
    /// EL2's own entry and exit, of hosts in protected mode (pKVM).
    case protectedMode
    /// It handles the keys, and nothing shows that the scheme calls it.
    case elsewhere
  }

  public var question: Question
  public var outcome: Outcome
  public var part = Part.scheme
  /// "__guest_exit (nVHE), save": the place the question is about.
  public var place: String
  /// What a failure is an instance of.
  public var rule: Rule?
  /// What was found, in a sentence without its full stop.
  public var statement: String
  public var lines: [CodeLine]

  public init(
    _ question: Question, _ outcome: Outcome, at place: String, _ statement: String,
    rule: Rule? = nil, lines: [CodeLine] = []
  ) {
    self.question = question
    self.outcome = outcome
    self.place = place
    self.statement = statement
    self.rule = rule
    self.lines = lines
  }
}

/// One instruction of a kernel.
public struct CodeLine: Sendable, Equatable {
  /// Link-time address.
  public var address: UInt64
  public var word: UInt32
  /// "__guest_exit+0x1c".
  public var symbol: String?
  /// "arch/arm64/kvm/hyp/entry.S:120".
  public var source: String?
  /// Disassembled; nil: only the word is known.
  public var text: String?
  /// What the statement is about.
  public var isMarked: Bool

  public init(
    address: UInt64, word: UInt32, symbol: String?, source: String?, text: String? = nil,
    isMarked: Bool = false
  ) {
    self.address = address
    self.word = word
    self.symbol = symbol
    self.source = source
    self.text = text
    self.isMarked = isMarked
  }
}

/// The accesses to key registers of one function.
public struct KeySites: Sendable, Equatable {
  public enum User: String, Sendable {
    case guestSwitch = "guest switch"
    case hostSave = "host save"
    case hypervisor = "EL2's own keys (pKVM)"
    case emulation = "emulation of ERETAA/ERETAB"
    case kernel = "kernel entry, exit and task switch"
    case unknown
  }

  /// Where the first one is, link-time address.
  public var address: UInt64
  /// The function, label or section they belong to.
  public var place: String
  public var user: User
  /// By access, in order of the code.
  public var reads: [KeyRegister]
  public var writes: [KeyRegister]

  public init(
    address: UInt64, place: String, user: User, reads: [KeyRegister], writes: [KeyRegister]
  ) {
    self.address = address
    self.place = place
    self.user = user
    self.reads = reads
    self.writes = writes
  }
}

extension CodeAudit {
  public var failures: [CodeCheck] { checks.filter { $0.outcome == .fail } }

  /// Fail if any check failed; cannot judge if nothing, or not everything, could be judged.
  public var verdict: CodeCheck.Outcome {
    if !failures.isEmpty { return .fail }
    let isOpen = checks.contains { $0.outcome == .cannotJudge }
    return isOpen || !checks.contains { $0.outcome == .pass } ? .cannotJudge : .pass
  }
}
