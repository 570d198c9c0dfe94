public import Bytes

/// A process that takes the instance and the probes away when this one ends, however it ends.
///
///     ptrauth-trace ──pipe──▶ sh: read _ ; rmdir instance ; "-:group/event" > kprobe_events
///
/// Its read returns when the last writing end of the pipe is closed: by ``end()``, or by the kernel after
/// SIGKILL. There is no other way of cleaning up.
///
/// Recorded pages are no business of its: what was written stays.
public final class Guardian {
  package let process: SpawnedProcess
  private let tracefs: Tracefs
  private let id: Int32

  /// - Parameter id: the process whose instance and probes these are.
  public init(_ tracefs: Tracefs, of id: Int32) throws(SystemFileError) {
    self.tracefs = tracefs
    self.id = id
    process = try SpawnedProcess(
      [
        "/bin/sh", "-c", Self.script, "ptrauth-trace-guardian", tracefs.root,
        Tracefs.instance(of: id), Tracefs.group(of: id),
      ], isGuardian: true)
  }

  /// Cleans up; false when something is left.
  public func end() -> Bool {
    process.closeInput()
    let code = process.wait()
    if code < 128 { return code == 0 }
    // It was killed: another one does it.
    return (try? Guardian(tracefs, of: id).end()) ?? false
  }

  /// A process that reads a buffer may take a moment to go: an instance in use cannot be removed.
  private static let script = #"""
    trap '' HUP INT QUIT TERM PIPE
    read _
    probes=$1/kprobe_events instance=$1/instances/$2 group=$3
    if [ -d "$instance" ]; then
      for switch in tracing_on events/enable; do
        [ -e "$instance/$switch" ] && echo 0 > "$instance/$switch"
      done
      tries=0
      until rmdir "$instance" || [ ! -d "$instance" ] || [ $tries -ge 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
      done
    fi
    if [ -e "$probes" ]; then
      for event in $(sed -n "s|^[a-z][0-9]*:\($group/[^ ]*\).*|\1|p" "$probes"); do
        echo "-:$event" >> "$probes"
      done
      grep -q "^[a-z][0-9]*:$group/" "$probes" && exit 1
    fi
    [ ! -d "$instance" ]
    """#
}
