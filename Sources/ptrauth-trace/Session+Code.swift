import Bytes
import KernelImage
import Ptrauth
import Replay
import Report

extension Session {
  /// What the code of the recorded kernel says.
  func judgeCode() -> CodeJudgement {
    guard auditsCode else { return CodeJudgement(reason: "--no-audit was given") }
    guard let image = binding?.image else {
      return CodeJudgement(reason: "no vmlinux; pass the recorded kernel's with -k")
    }
    guard !kernel.isMismatch else {
      return CodeJudgement(reason: "\(image.path) is another build than the recorded kernel")
    }
    do throws(KernelImageError) {
      return CodeJudgement(try AuditedKernels.audit(image))
    } catch {
      return CodeJudgement(reason: "\(error)")
    }
  }
}

/// Audits of this process: recordings of one kernel ask for the same one.
private enum AuditedKernels {
  private struct Key: Hashable {
    /// A build-id alone does not name the code: a vmlinux can be changed and keep it.
    var path: String
    var buildID: [UInt8]?
    /// Offsets may come from a file of their own.
    var types: [String]
  }
  private static let known = SharedValue<[Key: CodeAudit]>([:])

  static func audit(_ image: KernelImage) throws(KernelImageError) -> CodeAudit {
    let key = Key(
      path: image.path, buildID: image.buildID, types: image.typeFormats.map(\.rawValue))
    if let audit = known.withLock({ $0[key] }) { return audit }
    let audit = try image.audit()
    known.withLock { $0[key] = audit }
    return audit
  }
}

extension SourcePlace {
  /// Of an instruction whose line is known.
  init?(_ line: CodeLine) {
    guard let source = line.source, let colon = source.lastIndex(of: ":"),
      let number = Int(source[source.index(after: colon)...])
    else { return nil }
    let function = line.symbol.map { String($0.prefix { $0 != "+" }) }
    self.init(function: function ?? "", file: String(source[..<colon]), line: number)
  }
}
