package import ArgumentParser

/// What the user says of the recorded kernel.
package struct KernelOptions: ParsableArguments {
  package init() {}

  @Option(
    name: [.customShort("k"), .long],
    help: "The recorded kernel's vmlinux; may be .xz or .zst.", completion: .file())
  package var vmlinux: String?

  @OptionGroup var types: TypeOptions

  @OptionGroup var scheme: GenerationOptions

  @Option(
    help: ArgumentHelp(
      "Event formats for a recording without: a copy of tracefs' events, or a recording of the same boot.",
      valueName: "dir"),
    completion: .directory)
  var formats: String?

  @Flag(help: "Ask no debuginfod server for the vmlinux, whatever DEBUGINFOD_URLS says.")
  var offline = false

  @OptionGroup var speed: JobOptions

  var generation: String? { scheme.generation }
}
