import ArgumentParser
import Report

@main
struct PtrauthTrace: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ptrauth-trace",
    abstract: "Checks the pointer authentication key switch of KVM/arm64 from recordings.",
    discussion: """
      Follows every vCPU's HCR_EL2.API and APK through a recording, replays it against the model of \
      the kernel's key switch, and says where keys were not saved or were switched for nothing.
      """,
    version: ToolVersion.number,
    subcommands: [
      Analyze.self, Compare.self, Info.self, Whatif.self, Render.self, Explain.self, Probes.self,
      Record.self,
      Redact.self, Manual.self, Verify.self, Audit.self,
    ])
}
