/// Some of the ten key registers; bit i is the register of raw value i.
public struct RegisterSet: OptionSet, Sendable, Hashable {
  public var rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  public init(_ register: KeyRegister) { rawValue = 1 << UInt16(register.rawValue) }

  public static let all = RegisterSet(rawValue: 0x3ff)

  public var registers: [KeyRegister] {
    KeyRegister.allCases.filter { contains(RegisterSet($0)) }
  }
}

extension Generation {
  /// The registers that hold the current task's own keys wherever the kernel runs for it, so that a host save
  /// of them is of that task's: not those that a kernel installs only at the return to EL0 (``Era``).
  ///
  /// - Parameter kernelUsesPointerAuth: CONFIG_ARM64_PTR_AUTH_KERNEL; nil if not known.
  public func ownInKernel(kernelUsesPointerAuth: Bool?) -> RegisterSet {
    let possible = eras(kernelUsesPointerAuth)
    guard !possible.isEmpty else { return [] }
    return KeyRegister.allCases.reduce(into: RegisterSet()) { set, register in
      if possible.allSatisfy({ $0.installs(register).inKernel != nil }) {
        set.insert(RegisterSet(register))
      }
    }
  }

  /// The registers that a kernel may write on the way to user mode or back: who reads them behind it does not find what was
  /// in them before.
  ///
  /// - Parameter kernelUsesPointerAuth: CONFIG_ARM64_PTR_AUTH_KERNEL; nil if not known.
  public func writtenAroundUser(kernelUsesPointerAuth: Bool?) -> RegisterSet {
    eras(kernelUsesPointerAuth).reduce(into: RegisterSet()) { set, era in
      for register in KeyRegister.allCases {
        let installs = era.installs(register)
        if installs.atReturn != nil || installs.atKernelEntry != nil {
          set.insert(RegisterSet(register))
        }
      }
    }
  }

  private func eras(_ kernelUsesPointerAuth: Bool?) -> [Era] {
    eras.filter { era in kernelUsesPointerAuth.map { $0 == era.apia.kernelUses } ?? true }
  }
}
