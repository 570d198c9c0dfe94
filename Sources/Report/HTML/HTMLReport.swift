import Ptrauth
import Replay

/// `--format html`: one file that needs nothing else, no network, and no script for its text.
public enum HTMLReport {
  /// One recording's part of the page.
  public enum Part: Sendable {
    case judged(Document)
    /// There is no report of this recording: why, in a sentence.
    case refused(path: String, String)
    /// There is its timeline, and no report.
    case timeline(SavedTimeline)

    public var path: String {
      switch self {
      case .judged(let document): document.recording.path
      case .refused(let path, _): path
      case .timeline(let saved): saved.path ?? "timeline"
      }
    }
  }

  public static func render(_ parts: [Part]) -> [UInt8] {
    var page = Markup()
    let title =
      switch parts.first {
      case .judged(let document) where parts.count == 1:
        VerdictSentence(document).word.lowercased() + VerdictSentence(document).caveat + ": "
          + document.recording.path
      default: counted(UInt64(parts.count), "recording")
      }
    head("\(title) - ptrauth-trace", &page)
    page.raw("<body>\n<main>\n")
    if parts.count > 1 { contents(parts, &page) }
    var picture = 0
    for (number, part) in parts.enumerated() {
      page.element("article", [("id", "r\(number)")]) { page in
        switch part {
        case .judged(let document):
          let isDrawn = !(document.picture?.vcpus.isEmpty ?? true)
          self.document(document, isDrawn ? picture : nil, &page)
          if isDrawn { picture += 1 }
        case .refused(let path, let sentence):
          banner("ptrauth-trace analyze \(path)", "UNUSABLE", sentence, .doubtful, &page)
        case .timeline(let saved):
          let isDrawn = !saved.picture.vcpus.isEmpty
          HTMLTimelinePage.write(saved, &page)
          if isDrawn { picture += 1 }
        }
      }
    }
    page.raw("</main>\n")
    foot(&page)
    return page.bytes
  }

  /// - Parameter picture: the number of the recording's timeline in the page; nil: it has none.
  private static func document(_ document: Document, _ picture: Int?, _ page: inout Markup) {
    let sentence = VerdictSentence(document)
    banner(
      "ptrauth-trace analyze \(document.recording.path)", sentence.word + sentence.caveat,
      sentence.rest, sentence.tone, &page)
    HTMLSections.facts(document, &page)
    HTMLFindings.findings(document, picture, &page)
    timeline(document, &page)
    HTMLFindings.costs(document, picture, &page)
    HTMLSections.vcpus(document, &page)
    HTMLPasses.write(document, &page)
    HTMLSections.cpus(document, &page)
    HTMLSections.notObservable(document, &page)
    HTMLSections.recording(document, &page)
  }

  /// Several recordings: what became of each.
  private static func contents(_ parts: [Part], _ page: inout Markup) {
    page.element("nav", [("aria-label", "Recordings")]) { page in
      page.element("h1", counted(UInt64(parts.count), "recording"))
      page.element("table") { page in
        HTMLSections.header(["verdict", "recording", ""], &page)
        page.element("tbody") { page in
          for (number, part) in parts.enumerated() {
            page.element("tr") { page in
              let (word, path, rest) =
                switch part {
                case .judged(let document):
                  (
                    document.analysis.verdict.word + VerdictSentence(document).caveat,
                    document.recording.path, VerdictSentence(document).rest
                  )
                case .refused(let path, let sentence): ("unusable", path, sentence)
                case .timeline:
                  (HTMLTimelinePage.word(part), part.path, "the timeline alone")
                }
              page.element("td", word)
              page.element("td") { $0.element("a", [("href", "#r\(number)")], path) }
              page.element("td", rest)
            }
          }
        }
      }
    }
  }

  static func head(_ title: String, _ page: inout Markup) {
    page.part(PackageResources.head_html)
    page.open(
      "meta", [("name", "generator"), ("content", "ptrauth-trace \(ToolVersion.number)")])
    page.raw("\n")
    page.element("title", title)
    page.raw("\n<style>\n")
    page.part(PackageResources.report_css)
    page.raw("</style>\n</head>\n")
  }

  static func banner(
    _ tool: String, _ word: String, _ rest: String, _ tone: VerdictSentence.Tone,
    _ page: inout Markup
  ) {
    let (name, sign) =
      switch tone {
      case .good: ("good", "\u{2713}")
      case .doubtful: ("doubtful", "?")
      case .bad: ("bad", "\u{2717}")
      }
    page.element("header", [("class", "banner \(name)")]) { page in
      page.element("p", [("class", "tool")], tool)
      page.element("h1") { page in
        page.element("span", [("class", "sign"), ("aria-hidden", "true")], sign)
        page.element("span", [("class", "word")], word)
        page.raw(" ")
        page.element("span", [("class", "rest")], rest)
      }
    }
    page.raw("\n")
  }

  /// The picture, its legend, its controls, and its data.
  static func timeline(
    _ document: Document, title: String = "Timeline", _ page: inout Markup
  ) {
    guard let picture = document.picture else { return }
    timeline(picture, document.analysis, title: title, &page)
  }

  static func timeline(
    _ picture: TimelinePicture, _ analysis: Analysis, title: String, _ page: inout Markup
  ) {
    page.element("section", [("class", "timeline")]) { page in
      page.element("h2", title)
      guard !picture.vcpus.isEmpty else {
        page.element("p", [("class", "note")], "No vCPU was followed: there is nothing to draw.")
        return
      }
      page.raw(
        """
        <noscript><p class="note">The picture needs JavaScript; the tables do not.</p></noscript>

        """)
      page.element("div", [("class", "picture")]) { _ in }
      page.raw("\n<script type=\"application/json\">")
      page.json(PictureJSON.render(picture, analysis))
      page.raw("</script>\n")
    }
    page.raw("\n")
  }

  static func foot(_ page: inout Markup) {
    page.raw("<script>\n")
    for part in [
      PackageResources.model_js, PackageResources.lanes_js, PackageResources.timeline_js,
    ] { page.part(part) }
    page.raw("</script>\n</body>\n</html>\n")
  }
}
