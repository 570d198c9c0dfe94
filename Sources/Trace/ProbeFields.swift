/// The fetch arguments the analysis understands, by their canonical names (the last member's name
/// in lower case, as perf probe names them). Absent fields are nil.
public struct ProbeFields: Sendable, BitwiseCopyable {
  /// Its numbers, by their place in the decoder's table of names, and the two key sets: which of them are there,
  /// and all of them. What is not there may hold anything.
  @usableFromInline package var present: UInt16 = 0
  @usableFromInline package var numbers = InlineArray<13, UInt64>(repeating: 0)
  @usableFromInline package var guest = KeySlots()
  @usableFromInline package var host = KeySlots()

  @usableFromInline package static let guestBit: UInt16 = 1 << 14
  @usableFromInline package static let hostBit: UInt16 = 1 << 15

  public init() {}

  /// See ``Event/take(_:)``.
  @inline(__always)
  mutating func take(_ other: borrowing ProbeFields) {
    present = other.present
    for place in numbers.indices where present >> UInt16(truncatingIfNeeded: place) & 1 != 0 {
      numbers[place] = other.numbers[place]
    }
    if present & Self.guestBit != 0 { guest = other.guest }
    if present & Self.hostBit != 0 { host = other.host }
  }

  @inlinable
  subscript(number place: Int) -> UInt64? {
    get { present >> UInt16(truncatingIfNeeded: place) & 1 != 0 ? numbers[place] : nil }
    set {
      let bit: UInt16 = 1 << UInt16(truncatingIfNeeded: place)
      guard let newValue else {
        present &= ~bit
        return
      }
      present |= bit
      numbers[place] = newValue
    }
  }

  @inlinable
  subscript(int32 place: Int) -> Int32? {
    get { self[number: place].map(Int32.init(truncatingIfNeeded:)) }
    set { self[number: place] = newValue.map(UInt64.init(truncatingIfNeeded:)) }
  }

  /// `vcpu`: struct kvm_vcpu *.
  @inlinable public var vcpu: UInt64? {
    get { self[number: 0] }
    set { self[number: 0] = newValue }
  }
  /// `cpu`: second argument of kvm_arch_vcpu_load.
  @inlinable public var cpu: Int32? {
    get { self[int32: 1] }
    set { self[int32: 1] = newValue }
  }
  /// `vcpu_id`.
  @inlinable public var vcpuID: Int32? {
    get { self[int32: 2] }
    set { self[int32: 2] = newValue }
  }
  /// `hcr_el2`: the shadow, vcpu->arch.hcr_el2 (v7: vcpu->arch.ctxt.hcr_el2).
  @inlinable public var hcr: UInt64? {
    get { self[number: 3] }
    set { self[number: 3] = newValue }
  }
  /// `features`: vcpu->arch.features (6.x later: kvm->arch.vcpu_features).
  @inlinable public var features: UInt64? {
    get { self[number: 4] }
    set { self[number: 4] = newValue }
  }
  /// `esr_el2`: vcpu->arch.fault.esr_el2.
  @inlinable public var esr: UInt64? {
    get { self[number: 5] }
    set { self[number: 5] = newValue }
  }
  /// `exit_code`: argument of handle_exit, return value of __kvm_vcpu_run.
  @inlinable public var exitCode: Int32? {
    get { self[int32: 6] }
    set { self[int32: 6] = newValue }
  }
  /// `cflags`, `iflags`, `sflags`: vcpu->arch flags (6.0 and later).
  @inlinable public var cflags: UInt64? {
    get { self[number: 7] }
    set { self[number: 7] = newValue }
  }
  @inlinable public var iflags: UInt64? {
    get { self[number: 8] }
    set { self[number: 8] = newValue }
  }
  @inlinable public var sflags: UInt64? {
    get { self[number: 9] }
    set { self[number: 9] = newValue }
  }
  /// `host_ctxt`: vcpu->arch.host_cpu_context (up to 5.7).
  @inlinable public var hostContext: UInt64? {
    get { self[number: 10] }
    set { self[number: 10] = newValue }
  }
  /// `mm`: vcpu->kvm->mm, the address space of the VMM: which process it is, where the recorder tells none.
  @inlinable public var mm: UInt64? {
    get { self[number: 11] }
    set { self[number: 11] = newValue }
  }
  /// `userspace_pid`: vcpu->kvm->userspace_pid, the thread that made the VM (kvm_uevent_notify_change,
  /// virt/kvm/kvm_main.c).
  @inlinable public var userspacePID: Int32? {
    get { self[int32: 12] }
    set { self[int32: 12] = newValue }
  }
  /// `apiakeylo_el1` ... `apgakeyhi_el1`: the guest's key slots. Nil unless all ten are there.
  @inlinable public var guestKeys: KeySlots? {
    get { present & Self.guestBit != 0 ? guest : nil }
    set {
      present = newValue == nil ? present & ~Self.guestBit : present | Self.guestBit
      if let newValue { guest = newValue }
    }
  }
  /// `host_apiakeylo_el1` ...: the key slots of the host context. Nil unless all ten are there.
  @inlinable public var hostKeys: KeySlots? {
    get { present & Self.hostBit != 0 ? host : nil }
    set {
      present = newValue == nil ? present & ~Self.hostBit : present | Self.hostBit
      if let newValue { host = newValue }
    }
  }
}
