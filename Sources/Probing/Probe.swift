/// One kprobe or kretprobe event: where it sits, what it fetches, and why.
public struct Probe: Sendable, Hashable {
  /// Name of the event within its group.
  public var event: String
  /// The symbol it sits on, at its first instruction or at its return.
  public var function: String
  public var isReturn = false
  public var arguments: [FetchArgument]
  /// What the analysis learns from it.
  public var purpose: String

  public init(
    event: String, function: String, isReturn: Bool = false, arguments: [FetchArgument],
    purpose: String
  ) {
    self.event = event
    self.function = function
    self.isReturn = isReturn
    self.arguments = arguments
    self.purpose = purpose
  }

  /// Threads that may be inside the function at a time without the return of one being missed. The kernel's own
  /// number is that of its CPUs (Documentation/trace/kprobes.rst), fewer than threads preempted in there.
  private static let returnsAtATime = 64

  /// A line for tracefs' kprobe_events: "p:ptrauth/sync kvm_vgic_sync_hwstate vcpu=%x0:x64 ...", or
  /// "r64:ptrauth/ptrauth_trap_return kvm_arm_vcpu_ptrauth_trap".
  public func definition(group: String) -> String {
    let type = isReturn ? "r\(Self.returnsAtATime)" : "p"
    return (["\(type):\(group)/\(event)", function] + arguments.map(\.definition))
      .joined(separator: " ")
  }

  /// The line that takes it away again.
  public func removal(group: String) -> String { "-:\(group)/\(event)" }
}
