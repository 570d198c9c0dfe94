import Ptrauth

/// What the replay keeps of one pCPU. A class, as ``ThreadRecord`` is.
final class CPURecord: ReplayRecord {
  var isReached = false
  var state = PCPUState()
  var firstTime: UInt64
  var lastTime: UInt64
  /// The event before the last one.
  var beforeLast: UInt64
  /// An event of the trace was here, not the recorder's own notes of tasks alone.
  var hasEvents = false
  /// The last sched_switch was to the idle task.
  var isIdle = false
  /// The last sched_switch was to this thread.
  var running: Int32?
  /// The thread of its last events, and when the first of them came: it was here all that time, as far as events show.
  var stay = Stay(tid: -1, since: 0)
  /// When the first run ended here of which both ends were seen, in ns: from then on the recorder shows each.
  var firstWholeRun: UInt64?
  /// The thread that is between its kvm_entry and kvm_exit here.
  var inGuest: Int32?
  /// It is in ``GuestCPUs``.
  var isListedInGuest = false
  /// Who saved host keys here last; nothing since ``Walls/saverEra`` has changed.
  var lastSaver: HostSaver?
  /// Host saves seen here.
  var hostSaves: UInt64 = 0

  struct Stay {
    var tid: Int32
    var since: UInt64
  }

  init(firstTime: UInt64) {
    self.firstTime = firstTime
    lastTime = firstTime
    beforeLast = firstTime
  }
}
