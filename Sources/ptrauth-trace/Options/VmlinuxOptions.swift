import ArgumentParser

/// The vmlinux that a command is about: an argument, or as the commands spell it that read recordings.
struct VmlinuxOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "The kernel's vmlinux, with symbols; may be .xz or .zst.", valueName: "vmlinux"),
    completion: .file())
  var file: String?

  @Option(
    name: [.customShort("k"), .long], help: "The same, as an option.", completion: .file())
  var vmlinux: String?

  /// Valid after `validate`.
  var path: String { file ?? vmlinux ?? "" }

  func validate() throws {
    guard (file == nil) != (vmlinux == nil) else {
      throw ValidationError("give one vmlinux: as an argument or with -k")
    }
  }
}
