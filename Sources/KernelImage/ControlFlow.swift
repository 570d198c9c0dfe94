/// Which instructions of a kernel can run one after another, by the code of its image (link-time addresses).
///
/// The kernel changes itself: alternatives, static keys, and calls of mcount are taken for anything. Where the
/// image has no code (user space, modules, guests), all that is asked is that the order of addresses fits.
public struct ControlFlow {
  private let image: KernelImage
  /// Instructions that are replaced at boot or later.
  private var patched: Set<UInt64> = []
  /// The image says where its static keys are: elsewhere a B or NOP stays what it is.
  private let knowsStaticKeys: Bool
  private let mcount: Set<UInt64>
  private let vectors: [Range<UInt64>]
  private var lines: [Pair: Bool] = [:]
  private var branches: [Pair: Bool] = [:]

  private struct Pair: Hashable {
    var first: UInt64
    var second: UInt64
  }

  /// Straight-line code is at most as long, in bytes.
  private static let longestLine: UInt64 = 1 << 20
  private static let cacheLimit = 1 << 20

  public init(_ image: KernelImage) {
    self.image = image
    mcount = Set(image.addresses(of: "_mcount"))
    vectors = Self.tables.flatMap { table in
      image.addresses(of: table.name).filter { $0 < UInt64.max - 0x4000 }.map {
        $0..<$0 + table.count * 0x800
      }
    }
    for entry in image.alternatives.entries.values.joined() {
      for address in stride(from: entry.original.lowerBound, to: entry.original.upperBound, by: 4) {
        patched.insert(address)
      }
    }
    // struct jump_entry: s32 code and s32 target, each from its own field, and s64 key
    // (include/linux/jump_label.h, HAVE_ARCH_JUMP_LABEL_RELATIVE).
    var keys: Set<UInt64> = []
    if let start = image.addresses(of: "__start___jump_table").first,
      let stop = image.addresses(of: "__stop___jump_table").first, stop > start,
      let table = image.data(at: start, count: stop - start)
    {
      for offset in stride(from: 0, to: table.count - 15, by: 16) {
        let place = (0..<4).reduce(UInt32(0)) { $0 | UInt32(table[offset + $1]) << UInt32(8 * $1) }
        keys.insert(
          start &+ UInt64(offset) &+ UInt64(bitPattern: Int64(Int32(bitPattern: place))))
      }
    }
    knowsStaticKeys = !keys.isEmpty
    patched.formUnion(keys)
  }

  /// The image's instruction there; nil where it has none, or it is not known what stands there.
  private func word(_ address: UInt64) -> UInt32? {
    guard let word = image.code(at: address, count: 1)?.first, word != 0 else { return nil }
    return word
  }

  public func isPatched(_ address: UInt64) -> Bool {
    if patched.contains(address) { return true }
    // NOP, or B.
    guard !knowsStaticKeys, let word = word(address) else { return false }
    return word == 0xd503_201f || word & 0xfc00_0000 == 0x1400_0000
  }

  /// Whether all from `first` to `last` can run without a branch being taken; `last` may be one.
  public mutating func isLine(_ first: UInt64, through last: UInt64) -> Bool {
    guard last >= first, last - first < Self.longestLine, first % 4 == 0, last % 4 == 0 else {
      return false
    }
    let pair = Pair(first: first, second: last)
    if let known = lines[pair] { return known }
    let found = walk(first, last)
    if lines.count < Self.cacheLimit { lines[pair] = found }
    return found
  }

  private func walk(_ first: UInt64, _ last: UInt64) -> Bool {
    var address = first
    while address < last {
      guard let word = word(address) else { return true }
      if !isPatched(address), alwaysBranches(word, address) { return false }
      address += 4
    }
    return true
  }

  private func alwaysBranches(_ word: UInt32, _ address: UInt64) -> Bool {
    if word & 0xfe00_0000 == 0xd600_0000 { return true }  // BR, BLR, RET, ERET
    if word & 0xfc00_0000 == 0x1400_0000 { return true }  // B
    return word & 0xfc00_0000 == 0x9400_0000  // BL
      && !(Self.target(word, address).map(mcount.contains) ?? false)
  }

  /// Whether the instruction at `from` can go on at `to`: as the branch it is, or by an exception.
  public mutating func isBranch(_ from: UInt64, to: UInt64) -> Bool {
    let pair = Pair(first: from, second: to)
    if let known = branches[pair] { return known }
    let found = canBranch(from, to)
    if branches.count < Self.cacheLimit { branches[pair] = found }
    return found
  }

  private func canBranch(_ from: UInt64, _ to: UInt64) -> Bool {
    guard let word = word(from), !isPatched(from), !isVector(to) else { return true }
    if word & 0xfe00_0000 == 0xd600_0000 { return true }
    return Self.target(word, from) == to
  }

  /// ERET and its authenticating kin.
  public func isExceptionReturn(_ address: UInt64) -> Bool {
    guard let word = word(address) else { return false }
    return [0xd69f_03e0, 0xd69f_0bff, 0xd69f_0fff].contains(word)
  }

  /// An exception vector: 128 bytes apart, in one of the kernel's tables, or where the image has no code (the
  /// trampolines are mapped elsewhere).
  public func isVector(_ address: UInt64) -> Bool {
    guard address % 128 == 0 else { return false }
    return vectors.contains { $0.contains(address) } || word(address) == nil
  }

  /// Names of the tables (arch/arm64/kernel/entry.S, hyp-stub.S, kvm/hyp/hyp-entry.S), and how many tables of
  /// 16 vectors each there are at most.
  private static let tables: [(name: String, count: UInt64)] = [
    ("vectors", 1), ("__bp_harden_el1_vectors", 4), ("tramp_vectors", 4), ("__hyp_stub_vectors", 1),
    ("__kvm_hyp_vector", 1), ("__bp_harden_hyp_vecs", 8), ("__kvm_nvhe___kvm_hyp_vector", 1),
    ("__kvm_nvhe___kvm_hyp_host_vector", 1), ("__kvm_nvhe___bp_harden_hyp_vecs", 8),
  ]

  /// Where a direct branch leads; nil for any other instruction.
  static func target(_ word: UInt32, _ address: UInt64) -> UInt64? {
    func from(_ bits: Int32, _ shift: Int32) -> UInt64 {
      let distance = Int64((bits << shift) >> shift) * 4
      return address &+ UInt64(bitPattern: distance)
    }
    if word & 0x7c00_0000 == 0x1400_0000 {  // B, BL
      return from(Int32(bitPattern: word & 0x3ff_ffff), 6)
    }
    if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
      // B.cond, CBZ, CBNZ
      return from(Int32(bitPattern: word >> 5 & 0x7_ffff), 13)
    }
    if word & 0x7e00_0000 == 0x3600_0000 {  // TBZ, TBNZ
      return from(Int32(bitPattern: word >> 5 & 0x3fff), 18)
    }
    return nil
  }
}
