import ArgumentParser
import Ptrauth

/// What the user says of the recorded kernel.
struct KernelOptions: ParsableArguments {
  @Option(
    name: [.customShort("k"), .long],
    help: "The recorded kernel's vmlinux; may be .xz or .zst.", completion: .file())
  var vmlinux: String?

  @OptionGroup var types: TypeOptions

  @Option(
    help: ArgumentHelp(
      "The key switch's generation, where no vmlinux tells: v7, 5.2, 5.8 ... or a release.",
      valueName: "name"))
  var generation: String?

  @Option(
    help: ArgumentHelp(
      "Event formats for a recording without: a copy of tracefs' events, or a recording of the same boot.",
      valueName: "dir"),
    completion: .directory)
  var formats: String?

  func validate() throws {
    if let generation, Generation(named: generation) == nil {
      let names = Generation.all.map(\.name).joined(separator: ", ")
      throw ValidationError(
        "--generation \(generation): not a generation (\(names)) and not a kernel release")
    }
  }
}
