import Observation
import Ptrauth
import Trace

// Ptrauth traps: EC 0x09, and EC 0x18 of a key register.
extension Replayer {
  /// handle_exit's esr_el2, or kvm_handle_sys_reg: what the current thread's exit was.
  mutating func classifyTrap(_ thread: ThreadRecord, _ at: Moment, esr: UInt64) {
    guard let vcpu = thread.run?.vcpu, thread.run?.exit != nil, thread.run?.ret == 2 else { return }
    if thread.run?.esr == nil { thread.run?.esr = esr }
    let ec = thread.run?.ec
    guard thread.run?.trap == nil, ec == ExceptionClass(esr: esr).rawValue else { return }
    if let access = KeyRegisterAccess(esr: esr) {
      trapped(thread, at, .register(access))
    } else if ec == ExceptionClass.systemRegister.rawValue {
      wasOtherRegister(thread, at)
      vcpus[vcpu].state.enableInFlight = false
    }
  }

  /// kvm_sys_access of a key register, where no event carried the ESR.
  mutating func sysAccess(_ at: Moment, _ register: SystemRegister, isWrite: Bool) {
    guard let thread = threads[at.tid], let run = thread.run, run.trap == nil, run.exit != nil,
      run.ec == ExceptionClass.systemRegister.rawValue
    else { return }
    guard
      let key = KeyRegister(
        op0: register.op0, op1: register.op1, crn: register.crn, crm: register.crm,
        op2: register.op2)
    else {
      wasOtherRegister(thread, at)
      thread.run?.isOtherRegister = true
      return
    }
    trapped(thread, at, .register(KeyRegisterAccess(register: key, isWrite: isWrite)))
  }

  /// What the current thread's guest accessed was no key register.
  mutating func wasOtherRegister(_ thread: ThreadRecord, _ at: Moment) {
    guard let run = thread.run, let exit = run.exit else { return }
    follow(run.vcpu, .wasOtherRegister, at)
    vcpus[run.vcpu].handlings.withdraw(exit.time)
    reconsider(TrapHandling(begin: exit.time), of: at.tid)
  }

  /// The current thread's exit is a ptrauth trap.
  mutating func trapped(_ thread: ThreadRecord, _ at: Moment, _ trap: PtrauthTrap) {
    guard let run = thread.run else { return }
    let index = run.vcpu
    thread.run?.trap = trap
    vcpus[index].handlings.begin((run.exit ?? at).time)
    switch trap {
    case .instruction: vcpus[index].counters.instructionTraps += 1
    case .register:
      vcpus[index].counters.registerTraps += 1
      follow(index, .wasKeyRegister, at)
    }
    if run.isAccounted {
      // Its load interval ended before it was known what it trapped on.
      vcpus[index].waste.thrash.correctLast()
      if vcpus[index].lastIsInSchedule, generation?.trap == .reachesHost {
        vcpus[index].schedule.lastIntervalTrapped(wasCounted: true)
      }
    } else {
      vcpus[index].interval.trapped = true
    }
    openTrap(index, trap, run)
  }

  /// kvm_arm_vcpu_ptrauth_trap or kvm_handle_ptrauth was entered.
  mutating func trapHandler(
    _ index: Int, _ thread: ThreadRecord, _ at: Moment, _ function: KernelFunction,
    _ event: borrowing Event
  ) {
    if let pointer = event.hit.fields.hostContext { noteHostContext(index, at, function, pointer) }
    compareFetched(index, thread, at, function, event)
    if let esr = event.hit.fields.esr { classifyTrap(thread, at, esr: esr) }
    if function == .ptrauthTrap {
      beginSave(
        index, thread, at, slots: event.hit.fields.hostKeys, context: event.hit.fields.hostContext)
      thread.handler = OpenHandler(vcpu: index, entry: at)
      thread.run?.isAnswered = true
      vcpus[index].unansweredTrap = nil
      // Nothing will tell what becomes of it.
      if capabilities.samplesShadow, vcpus[index].openTrap == nil,
        vcpus[index].state.feature == .both
      {
        vcpus[index].counters.bounds.upper.insert(.hostSaves)
      }
      answered(index, at)
    }
  }

  /// The handler enables and saves the host's keys, if the vCPU has the feature.
  mutating func answered(_ index: Int, _ at: Moment) {
    guard let code, vcpus[index].state.feature == .both else { return }
    let cpu = cpu(at)
    if generation?.hostSave == .preemptibleTrap {
      vcpus[index].counters.hostSaves += 1
      cpu.hostSaves += 1
      vcpus[index].openTrap?.save = at
      vcpus[index].interval.saveUnused = at
      noteHostSave(index, at, on: cpu)
    }
    var state = vcpus[index].state
    var cpuState = cpu.state
    code.trap(&state, &cpuState, process: vcpus[index].pid)
    vcpus[index].state = state
    cpu.state = cpuState
  }
}
