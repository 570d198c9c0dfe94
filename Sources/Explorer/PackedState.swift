import Ptrauth

// A machine in 128 bits. Fields of unused vCPUs and pCPUs are constant.
//
//   vCPU  API APK | slots 5 | loadedOn 2 | previouslyOn 2 | hostContext 2 | context 2 | nested 3 | place 4 | flags 3
//   pCPU  live 5 | slots 5 | fresh 1 | HCR 2 | task 3

extension Machine {
  /// 25 bits a vCPU, 16 bits a pCPU: three of each fit.
  package var packed: UInt128 {
    var word: UInt128 = 0
    func put(_ value: Int, _ width: Int) {
      word = word &<< UInt128(width) | UInt128(truncatingIfNeeded: value)
    }
    for i in 0..<Setting.vcpuLimit {
      let v = vcpus[i]
      let thread = threads[i]
      put(v.bits.code, 2)
      put(v.slots.code, 5)
      put(Self.code(v.loadedOn), 2)
      put(Self.code(v.previouslyOn), 2)
      put(Self.code(v.hostContext), 2)
      put(Self.code(v.context), 2)
      put(v.nestedBits.map { $0.code + 1 } ?? 0, 3)
      put(thread.place.code, 4)
      put(thread.hasSaved ? 1 : 0, 1)
      put(thread.hasSwitched ? 1 : 0, 1)
      put(thread.leakedPreemption ? 1 : 0, 1)
    }
    for i in 0..<Setting.cpuLimit {
      let c = cpus[i]
      put(c.live.code, 5)
      put(c.hostSlots.keys.code, 5)
      put(c.hostSlots.isFresh == .set ? 1 : 0, 1)
      put(c.hcr.code, 2)
      put(Int(current[i]) + 1, 3)
    }
    return word
  }

  /// - Parameter initial: a machine of the same setting, for what never changes.
  package init(packed: UInt128, like initial: Machine) {
    self = initial
    var word = packed
    func take(_ width: Int) -> Int {
      let value = Int(truncatingIfNeeded: word & (1 &<< UInt128(width) - 1))
      word = word &>> UInt128(width)
      return value
    }
    for i in stride(from: Setting.cpuLimit - 1, through: 0, by: -1) {
      current[i] = Int8(take(3) - 1)
      cpus[i].hcr = EnableBits(code: take(2))
      cpus[i].hostSlots.isFresh = Bit(take(1) == 1)
      cpus[i].hostSlots.keys = KeyOwner(code: take(5))
      cpus[i].live = KeyOwner(code: take(5))
    }
    for i in stride(from: Setting.vcpuLimit - 1, through: 0, by: -1) {
      threads[i].leakedPreemption = take(1) == 1
      threads[i].hasSwitched = take(1) == 1
      threads[i].hasSaved = take(1) == 1
      threads[i].place = Place(code: take(4))
      let nested = take(3)
      vcpus[i].nestedBits = nested == 0 ? nil : EnableBits(code: nested - 1)
      vcpus[i].context = Self.cpu(take(2))
      vcpus[i].hostContext = Self.cpu(take(2))
      vcpus[i].previouslyOn = Self.cpu(take(2))
      vcpus[i].loadedOn = Self.cpu(take(2))
      vcpus[i].slots = KeyOwner(code: take(5))
      vcpus[i].bits = EnableBits(code: take(2))
    }
  }

  private static func code(_ cpu: Int32?) -> Int { cpu.map { Int($0) + 1 } ?? 0 }
  private static func cpu(_ code: Int) -> Int32? { code == 0 ? nil : Int32(code - 1) }
}

extension EnableBits {
  fileprivate var code: Int { (api == .set ? 2 : 0) | (apk == .set ? 1 : 0) }
  fileprivate init(code: Int) { self.init(api: Bit(code & 2 != 0), apk: Bit(code & 1 != 0)) }
}

extension Machine.Place {
  fileprivate var code: Int {
    switch self {
    case .userspace: 0
    case .loop: 1
    case .guest: 2
    case .handler(let line): 3 + line
    }
  }
  fileprivate init(code: Int) {
    switch code {
    case 0: self = .userspace
    case 1: self = .loop
    case 2: self = .guest
    default: self = .handler(code - 3)
    }
  }
}

extension KeyOwner {
  /// 0; six processes; six tasks; three guests, their new keys and their old ones.
  fileprivate var code: Int {
    switch self {
    case .unwritten, .unknown: 0
    case .host(let process): 1 + Int(process)
    case .kernel(let task): 7 + Int(task)
    case .guest(let vcpu): 13 + vcpu
    case .oldGuest(let vcpu): 16 + vcpu
    }
  }
  fileprivate init(code: Int) {
    switch code {
    case 1...6: self = .host(process: Int32(code - 1))
    case 7...12: self = .kernel(task: Int32(code - 7))
    case 13...15: self = .guest(vcpu: code - 13)
    case 16...18: self = .oldGuest(vcpu: code - 16)
    default: self = .unwritten
    }
  }
}
