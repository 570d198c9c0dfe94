import Bytes
import KernelImage
package import Replay
package import Trace

/// The vmlinux that belongs to a recording, and how that is known.
package struct KernelChoice {
  package private(set) var binding: KernelBinding?
  private(set) var evidence: GenerationEvidence?
  /// Sentences for the user.
  private(set) var warnings: [String] = []
  private var basis: Basis
  private let recordedID: String?

  private enum Basis {
    case none
    case buildID
    /// One of the two has no build-id: probe addresses have to tell.
    case unverified(why: String)
    case mismatch
  }

  /// The vmlinux says that it is another build than the recorded kernel.
  var isMismatch: Bool { if case .mismatch = basis { true } else { false } }
  /// No kernel, and none is missed.
  static var none: KernelChoice { KernelChoice() }

  private init() {
    basis = .none
    recordedID = nil
  }

  /// - Parameters:
  ///   - explicit: `--vmlinux`; nil looks where perf and the distributions put it.
  ///   - types: `--btf` and `--all-units`.
  ///   - isOffline: no server is asked.
  package init(
    explicit: String?, recording: Recording, types: TypeOptions? = nil, isOffline: Bool = false
  ) throws(Problem) {
    basis = .none
    recordedID = recording.kernelBuildID.map(hexadecimal)
    if let explicit {
      try take(explicit, recording)
    } else {
      search(recording, isOffline: isOffline)
    }
    guard let image = binding?.image else { return }
    do throws(KernelImageError) { try image.requireSymbols() } catch {
      throw Problem(
        error.code == .noSymbols
          ? "\(image.path) has no symbol table: it is stripped, and no probe address can be named; "
            + "pass the vmlinux with symbols (the -dbg package's) with -k" : "\(error)")
    }
    do throws(KernelImageError) { try types?.adopt(into: image) } catch {
      throw Problem("\(error)")
    }
    evidence = image.generationEvidence()
    try types?.requireAgreement(of: image)
    if evidence?.generation == nil {
      warnings.append("the marks of \(image.path) fit no generation of the key switch (see -v)")
    }
  }

  private mutating func take(_ path: String, _ recording: Recording) throws(Problem) {
    let image: KernelImage
    do { image = try KernelImage(path: path) } catch { throw Problem("\(error)") }
    binding = KernelBinding(image, recording)
    switch (image.buildID, recording.kernelBuildID) {
    case (let has?, let wanted?) where has == wanted: basis = .buildID
    case (let has?, let wanted?):
      basis = .mismatch
      warnings.append(
        "WRONG KERNEL? \(path) has build-id \(hexadecimal(has)), but the recording was made on "
          + "\(hexadecimal(wanted)); what follows is only as right as they are alike")
    case (nil, _): basis = .unverified(why: "the vmlinux has no build-id")
    case (_, nil): basis = .unverified(why: "the recording has no build-id")
    }
  }

  private mutating func search(_ recording: Recording, isOffline: Bool) {
    let finder = KernelImageFinder(
      environment: ProcessState.environment, isOffline: isOffline)
    let search = finder.find(
      buildID: recording.kernelBuildID, osRelease: recording.osRelease,
      recordingDirectory: recording.path.directory)
    for mismatch in search.mismatches where search.image == nil {
      warnings.append(
        "\(mismatch.path) is not the recorded kernel: its build-id is "
          + "\(mismatch.buildID.map(hexadecimal) ?? "missing"), the recording's "
          + "\(recording.kernelBuildID.map(hexadecimal) ?? "missing")")
    }
    for failure in search.failures where search.image == nil { warnings.append("\(failure)") }
    guard let image = search.image else {
      let id = recording.kernelBuildID.map { "with build-id \(hexadecimal($0)) " } ?? ""
      warnings.append(
        "no vmlinux \(id)was found beside the recording or where build-ids lead; pass it with -k")
      return
    }
    binding = KernelBinding(image, recording)
    switch search.verification {
    case .buildID: basis = .buildID
    default: basis = .unverified(why: "the recording has no build-id")
    }
  }

  /// How the two belong together, in words. The probes' addresses are the second witness: they must fall on entries of
  /// functions. Where a text has symbols in their place, those are: the image must have them, as long as they say.
  func check(_ probeAddresses: [UInt64], _ probeSymbols: [SymbolName]) throws(Problem) -> String {
    guard let binding else { return "probes cannot be named; kvm tracepoints only" }
    let id = binding.image.buildID.map { "build-id \(hexadecimal($0))" } ?? "no build-id"
    func stranger(_ why: String) -> Problem {
      Problem(
        "\(binding.image.path) (\(id)) does not belong to this recording"
          + (recordedID.map { " (build-id \($0))" } ?? "")
          + ": \(why); pass the recorded kernel's vmlinux with -k")
    }
    let entries = probeAddresses.count { binding.isFunctionEntry($0) }
    if entries * 2 < probeAddresses.count {
      throw stranger(
        "\(probeAddresses.count - entries) of \(probeAddresses.count) probe addresses fall on no function of it"
      )
    }
    let known = probeSymbols.compactMap(binding.has)
    let alike = known.count { $0 }
    if alike * 2 < known.count {
      throw stranger(
        "\(known.count - alike) of \(known.count) probed functions are not in it, or have another size"
      )
    }
    var witnesses: [String] = []
    if !probeAddresses.isEmpty {
      witnesses.append(
        "\(entries) of \(probeAddresses.count) probe addresses fall on functions of it")
    }
    if !known.isEmpty {
      let haveSizes = probeSymbols.contains { $0.size > 0 }
      witnesses.append(
        "\(alike) of \(known.count) probed functions are in it\(haveSizes ? ", as long as the text says" : "")"
      )
    }
    let probes = witnesses.isEmpty ? nil : witnesses.joined(separator: ", ")
    switch basis {
    case .buildID: return "\(id), the same in the recording"
    case .mismatch:
      return "\(id), NOT the recording's" + (probes.map { "; \($0)" } ?? "")
    case .unverified(let why):
      return "\(id); \(why)" + (probes.map { ", but \($0)" } ?? ": not verified")
    case .none: return id
    }
  }
}
