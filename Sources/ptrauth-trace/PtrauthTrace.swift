import ArgumentParser
import Report

package struct PtrauthTrace: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ptrauth-trace",
    abstract: "Checks the pointer authentication key switch of KVM/arm64 from recordings.",
    discussion: """
      Follows every vCPU's HCR_EL2.API and APK through a recording, replays it against the model of \
      the kernel's key switch, and says where keys were not saved or were switched for nothing.

      Examples:
        ptrauth-trace analyze -k vmlinux perf.data   (what is wrong, and where)
        ptrauth-trace info perf.data                 (does the recording suffice)
        ptrauth-trace explain missed-host-save       (what a finding means)
        ptrauth-trace audit vmlinux                  (without a recording)
        ptrauth-trace record -- ./workload           (on the arm64 host, as root)

      Exit codes: 0 clean, or done; 1 findings; 2 it cannot be judged, or the input is unusable; 64 usage.
      """,
    version: ToolVersion.line,
    subcommands: [
      Analyze.self, Merge.self, Compare.self, Info.self, Whatif.self, Render.self, Explain.self,
      Probes.self,
      Record.self,
      Redact.self, Manual.self, Verify.self, Audit.self,
    ])
}
