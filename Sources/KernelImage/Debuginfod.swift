import Glibc

/// debuginfod, through the client library of elfutils if it is installed.
///
/// The library is loaded when needed and not linked: it brings libcurl with it, and most runs need neither.
/// It reads DEBUGINFOD_URLS, DEBUGINFOD_TIMEOUT and DEBUGINFOD_CACHE_PATH by itself.
enum Debuginfod {
  private typealias Begin = @convention(c) () -> OpaquePointer?
  private typealias End = @convention(c) (OpaquePointer?) -> Void
  // int debuginfod_find_debuginfo(debuginfod_client *, const unsigned char *, int, char **)
  private typealias Find =
    @convention(c) (
      OpaquePointer?, UnsafePointer<UInt8>?, CInt,
      UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> CInt

  /// The cached copy of the debug file with that build-id, fetched if need be.
  static func file(_ buildID: [UInt8]) -> String? {
    guard let library = unsafe dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL) else {
      return nil
    }
    guard let beginSymbol = unsafe dlsym(library, "debuginfod_begin"),
      let endSymbol = unsafe dlsym(library, "debuginfod_end"),
      let findSymbol = unsafe dlsym(library, "debuginfod_find_debuginfo")
    else { return nil }
    let begin = unsafe unsafeBitCast(beginSymbol, to: Begin.self)
    let end = unsafe unsafeBitCast(endSymbol, to: End.self)
    let find = unsafe unsafeBitCast(findSymbol, to: Find.self)
    guard let client = unsafe begin() else { return nil }
    defer { unsafe end(client) }
    var path: UnsafeMutablePointer<CChar>?
    let descriptor = unsafe find(client, buildID, CInt(clamping: buildID.count), &path)
    guard descriptor >= 0 else { return nil }
    close(descriptor)
    guard let found = unsafe path else { return nil }
    defer { unsafe free(found) }
    return unsafe String(cString: found)
  }
}
