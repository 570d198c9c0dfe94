import CFuzzer
import Glibc

/// `TARGET=name fuzz [libFuzzer's options, folders and files]`; without a target the names of all.
///
/// The name is not an argument: libFuzzer runs itself again with all of them.
@main enum Fuzz {
  /// What libFuzzer's callback, which can hold nothing, runs.
  nonisolated(unsafe) private static var chosen: (target: Target, scratch: Scratch)?

  static func main() {
    let name = unsafe getenv("TARGET").map { unsafe String(cString: $0) }
    guard let target = Target.all.first(where: { $0.name == name }), let scratch = Scratch() else {
      for target in Target.all { print(target.name) }
      exit(name == nil ? 0 : 64)
    }
    unsafe chosen = (target, scratch)
    atexit { unsafe Fuzz.chosen?.scratch.remove() }
    var count = CommandLine.argc
    var arguments = unsafe CommandLine.unsafeArgv
    unsafe withUnsafeMutablePointer(to: &arguments) {
      let first = unsafe UnsafeMutableRawPointer($0).assumingMemoryBound(
        to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?.self)
      _ = unsafe LLVMFuzzerRunDriver(&count, first) { data, size in
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: data, count: size))
        if let chosen = unsafe Fuzz.chosen { chosen.target.run(bytes, chosen.scratch) }
        return 0
      }
    }
  }
}
