import ArgumentParser
import KernelImage
import Ptrauth

/// `--generation`: which scheme the key switch follows, where the kernel does not tell.
struct GenerationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The key switch's generation, where no vmlinux tells: v7, 5.2, 5.8, 5.9 ... or a release.",
      valueName: "name"), completion: .list(Generation.all.map(\.name)))
  var generation: String?

  func validate() throws {
    if let generation, Generation(named: generation) == nil {
      let names = Generation.all.map(\.name).joined(separator: ", ")
      throw ValidationError(
        "--generation \(generation): not a generation (\(names)) and not a kernel release")
    }
  }

  /// What the marks of a vmlinux name, else what was asked for.
  func generation(of image: KernelImage) throws(Problem) -> Generation? {
    try Self.agreed(generation, image.generationEvidence(), image.path)
  }

  /// Throws if the marks of a vmlinux name another generation than was asked for.
  static func agreed(
    _ asked: String?, _ evidence: GenerationEvidence, _ path: String
  ) throws(Problem) -> Generation? {
    guard let asked = asked.flatMap({ Generation(named: $0) }) else { return evidence.marked }
    guard evidence.allows(asked) else {
      throw Problem(
        "--generation \(asked.name): the marks of \(path) say \(evidence.generation ?? "") "
          + "(`audit -v` lists them); leave the option out, or give the vmlinux it is meant for")
    }
    return asked
  }
}
