import Ptrauth
import Trace

/// Which struct kvm_cpu_context a pCPU's vCPUs were seen to point at. Per-CPU data: one pointer
/// belongs to one pCPU.
struct HostContextMap {
  /// Where a pointer was seen in force.
  struct Sight {
    var at: Moment
    var function: KernelFunction
  }
  private var byPointer: [UInt64: Sight] = [:]
  private var byCPU: [Int32: (pointer: UInt64, sight: Sight)] = [:]

  /// Notes that `pointer` was in force at `at`. Returns the earlier sight that contradicts it:
  /// the same pointer on another pCPU, or another pointer on this pCPU.
  mutating func note(_ pointer: UInt64, _ at: Moment, _ function: KernelFunction) -> Contradiction?
  {
    guard pointer != 0 else { return nil }
    if let other = byPointer[pointer], other.at.cpu != at.cpu { return .samePointer(other) }
    if let own = byCPU[at.cpu], own.pointer != pointer {
      return .otherPointer(own.pointer, own.sight)
    }
    let sight = Sight(at: at, function: function)
    byPointer[pointer] = sight
    byCPU[at.cpu] = (pointer, sight)
    return nil
  }

  /// Slots of a context that were seen with something in them, bit by register.
  private var written = AddressTable<UInt16>()

  mutating func note(_ slots: KeySlots, of context: UInt64) {
    let mask = RegisterSet.all.subtracting(slots.zeros).rawValue
    let known = written[context] ?? 0
    if mask & ~known != 0 { written[context] = known | mask }
  }

  /// The registers whose slots were seen with something in them: one that is zero now was saved so.
  func written(of context: UInt64) -> RegisterSet {
    RegisterSet(rawValue: written[context] ?? 0)
  }

  func isKnown(on cpu: Int32) -> Bool { byCPU[cpu] != nil }

  enum Contradiction {
    case samePointer(Sight)
    case otherPointer(UInt64, Sight)
  }

  /// Two pCPUs whose contexts lie the other way round than the pCPUs: the kernel gives the pCPUs of one node their areas
  /// in the order of their numbers, one unit apart (pcpu_build_alloc_info, mm/percpu.c). Nil unless all contexts seen
  /// lie as those of one node do: of several nodes no order is known.
  var disorder: (lower: Sight, higher: Sight)? {
    let seen = byCPU.sorted { $0.key < $1.key }
    let pointers = seen.map(\.value.pointer).sorted()
    let gaps = zip(pointers.dropFirst(), pointers).map { $0 - $1 }
    guard let unit = gaps.min(), let last = seen.last, Self.units.contains(unit),
      gaps.allSatisfy({ $0 % unit == 0 }), gaps.reduce(0, +) / unit <= UInt64(max(0, last.key))
    else { return nil }
    return zip(seen, seen.dropFirst()).first { $0.value.pointer > $1.value.pointer }
      .map { ($0.value.sight, $1.value.sight) }
  }

  /// Bytes of one pCPU's area: PCPU_MIN_UNIT_SIZE at least (include/linux/percpu.h), and not more than the per-CPU
  /// data of any kernel takes. Nodes are farther apart.
  private static let units: ClosedRange<UInt64> = 32 << 10...4 << 20
}
