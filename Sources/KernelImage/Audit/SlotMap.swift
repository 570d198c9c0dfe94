import Ptrauth

/// Key registers and the words of memory they were loaded from or stored to, judged against the order of the
/// slots.
struct SlotMap {
  /// Where each register's word is; none: it was not loaded or stored.
  var words: [KeyRegister: [Address]] = [:]
  /// Bytes from the slot of APIAKEYLO_EL1 to each register's.
  let distances: [Int64]

  init(_ offsets: Offsets?) {
    distances =
      offsets.map { offsets in offsets.slots.map { $0 - offsets.slots[0] } }
      ?? KeyRegister.allCases.map { Int64($0.rawValue) * 8 }
  }

  mutating func add(_ register: KeyRegister, _ address: Address) {
    words[register, default: []].append(address)
  }

  /// The address of APIAKEYLO_EL1's slot that most registers agree on.
  var base: Address? {
    var votes: [(base: Address, count: Int)] = []
    for register in KeyRegister.allCases {
      for word in words[register] ?? [] {
        let candidate = word.adding(-distances[register.rawValue])
        if let index = votes.firstIndex(where: { $0.base == candidate }) {
          votes[index].count += 1
        } else {
          votes.append((candidate, 1))
        }
      }
    }
    return votes.reduce(nil as (base: Address, count: Int)?) { best, vote in
      guard let best, best.count >= vote.count else { return vote }
      return best
    }?.base
  }

  struct Mistake: Hashable {
    var register: KeyRegister
    /// Where it is instead; nil: nowhere.
    var instead: Instead?

    enum Instead: Hashable {
      case slot(KeyRegister)
      /// Bytes from the first slot.
      case distance(Int64)
      case elsewhere
    }
  }

  /// Registers that are not where the others say they should be.
  var mistakes: [Mistake] {
    let base = base
    return KeyRegister.allCases.compactMap { register in
      let found = words[register] ?? []
      guard let base, let first = found.first else { return Mistake(register: register) }
      if found.contains(base.adding(distances[register.rawValue])) { return nil }
      guard first.symbol == base.symbol else {
        return Mistake(register: register, instead: .elsewhere)
      }
      let distance = first.offset &- base.offset
      let other = KeyRegister.allCases.first { distances[$0.rawValue] == distance }
      return Mistake(register: register, instead: other.map { .slot($0) } ?? .distance(distance))
    }
  }
}

extension [SlotMap.Mistake] {
  /// "APGAKEYLO_EL1 is missing, APIAKEYLO_EL1 is at the slot of APIAKEYHI_EL1".
  var words: String {
    map { mistake in
      let name = mistake.register.name
      return switch mistake.instead {
      case nil: "\(name) is missing"
      case .slot(let other): "\(name) is at the slot of \(other.name)"
      case .distance(let bytes): "\(name) is \(bytes) bytes from the slot of APIAKEYLO_EL1"
      case .elsewhere: "\(name) is not in that context"
      }
    }.joined(separator: ", ")
  }
}
