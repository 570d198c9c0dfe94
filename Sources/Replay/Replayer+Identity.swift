import Observation
import Ptrauth
import Trace

// Who is who: threads, and the vCPUs that they run.
extension Replayer {
  /// Memory of a vCPU that is gone may be another's: of a VM of another process, or one with other features. (A process
  /// cannot run another's vCPU, nor change a vCPU's features: kvm_vcpu_ioctl, kvm_vcpu_set_target.)
  mutating func noteNewLife(
    _ function: KernelFunction, _ pid: Int32, _ pointer: UInt64, _ features: UInt64?
  ) {
    guard let known = pointerIndex[pointer] else { return }
    let isAnothers = pid >= 0 && vcpus[known].pid >= 0 && pid != vcpus[known].pid
    var isOther = false
    if function == .resetVCPU, let before = vcpus[known].features, let features {
      isOther =
        Feature(features: before) != Feature(features: features)
        || (before ^ features) >> 7 & 1 != 0
    }
    if isAnothers || isOther { pointerIndex[pointer] = nil }
  }

  mutating func thread(_ tid: Int32, _ pid: Int32) -> ThreadRecord {
    if let record = threads[tid] { return record }
    let record = ThreadRecord(pid: pid, firstTime: lastTime)
    record.isBornHere = pid >= 0 && (threads[pid]?.isBornHere ?? false)
    threads[tid] = record
    return record
  }

  /// The vCPU a struct kvm_vcpu * names, made known to the current thread.
  mutating func bind(
    _ at: Moment, _ pid: Int32, _ thread: ThreadRecord, pointer: UInt64, number: Int32?,
    _ kind: VCPUIdentity.Kind
  ) -> Int {
    let known = pointerIndex[pointer]
    if let known, thread.vcpu == known, vcpus[known].tid == at.tid {
      // It is bound: whatever it runs by now is of this vCPU, or of one that has a pointer too.
      return rebind(known, at, pid, thread, number, kind)
    }
    let index: Int
    if let known {
      index = known
      if let own = thread.vcpu, own != index, vcpus[own].identity.pointer == nil {
        // What the thread did until now it did with this vCPU, or with another.
        settleTrap(index, .unknown)
        vcpus[index].wall(at.time)
        forgetModel(index)
      }
      if let vcpu = thread.run?.vcpu, vcpus[vcpu].identity.pointer == nil {
        // The run began before its vCPU was named.
        vcpus[vcpu].counters.runs -= min(1, vcpus[vcpu].counters.runs)
        vcpus[index].counters.runs += 1
        thread.run?.vcpu = index
      }
    } else if let own = thread.vcpu, vcpus[own].identity.pointer == nil {
      // The thread's vCPU was seen before its pointer was.
      index = own
      vcpus[own].identity.pointer = pointer
      pointerIndex[pointer] = own
    } else {
      index = add(VCPUIdentity(pointer: pointer, thread: at.tid, kind: kind), at.tid, pid)
      pointerIndex[pointer] = index
    }
    vcpus[index].tid = at.tid
    thread.vcpu = index
    return rebind(index, at, pid, thread, number, kind)
  }

  /// What each event may say anew of the vCPU.
  private mutating func rebind(
    _ index: Int, _ at: Moment, _ pid: Int32, _ thread: ThreadRecord, _ number: Int32?,
    _ kind: VCPUIdentity.Kind
  ) -> Int {
    vcpus[index].identity.kind = min(vcpus[index].identity.kind, kind)
    if let number {
      vcpus[index].identity.number = number
    } else if vcpus[index].identity.number == nil {
      vcpus[index].identity.number = configuration.vcpuNumbers[at.tid]
    }
    if pid >= 0 { vcpus[index].pid = pid }
    seen(thread, on: at.cpu)
    return index
  }

  /// The vCPU of the current thread; a new one by thread if nothing better is known.
  mutating func currentVCPU(_ at: Moment, _ pid: Int32, _ thread: ThreadRecord) -> Int {
    if let known = thread.vcpu { return known }
    let number = configuration.vcpuNumbers[at.tid]
    let index = add(
      VCPUIdentity(number: number, thread: at.tid, kind: number == nil ? .thread : .guestList),
      at.tid, pid)
    thread.vcpu = index
    return index
  }

  private mutating func add(_ identity: VCPUIdentity, _ tid: Int32, _ pid: Int32) -> Int {
    let isBornHere = threads[tid]?.isBornHere ?? false
    var record = VCPURecord(
      identity: identity, tid: tid, pid: pid, hysteresis: configuration.hysteresis,
      belief: isBornHere ? observer?.unborn : observer?.anything)
    if isBornHere {
      // KVM_ARM_VCPU_INIT leaves both bits clear, and only a trap sets them.
      record.state.enableInFlight = false
      record.state.bits = .clear
    } else {
      record.handlings.begin(firstTime ?? lastTime, wasSeen: false)
    }
    vcpus.append(record)
    return vcpus.count - 1
  }

  /// EXIT_DEAD and EXIT_ZOMBIE, as sched_switch shows them (TASK_REPORT, include/linux/sched.h).
  static let deadStates: Int64 = 0x30
  private static let mostDeparted = 256

  /// The thread is gone; who has its number next is another.
  mutating func depart(_ tid: Int32) {
    guard let record = threads[tid] else { return }
    closeRun(of: record, tid)
    threads[tid] = nil
    guard record.hostKeys.learned != nil else { return }
    if departed.count >= Self.mostDeparted { departed.removeFirst() }
    departed.append(record)
  }

  mutating func nameNumber(_ at: Moment, _ number: Int32) {
    guard let index = threads[at.tid]?.vcpu, vcpus[index].identity.number == nil else { return }
    vcpus[index].identity.number = number
  }

  mutating func fork(_ child: Int32, _ childPid: Int32) {
    let record = ThreadRecord(pid: childPid, firstTime: lastTime)
    // A new process was born here; a new thread if its process was. Perf's notes of tasks may begin before its events
    // do (perf record --delay): until then nothing was seen of it.
    // It may have run on a pCPU that was not recorded.
    record.isBornHere =
      configuration.omissions.cpus == 0 && eventCount > 0
      && (child == childPid || (threads[childPid]?.isBornHere ?? false))
    threads[child] = record
  }
}
