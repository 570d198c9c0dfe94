/// Where in the recording something was seen.
public struct Moment: Sendable, Hashable {
  /// Nanoseconds in the recording's clock.
  public var time: UInt64
  public var cpu: Int32
  public var tid: Int32

  public init(time: UInt64, cpu: Int32, tid: Int32) {
    self.time = time
    self.cpu = cpu
    self.tid = tid
  }
}
