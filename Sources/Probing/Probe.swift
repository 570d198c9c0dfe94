/// One kprobe event: where it sits, what it fetches, and why.
public struct Probe: Sendable, Hashable {
  /// Name of the event within its group.
  public var event: String
  /// The symbol it sits on, at its first instruction.
  public var function: String
  public var arguments: [FetchArgument]
  /// What the analysis learns from it.
  public var purpose: String

  /// A line for tracefs' kprobe_events: "p:ptrauth/sync kvm_vgic_sync_hwstate vcpu=%x0:x64 ...".
  public func definition(group: String) -> String {
    (["p:\(group)/\(event)", function] + arguments.map(\.definition)).joined(separator: " ")
  }

  /// The line that takes it away again.
  public func removal(group: String) -> String { "-:\(group)/\(event)" }
}
