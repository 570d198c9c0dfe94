import Testing
import Trace

/// Single lines, as kernels and tools of several ages print them.
struct TextLineTests {
  private static func events(_ text: String) throws -> Events {
    try Events(text: TextFile(Array(text.utf8)))
  }

  /// The head's forms, each before the same event of thread 42 on pCPU 3 at 1.5 s.
  static let heads = [
    "            bash-42      [003] d..2.     1.500000: ",
    "            bash-42      [003] dNh2     1.500000: ",
    "            bash-42      [003] d..h2..1     1.500000: ",
    "            bash-42      [003]     1.500000: ",
    "            bash-42    (   42) [003] d..2.     1.500000: ",
    "            bash-42    (-----) [003] d..2.     1.500000: ",
    "            bash-42    [003] (   42) d..2.     1.500000: ",
    "          <idle>-42      [003] d..2.     1.500000: ",
    "           <...>-42      [003] d..2.     1.500000: ",
    " a [000] b-7 c:d-42      [003] d..2.     1.500000: ",
    "kworker/u8:1-ev-42 [003] d..2. 1.500000: ",
    "\t  <idle>-42     [003]  1.500000: ",
    "    bash-42     3d..2.     1.500000: ",
    "    bash-42     3d..2. 1500000us : ",
    "    bash-42     3d..2. 1500000us+: ",
    "    bash-42     3.N.1. 1500000us!: ",
    "trace.dat:            bash-42    [003]     1.500000000: ",
    "            bash    42 [003]     1.500000000: ",
    "            bash    42/42    [003]     1.500000: ",
    "       my - task    42 [003]     1.500000:          1 ",
    "             :42    42 [003]     1.500000: ",
    "            bash-42      [003]1500000000: ",
    "            bash-42      [003] 1500000000: ",
    "            bash-42      [003]     1.500000: (+1234) ",
  ]

  @Test(arguments: heads)
  func everyHeadIsRead(head: String) throws {
    let name = head.contains("42 [003] ") && !head.contains("-42") ? "kvm:kvm_entry" : "kvm_entry"
    let events = try Self.events(head + name + ": PC: 0x0000000040000000\n")
    let event = try #require(events.list.first)
    #expect(event.time == 1_500_000_000)
    #expect(event.cpu == 3)
    #expect(event.tid == 42)
    #expect(event.pid == (head.contains("(   42)") || head.contains("42/42") ? 42 : -1))
    #expect(event.words.suffix(2) == [1, 0x4000_0000])
    #expect(events.recording.recordedEvents.map { "\($0.system):\($0.name)" } == ["kvm:kvm_entry"])
  }

  /// Values, and what they are.
  static let values: [(String, Event.Payload)] = [
    (
      "kvm_exit: TRAP: HSR_EC: 0x0009 (PAC), PC: 0x00000000400000d4",
      .exit(ret: 2, ec: 9, pc: 0x4000_00d4)
    ),
    ("kvm_exit: TRAP: ESR_EC: 0x18 (SYS64), PC: 0x10", .exit(ret: 2, ec: 0x18, pc: 0x10)),
    ("kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x10", .exit(ret: 0, ec: 0, pc: 0x10)),
    ("kvm_exit: EL1_SERROR: HSR_EC: 0x0000 (UNKNOWN), PC: 0x10", .exit(ret: 1, ec: 0, pc: 0x10)),
    ("kvm_exit: HYP_GONE: HSR_EC: 0x0, PC: 0x10", .exit(ret: 0xbad_ca11, ec: 0, pc: 0x10)),
    ("kvm_exit: 0x7: HSR_EC: 0x0000 (UNKNOWN), PC: 0x10", .exit(ret: 7, ec: 0, pc: 0x10)),
    ("kvm_exit: ret=2 esr_ec=0x0009 vcpu_pc=0x10", .exit(ret: 2, ec: 9, pc: 16)),
    ("kvm_exit: ret=0x2 (2) esr_ec=0x9 (9) vcpu_pc=0x10 (16)", .exit(ret: 2, ec: 9, pc: 16)),
    ("kvm_handle_sys_reg: HSR 0x62300822", .handleSysReg(esr: 0x6230_0822)),
    (
      "kvm_sys_access: PC: 400000d4 SYS_APIAKEYLO_EL1 (3,0,2,1,0) write",
      .sysAccess(
        SystemRegister(op0: 3, op1: 0, crn: 2, crm: 1, op2: 0), isWrite: true, pc: 0x4000_00d4)
    ),
    ("kvm_userspace_exit: reason KVM_EXIT_MMIO (6)", .userspaceExit(reason: 6, errno: 0)),
    ("kvm_userspace_exit: reason restart (4)", .userspaceExit(reason: 0, errno: -4)),
    ("kvm_userspace_exit: reason error (22)", .userspaceExit(reason: 0, errno: -22)),
    ("kvm_arm_setup_debug: vcpu: 000000009d2aef67, flags: 0x0", .setupDebug(vcpu: 0x9d2a_ef67)),
    ("kvm_halt_poll_ns: vcpu 3: halt_poll_ns 10000 (grow 0)", .vcpuNumber(3)),
    ("kvm_get_timer_map: VCPU: 1, dv: 1, dp: 0, ep: -1", .vcpuNumber(1)),
    (
      "sched_switch: prev_comm=a prev_pid=7 b prev_pid=86 prev_prio=120 prev_state=R+ ==> "
        + "next_comm= ==> next_pid=1 next_pid=15 next_prio=0",
      .schedSwitch(prev: 86, prevState: 0x100, next: 15)
    ),
    (
      "sched_switch: a:1 [2] S:86 [120] D|W ==> x y:3:15 [0]",
      .schedSwitch(prev: 86, prevState: 0x82, next: 15)
    ),
    (
      "sched_migrate_task: comm=pid=3 a pid=86 prio=120 orig_cpu=1 dest_cpu=0",
      .migrateTask(tid: 86, from: 1, to: 0)
    ),
  ]

  @Test(arguments: 0..<values.count)
  func everyPrintIsRead(index: Int) throws {
    let (text, expected) = Self.values[index]
    let events = try Self.events(Self.heads[0] + text + "\n")
    let event = try #require(events.list.first)
    #expect(event.words.dropFirst(4) == Self.event(expected).words.dropFirst(4))
    #expect(!events.recording.warnings.contains { $0.contains("values") })
  }

  private static func event(_ payload: Event.Payload) -> Event {
    Event(time: 0, cpu: 0, pid: 0, tid: 0, payload: payload)
  }

  /// Places of probes: the text, address, symbol, whether it is a return.
  static let places: [(String, UInt64, String?, Bool)] = [
    ("(ffff800008038760)", 0xffff_8000_0803_8760, nil, false),
    ("(kvm_arch_vcpu_load+0x0/0x254)", 0, "kvm_arch_vcpu_load", false),
    ("(kvm_arch_vcpu_load+0x0)", 0, "kvm_arch_vcpu_load", false),
    ("(kvm_arch_vcpu_load+0x1c)", 0, "kvm_arch_vcpu_load+0x1c", false),
    ("(kvm_arch_vcpu_load+0x8/0x254 [kvm])", 0, "kvm_arch_vcpu_load+0x8", false),
    ("(handle_exit+0x0/0x10 <ffff800008042510>)", 0xffff_8000_0804_2510, "handle_exit", false),
    ("(a.isra.0+0x58/0x80 <- __kvm_vcpu_run)", 0, "__kvm_vcpu_run", true),
    ("(ffff800008000001 <- ffff800008000002)", 0xffff_8000_0800_0002, nil, true),
    ("__probe_ip=ffff800008038760", 0xffff_8000_0803_8760, nil, false),
    (
      "__probe_func=ffff800008000001 __probe_ret_ip=ffff800008000002", 0xffff_8000_0800_0001, nil,
      true
    ),
  ]

  @Test(arguments: 0..<places.count)
  func everyPlaceIsRead(index: Int) throws {
    let (text, address, symbol, isReturn) = Self.places[index]
    let fields = " name=\"a vcpu_id=9\" ids={1,2} vcpu=0xffff000001810000 vcpu_id=-3 other=1"
    let events = try Self.events(Self.heads[0] + "mine: " + text + fields + "\n")
    guard case .probe(let hit) = events.list.first?.payload else {
      Issue.record("no probe")
      return
    }
    #expect(hit.address == address)
    #expect(hit.symbol == symbol)
    #expect(hit.isReturn == isReturn)
    #expect(hit.fields.vcpu == 0xffff_0000_0181_0000)
    #expect(hit.fields.vcpuID == -3)
    let event = try #require(events.recording.recordedEvents.first)
    #expect(event.isProbe && event.fields == ["name", "ids", "vcpu", "vcpu_id", "other"])
    #expect(event.namesItsFunction == (symbol != nil))
  }

  /// Hashed pointers are no identity beside the probes' real ones; masked ones never.
  @Test
  func hashesAreNotMixedWithPointers() throws {
    let probe = Self.heads[0] + "load: (f+0x0/0x8) vcpu=0xffff000001810000\n"
    let debug = Self.heads[0] + "kvm_arm_setup_debug: vcpu: 000000009d2aef67, flags: 0x0\n"
    let masked = Self.heads[0] + "kvm_arm_setup_debug: vcpu: (____ptrval____), flags: 0x0\n"
    #expect(try Self.events(debug + debug).list.count == 2)
    #expect(try Self.events(debug + probe).list.count == 1)
    let events = try Self.events(debug + masked)
    #expect(events.list.count == 1)
    #expect(events.recording.warnings.contains { $0.contains("ptrval") })
  }

  /// What is no event is counted and said, with the first line's number.
  @Test
  func otherLinesAreSaid() throws {
    let line = Self.heads[0] + "kvm_entry: PC: 0x10\n"
    let events = try Self.events(
      line + "nonsense\n" + line + Self.heads[0] + "somebody's tracer\n"
        + "            bash-42 [003] d..2. 1.5: kvm_exit: what\n \n => stack\n\tffff f+0x1 (k)\n"
        + "nonsense\n")
    #expect(events.list.count == 2)
    let warnings = events.recording.warnings
    #expect(warnings.contains { $0.hasPrefix("2 lines are no events") && $0.contains("line 2)") })
    #expect(warnings.contains { $0.hasPrefix("line 4 is of a tracer") })
    #expect(warnings.contains { $0.hasPrefix("line 5 has values") })
  }

  /// The function tracer, as the kernel and trace-cmd print it; function_graph as trace-cmd does.
  @Test(arguments: [
    ("kvm_arch_vcpu_load <-kvm_sched_in", "kvm_arch_vcpu_load"),
    ("kvm_arch_vcpu_load+0x8/0x2a0 <-kvm_sched_in+0x1c/0x30", "kvm_arch_vcpu_load"),
    ("function:             kvm_arch_vcpu_put <-- kvm_sched_out", "kvm_arch_vcpu_put"),
    ("function:             kvm_arch_vcpu_put", "kvm_arch_vcpu_put"),
    ("funcgraph_entry:      + 89.024 us  |    kvm_arch_vcpu_load();", "kvm_arch_vcpu_load"),
    ("funcgraph_entry:                   |  handle_exit.isra.0() {", "handle_exit.isra.0"),
  ])
  func functionsAreEntered(text: String, name: String) throws {
    let events = try Self.events(Self.heads[0] + text + "\n")
    guard case .probe(let hit) = try #require(events.list.first).payload else {
      Issue.record("no function")
      return
    }
    #expect(hit.isTraced && hit.symbol == name && hit.address == 0)
    #expect(events.recording.recordedEvents.map(\.system) == ["ftrace"])
    #expect(events.recording.recordedEvents.map(\.count) == [1])
  }

  @Test func rawFieldsOfTracersHaveAddresses() throws {
    let events = try Self.events(
      Self.heads[0] + "function: ip=0xffff800008059e14 parent_ip=0xffff80000804e3a8\n"
        + Self.heads[0] + "funcgraph_entry: func=0xffff800008059e10 depth=0\n")
    let addresses = events.list.map { event -> UInt64 in
      if case .probe(let hit) = event.payload { hit.address } else { 0 }
    }
    #expect(addresses == [0xffff_8000_0805_9e14, 0xffff_8000_0805_9e10])
  }

  @Test
  func ticksAreNotCalledNanoseconds() throws {
    let events = try Self.events("a-1 [001] 4983973211868: kvm_entry: PC: 0x10\n")
    #expect(events.recording.clock == "unknown (text, ticks)")
    #expect(events.recording.warnings.first?.contains("ticks") == true)
  }
}
