/// A manual page about a subject that several commands share.
struct ManualTopic: Sendable {
  struct Section: Sendable {
    var title: String
    /// Paragraphs, as in a command's discussion (``CommandDescription/Paragraph``).
    var text: String
  }

  /// As `manual NAME` takes it.
  var name: String
  var abstract: String
  var sections: [Section]

  var pageName: String { "ptrauth-trace-\(name)" }

  static let all = [verdicts, recording, fleet, kernels, security]
}
