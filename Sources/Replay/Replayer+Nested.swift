import Ptrauth

/// A guest hypervisor's return to its guest, until that is entered.
struct NestedReturn {
  var bits: EnableBits
  var at: Moment
  var puts = 0
  var loads = 0

  /// The load that follows it came: the bits are computed there. A second one, or a second put, may be that of a reset.
  var isLoaded: Bool { loads == 1 && puts <= 1 }
}

/// A nested guest that was entered with other bits than its hypervisor gives it. It waits, as a loss is known only when
/// its pCPU writes again.
struct NestedDifference {
  var vcpu: Int
  var given: NestedReturn
  var enter: Moment
  var sample: EnableBits
  var count: UInt64 = 1
}

// Nested guests: their bits are L1's.
extension Replayer {
  mutating func nestedEret(_ pointer: UInt64, _ at: Moment, spsr: UInt64, hcr: UInt64) {
    sawNested = true
    guard let index = pointerIndex[pointer] else { return }
    vcpus[index].nestedBits = nil
    // PSTATE.M: EL0 or EL1. With E2H (bit 34) and TGE (bit 27) of HCR_EL2 EL0 is still the hypervisor's.
    let isHypervisors = spsr & 0xf >= 8 || (hcr >> 34 & hcr >> 27 & 1) == 1
    // Without the feature any bit is a `switch-without-feature`.
    guard capabilities.hasNestedEvents, !isHypervisors, vcpus[index].state.feature == .both else {
      return
    }
    vcpus[index].nestedBits = NestedReturn(bits: EnableBits(hcr: hcr), at: at)
  }

  /// L1 is entered instead.
  mutating func nestedException(_ pointer: UInt64) {
    sawNested = true
    if let index = pointerIndex[pointer] { vcpus[index].nestedBits = nil }
  }

  /// The first entry after L1's return.
  mutating func judgeNested(_ run: OpenRun) {
    guard let expected = vcpus[run.vcpu].nestedBits, expected.isLoaded,
      expected.at.time < run.enter.time
    else { return }
    vcpus[run.vcpu].nestedBits = nil
    guard generation?.nestedBits == .fromGuest, !configuration.generationIsWeak,
      let sample = run.entrySample, sample.isKnown
    else { return }
    // What L1 itself runs with is both: had the nested guest the same, nothing would show.
    if expected.bits != .set { exercise(.nestedBitsDiffer, run.vcpu) }
    guard sample != expected.bits else { return }
    if nestedDifferences.count < Self.mostNestedDifferences {
      nestedDifferences.append(
        NestedDifference(vcpu: run.vcpu, given: expected, enter: run.enter, sample: sample))
    } else {
      nestedDifferences[Self.mostNestedDifferences - 1].count += 1
    }
  }

  private static let mostNestedDifferences = 1024

  /// At the end: those that no loss lies in. Between the two L1 may have been entered, on any pCPU.
  mutating func commitNestedDifferences() {
    for found in nestedDifferences {
      let (given, enter) = (found.given, found.enter)
      if mayLackEvents(from: given.at.cpu, until: enter.time, end: enter.time) {
        leaveUndecided([.nestedBitsDiffer])
        continue
      }
      let identity = vcpus[found.vcpu].identity
      log.add(.nestedBitsDiffer, .proved, vcpu: identity, at: enter, count: found.count) {
        (
          "the nested guest was entered with \(words(found.sample)); its hypervisor gives it "
            + "\(words(given.bits))",
          [
            Evidence(given.at, "kvm_nested_eret", "gives \(words(given.bits))"),
            Evidence(enter, "kvm_entry", "shadow \(words(found.sample))"),
          ]
        )
      }
      emit?(.finding(.nestedBitsDiffer, .proved, identity, enter))
    }
    nestedDifferences = []
  }
}
