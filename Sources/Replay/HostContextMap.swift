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
  /// One for each pointer, which is one for each pCPU.
  private var seen: [(pointer: UInt64, sight: Sight)] = []
  /// Where in `seen`.
  private var byPointer = AddressTable<Int>()
  private var byCPU = AddressTable<Int>()

  /// Of a pCPU, in the table of addresses.
  private static func key(_ cpu: Int32) -> UInt64 { UInt64(UInt32(bitPattern: cpu)) << 2 }

  /// Notes that `pointer` was in force at `at`. Returns the earlier sight that contradicts it:
  /// the same pointer on another pCPU, or another pointer on this pCPU.
  mutating func note(_ pointer: UInt64, _ at: Moment, _ function: KernelFunction) -> Contradiction?
  {
    guard pointer != 0 else { return nil }
    let sight = Sight(at: at, function: function)
    if let place = byPointer[pointer] {
      guard seen[place].sight.at.cpu == at.cpu else { return .samePointer(seen[place].sight) }
      seen[place].sight = sight
    } else if let own = byCPU[Self.key(at.cpu)] {
      return .otherPointer(seen[own].pointer, seen[own].sight)
    } else {
      byPointer[pointer] = seen.count
      byCPU[Self.key(at.cpu)] = seen.count
      seen.append((pointer, sight))
    }
    return nil
  }

  /// Slots of a context that were seen with something in them, bit by register.
  private var written = AddressTable<UInt16>()

  mutating func note(_ slots: KeySlots, of context: UInt64) {
    let mask = RegisterSet.all.subtracting(slots.zeros).rawValue
    let known = written[context] ?? 0
    if mask & ~known != 0 { written[context] = known | mask }
  }

  private var last = AddressTable<KeySlots>()

  /// What the slots of a context hold behind an exit. Returns what they held behind the exit before, on whichever thread.
  mutating func exchange(_ slots: KeySlots, of context: UInt64) -> KeySlots? {
    let before = last[context]
    if before != slots { last[context] = slots }
    return before
  }

  /// The registers whose slots were seen with something in them: one that is zero now was saved so.
  func written(of context: UInt64) -> RegisterSet {
    RegisterSet(rawValue: written[context] ?? 0)
  }

  func isKnown(on cpu: Int32) -> Bool { byCPU[Self.key(cpu)] != nil }

  enum Contradiction {
    case samePointer(Sight)
    case otherPointer(UInt64, Sight)
  }

  /// Two pCPUs whose contexts lie the other way round than the pCPUs: the kernel gives the pCPUs of one node their areas
  /// in the order of their numbers, one unit apart (pcpu_build_alloc_info, mm/percpu.c). Nil unless all contexts seen
  /// lie as those of one node do: of several nodes no order is known.
  var disorder: (lower: Sight, higher: Sight)? {
    let seen = seen.sorted { $0.sight.at.cpu < $1.sight.at.cpu }
    let pointers = seen.map(\.pointer).sorted()
    let gaps = zip(pointers.dropFirst(), pointers).map { $0 - $1 }
    guard let unit = gaps.min(), let last = seen.last, Self.units.contains(unit),
      gaps.allSatisfy({ $0 % unit == 0 }),
      gaps.reduce(0, +) / unit <= UInt64(max(0, last.sight.at.cpu))
    else { return nil }
    return zip(seen, seen.dropFirst()).first { $0.pointer > $1.pointer }
      .map { ($0.sight, $1.sight) }
  }

  /// Bytes of one pCPU's area: PCPU_MIN_UNIT_SIZE at least (include/linux/percpu.h), and not more than the per-CPU
  /// data of any kernel takes. Nodes are farther apart.
  private static let units: ClosedRange<UInt64> = 32 << 10...4 << 20
}
