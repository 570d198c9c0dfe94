/// A manual page about a subject that several commands share.
package struct ManualTopic: Sendable {
  package struct Section: Sendable {
    package var title: String
    /// Paragraphs, as in a command's discussion (``CommandDescription/Paragraph``).
    package var text: String
  }

  /// As `manual NAME` takes it.
  package var name: String
  var abstract: String
  package var sections: [Section]

  package var pageName: String { "ptrauth-trace-\(name)" }

  package static let all = [verdicts, recording, fleet, kernels, security]
}
