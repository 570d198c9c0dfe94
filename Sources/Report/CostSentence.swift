import Ptrauth
import Replay

/// What one occurrence of a cost rule is counted as, and why no more.
enum CostSentence {
  /// nil where the number explains itself.
  static func of(_ finding: Finding, _ kernel: KernelFacts) -> String? {
    guard finding.rule == .redundantSwitch, let cost = finding.cost, finding.count > 0 else {
      return nil
    }
    let each = cost.accesses / finding.count
    let all = Cost.switchedPass.accesses
    let words = "\(each) each"
    guard each < all else {
      return words
        + ": all five keys are saved once and loaded twice, and this kernel uses none itself"
    }
    return words + ", not \(all): the \(all - each) of APIA are left out, as this kernel "
      + (kernel.usesPointerAuth == true ? "signs" : "may sign")
      + " its own return addresses with it"
  }
}
