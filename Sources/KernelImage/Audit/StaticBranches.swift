import Bytes

/// `__jump_table`: instructions that static keys turn from a NOP into a branch and back
/// (arch/arm64/include/asm/jump_label.h): s32 where, s32 target, s64 key, each from its own field.
package struct StaticBranches {
  package private(set) var targets: [UInt64: UInt64] = [:]

  package init(_ image: KernelImage) {
    guard let start = image.addresses(of: "__start___jump_table").first,
      let stop = image.addresses(of: "__stop___jump_table").first, stop > start,
      let bytes = image.data(at: start, count: stop - start)
    else { return }
    bytes.withRawSpan { bytes in
      var position = 0
      while let code = bytes.u32(at: position), let target = bytes.u32(at: position + 4) {
        // A file whose data was blanked has zeros here.
        if code != 0, target != 0 {
          let field = start &+ UInt64(position)
          targets[field &+ UInt64(bitPattern: Int64(Int32(bitPattern: code)))] =
            field &+ 4 &+ UInt64(bitPattern: Int64(Int32(bitPattern: target)))
        }
        position += 16
      }
    }
  }
}
