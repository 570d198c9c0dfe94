public import Regression

/// One metric: of whole recordings, of each of their VMs, and of each vCPU.
public struct Rates: Sendable, Hashable {
  public var recordings = RateSketch()
  public var vms = RateSketch()
  public var vcpus = RateSketch()

  public init() {}

  public var isEmpty: Bool { recordings.isEmpty && vms.isEmpty && vcpus.isEmpty }

  public mutating func merge(_ other: Self) {
    recordings.merge(other.recordings)
    vms.merge(other.vms)
    vcpus.merge(other.vcpus)
  }
}
