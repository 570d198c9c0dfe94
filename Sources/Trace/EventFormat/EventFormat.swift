/// One event as the recording's own `format` file describes it
/// (Documentation/trace/events.rst, "Event formats").
package struct EventFormat {
  package var system: String
  package var name: String
  /// The `ID:` of the event: attr.config of a perf event, common_type of a raw record.
  package var id: UInt64
  /// The fields other than the common ones, in record order.
  package var fields: [Field] = []
  /// The fields that all events of the recording begin with: `common_type`, `common_pid` ...
  var commonFields: [Field] = []

  /// The numbers of its raw records are big-endian.
  package var isBigEndian: Bool = false

  package init(
    system: String, name: String, id: UInt64, fields: [Field] = [], commonFields: [Field] = [],
    isBigEndian: Bool = false
  ) {
    self.system = system
    self.name = name
    self.id = id
    self.fields = fields
    self.commonFields = commonFields
    self.isBigEndian = isBigEndian
  }

  package struct Field {
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

    package init(
      name: String, offset: Int, size: Int, isSigned: Bool, isScalar: Bool, isDynamic: Bool = false
    ) {
      self.name = name
      self.offset = offset
      self.size = size
      self.isSigned = isSigned
      self.isScalar = isScalar
      self.isDynamic = isDynamic
    }
  }

  /// A kprobe (`__probe_ip`) or kretprobe (`__probe_func`) event, kernel/trace/trace_probe.h.
  var isProbe: Bool { field("__probe_ip") != nil || field("__probe_func") != nil }

  func field(_ name: String) -> Field? { fields.first { $0.name == name } }
}
