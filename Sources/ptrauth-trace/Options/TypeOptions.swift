import ArgumentParser
import KernelImage

/// Where struct offsets come from, and how far they are trusted.
package struct TypeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Struct offsets from a file of BTF, for a vmlinux without: a copy of /sys/kernel/btf/vmlinux.",
      valueName: "file"),
    completion: .file())
  var btf: String?

  @Flag(help: "Compare the struct offsets used with every compile unit in DWARF (seconds).")
  var allUnits = false

  /// A vmlinux, with the BTF that was given.
  func open(_ path: String) throws(KernelImageError) -> KernelImage {
    let image = try KernelImage(path: path)
    try adopt(into: image)
    return image
  }

  func adopt(into image: KernelImage) throws(KernelImageError) {
    if let btf { try image.adopt(BTFFile(path: btf)) }
  }

  /// Throws if `--all-units` was given and the units do not agree on what was asked so far.
  func requireAgreement(of image: KernelImage) throws(Problem) {
    guard allUnits else { return }
    let agreement: UnitAgreement
    do throws(KernelImageError) { agreement = try image.unitAgreement() } catch {
      throw Problem("\(error)")
    }
    if !agreement.differences.isEmpty { throw Problem("\(image.path): \(agreement.summary)") }
  }
}
