import Glibc
import Printing

/// Which file lies where in memory. A file that another process makes shorter while it is mapped raises
/// SIGBUS at the first access behind its new end: the process then ends with a sentence that names it.
///
/// Plain memory, as a signal handler may read it; for one thread.
@safe public enum MappedRanges {
  @safe private struct Entry {
    var base: UInt = 0
    var count = 0
    var descriptor: Int32 = -1
    var sentence: UnsafeMutablePointer<CChar>?
  }

  /// More files than this are mapped, and not named.
  private static let capacity = 512
  nonisolated(unsafe) private static let table: UnsafeMutablePointer<Entry> = {
    let table = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
    unsafe table.initialize(repeating: Entry(), count: capacity)
    return unsafe table
  }()
  nonisolated(unsafe) private static var exitCode: Int32 = 2
  nonisolated(unsafe) private static let unnamed: UnsafeMutablePointer<CChar>? =
    unsafe strdup(words("a file that is being read"))

  private static func words(_ file: String) -> String {
    "ptrauth-trace: \(file) became shorter while it was read: another program writes it, or cut it; "
      + "read it once it is complete, or a copy of it\n"
  }

  /// From now on SIGBUS ends the process with a sentence and this exit code.
  public static func endWithSentence(exitCode code: Int32) {
    unsafe exitCode = code
    _ = unsafe (table, unnamed)
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_sigaction = { _, info, _ in
      unsafe MappedRanges.end(info)
    }
    action.sa_flags = SA_SIGINFO | Int32(bitPattern: 0x8000_0000)
    unsafe sigaction(SIGBUS, &action, nil)
  }

  private static func end(_ info: UnsafeMutablePointer<siginfo_t>?) {
    // BUS_ADRERR: no byte of the file is there. Anything else is a fault of this program.
    guard let info = unsafe info, unsafe info.pointee.si_code == 2 else {
      signal(SIGBUS, SIG_DFL)
      return
    }
    let address = unsafe UInt(bitPattern: info.pointee._sifields._sigfault.si_addr)
    var sentence = unsafe unnamed
    var index = 0
    while index < capacity {
      let entry = unsafe table[index]
      if unsafe entry.sentence != nil, unsafe address &- entry.base < UInt(entry.count) {
        unsafe sentence = entry.sentence
        break
      }
      index += 1
    }
    if let text = unsafe sentence { _ = unsafe write(STDERR_FILENO, text, strlen(text)) }
    unsafe _exit(exitCode)
  }

  /// - Parameters:
  ///   - descriptor: of the mapped file; stays the caller's.
  ///   - path: its name for people; nil for memory, which nobody else can make shorter.
  static func note(_ base: UnsafeRawPointer, _ count: Int, _ descriptor: Int32, _ path: String?) {
    guard let path else { return }
    for index in 0..<capacity where unsafe table[index].sentence == nil {
      let text = unsafe strdup(words(ControlCharacters.escaped(path)))
      unsafe table[index] = Entry(
        base: UInt(bitPattern: base), count: count,
        descriptor: fcntl(descriptor, F_DUPFD_CLOEXEC, 0),
        sentence: text)
      return
    }
  }

  /// All files in these bytes are no longer mapped.
  static func forget(_ base: UnsafeRawPointer, _ count: Int) {
    for index in 0..<capacity {
      let entry = unsafe table[index]
      guard let sentence = unsafe entry.sentence,
        unsafe entry.base &- UInt(bitPattern: base) < UInt(count)
      else { continue }
      unsafe table[index] = Entry()
      unsafe free(sentence)
      if unsafe entry.descriptor >= 0 { unsafe close(entry.descriptor) }
    }
  }

  /// A mapped file has fewer bytes now than when it was opened: what was read behind its new end were
  /// zeros.
  public static var hasShrunk: Bool {
    for index in 0..<capacity {
      let entry = unsafe table[index]
      guard unsafe entry.sentence != nil else { continue }
      var status = stat()
      if unsafe fstat(entry.descriptor, &status) == 0, unsafe Int(status.st_size) < entry.count {
        return true
      }
    }
    return false
  }
}
