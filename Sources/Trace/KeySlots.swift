/// The ten key registers of a key set as a probe sampled them: APIA, APIB, APDA, APDB, APGA, each LO
/// then HI. Keys are secrets: a value can be compared, never printed.
public struct KeySlots: Sendable, BitwiseCopyable, Equatable, CustomStringConvertible,
  CustomReflectable
{
  @usableFromInline package var registers: InlineArray<10, UInt64>

  /// What reset_unknown() leaves in a slot (arch/arm64/kvm/sys_regs.h): the guest has not
  /// written its key yet.
  @usableFromInline package static let resetValue: UInt64 = 0x1de7_ec7e_dbad_c0de

  @inlinable package init(registers: InlineArray<10, UInt64>) { self.registers = registers }

  init() { registers = InlineArray(repeating: 0) }

  @inlinable
  public static func == (a: KeySlots, b: KeySlots) -> Bool {
    for i in 0..<10 where a.registers[i] != b.registers[i] { return false }
    return true
  }

  /// Every register is zero: the slot was never written.
  @inlinable
  public var isZero: Bool {
    for i in 0..<10 where registers[i] != 0 { return false }
    return true
  }

  /// Register `index` (0...9) still holds the value of a vCPU reset.
  @inlinable
  public func isReset(_ index: Int) -> Bool { registers[index] == Self.resetValue }

  @inlinable
  public func isZero(_ index: Int) -> Bool { registers[index] == 0 }

  /// Register `index` (0...9) has the same value in both.
  @inlinable
  public func isSame(_ index: Int, as other: KeySlots) -> Bool {
    registers[index] == other.registers[index]
  }

  /// Register `index` holds what register `place` of `other` does.
  @inlinable
  public func isSame(_ index: Int, as other: KeySlots, at place: Int) -> Bool {
    registers[index] == other.registers[place]
  }

  /// Register `index` is neither a small number nor an address, as far as one can see: a probe fetches those from a wrong
  /// place.
  @inlinable
  public func isRandom(_ index: Int) -> Bool {
    !(-1...0).contains(Int64(bitPattern: registers[index]) >> 48)
  }

  public var description: String { "KeySlots(redacted)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
