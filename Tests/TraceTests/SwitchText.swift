import Trace

/// The tasks of a sched_switch as `perf script` prints it: its fields, or, with libtraceevent's plugin (perf of Debian
/// 13), "perf:146 [120] R ==> migration/0:15 [0]".
struct SwitchText {
  var prev: UInt64?
  var next: UInt64?

  init(_ text: Substring) {
    let fields = Fields(text)
    (prev, next) = (fields["prev_pid"], fields["next_pid"])
    let tasks = text.split(separator: " ==> ")
    guard prev == nil, next == nil, tasks.count == 2 else { return }
    (prev, next) = (Self.task(tasks[0]), Self.task(tasks[1]))
  }

  /// The 146 of "perf:146 [120] R".
  private static func task(_ text: Substring) -> UInt64? {
    let words = text.split(separator: " ")
    guard let priority = words.lastIndex(where: { $0.hasPrefix("[") }), priority > 0 else {
      return nil
    }
    return words[priority - 1].split(separator: ":").last.flatMap { UInt64($0) }
  }
}

extension Event {
  /// As far as libtraceevent's plugin prints it: not whether a task was preempted, and the letters of the two states of
  /// tasks that end were exchanged in 1.8.
  var asPluginPrints: Event {
    guard case .schedSwitch(let prev, let state, let next) = payload else { return self }
    var event = self
    let others = state & 0xcf
    event.payload = .schedSwitch(
      prev: prev, prevState: state & 0x30 == 0 ? others : others | 0x10, next: next)
    return event
  }
}
