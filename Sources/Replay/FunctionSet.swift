/// Some of the functions.
struct FunctionSet: Equatable, ExpressibleByArrayLiteral {
  private var bits: UInt16 = 0

  init(_ functions: some Sequence<KernelFunction>) {
    for function in functions { insert(function) }
  }

  init(arrayLiteral functions: KernelFunction...) { self.init(functions) }

  mutating func insert(_ function: KernelFunction) { bits |= function.bit }
  func contains(_ function: KernelFunction) -> Bool { bits & function.bit != 0 }
  func isDisjoint(with other: FunctionSet) -> Bool { bits & other.bits == 0 }
  func isSuperset(of other: FunctionSet) -> Bool { other.bits & ~bits == 0 }
}

extension KernelFunction {
  fileprivate var bit: UInt16 {
    switch self {
    case .vcpuLoad: 1 << 0
    case .vcpuPut: 1 << 1
    case .handleExit: 1 << 2
    case .vcpuRun: 1 << 3
    case .flush: 1 << 4
    case .sync: 1 << 5
    case .resetVCPU: 1 << 6
    case .injectUndefined: 1 << 7
    case .handlePtrauth: 1 << 8
    case .ptrauthTrap: 1 << 9
    case .hypHandlePtrauth: 1 << 10
    }
  }
}
