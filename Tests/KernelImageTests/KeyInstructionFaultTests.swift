import Glibc
import KernelImage
import Ptrauth
import Testing

/// Every single access to a key register in the key switch matters.
@Suite("Audit of one key instruction")
struct KeyInstructionFaultTests {
  @Test(
    "nothing fails in a kernel that nobody broke, and all of it is judged",
    arguments: CodeKernel.all.filter { $0.path.hasPrefix("traces/") })
  func unmodified(kernel: CodeKernel) throws { try passes(kernel) }

  @Test(
    "nor in one that Clang built",
    .enabled(if: CodeKernel.all.allSatisfy(\.isPresent), CodeKernel.missing),
    arguments: CodeKernel.all.filter { !$0.path.hasPrefix("traces/") })
  func clang(kernel: CodeKernel) throws { try passes(kernel) }

  private func passes(_ kernel: CodeKernel) throws {
    let scratch = try Scratch()
    let image = try KernelImage(path: kernel.unpacked(in: scratch))
    #expect(image.generationEvidence().generation == kernel.generation)
    let audit = try image.audit()
    #expect(
      audit.verdict == .pass, "\(audit.checks.filter { ![.pass, .note].contains($0.outcome) })")
    #expect(audit.checks.count { $0.question == .keySet && $0.outcome == .pass } >= 6)
  }

  /// All of them take minutes: every eighth of each kernel, another eighth in each; all with
  /// PTRAUTH_TRACE_EVERY_FAULT=1.
  private static let stride = unsafe getenv("PTRAUTH_TRACE_EVERY_FAULT") == nil ? 8 : 1

  @Test(
    "an MRS or MSR of a key in the switch and the host save, made a NOP, fails",
    arguments: CodeKernel.all.indices.filter { CodeKernel.all[$0].isPresent })
  func withoutOne(index: Int) throws {
    let recorded = CodeKernel.all[index]
    let scratch = try Scratch()
    let image = try KernelImage(path: recorded.unpacked(in: scratch))
    // The way to the save of a build with memory tags takes seconds to walk: the guest switch alone there.
    let users: [KeySites.User] =
      recorded.testDescription.contains("tags") ? [.guestSwitch] : [.guestSwitch, .hostSave]
    let sites = try image.audit(asking: [.sites]).sites
    var tried = 0
    for access in image.keyAccesses() {
      guard let function = image.function(at: access.address),
        let site = sites.first(where: { site in
          site.place == function.name && users.contains(site.user)
        })
      else { continue }
      tried += 1
      guard tried % Self.stride == index % Self.stride else { continue }
      image.replacedInstructions = [access.address: nop]
      defer { image.replacedInstructions = [:] }
      let failures = try image.audit(asking: site.user == .hostSave ? [.hostSave] : [.keySet])
        .failures
      #expect(
        failures.contains { [.keySet, .hostSave].contains($0.question) },
        "\(recorded): \(function.name)+\(function.offset)")
    }
    // Twice thirty in the guest switch, ten for each host save.
    #expect(tried >= (users.count == 1 ? 60 : 70), "\(tried)")
  }
}
