/// One event as the recording's own `format` file describes it
/// (Documentation/trace/events.rst, "Event formats").
struct EventFormat {
  var system: String
  var name: String
  /// The `ID:` of the event: attr.config of a perf event, common_type of a raw record.
  var id: UInt64
  /// The fields other than the common ones, in record order.
  var fields: [Field] = []
  /// The fields that all events of the recording begin with: `common_type`, `common_pid` ...
  var commonFields: [Field] = []

  /// The numbers of its raw records are big-endian.
  var isBigEndian: Bool = false

  struct Field {
    var name: String
    /// Offset in the raw record, in bytes.
    var offset: Int
    /// Size in bytes.
    var size: Int
    var isSigned: Bool
    /// One number, not an array, a string or a `__data_loc`.
    var isScalar: Bool
    /// A `__data_loc` or `__rel_loc`: what it says lies behind the fields.
    var isDynamic = false
  }

  /// A kprobe (`__probe_ip`) or kretprobe (`__probe_func`) event, kernel/trace/trace_probe.h.
  var isProbe: Bool { field("__probe_ip") != nil || field("__probe_func") != nil }

  func field(_ name: String) -> Field? { fields.first { $0.name == name } }
}
