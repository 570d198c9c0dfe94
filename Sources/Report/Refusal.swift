/// What a terminal shows of a recording in which there is nothing to judge: one sentence.
public enum Refusal {
  public static func text(_ path: String, _ sentence: String, style: Style) -> String {
    var page = Page(style)
    page.sentence("\(style.yellow("UNUSABLE")): \(sentence)")
    page.line()
    page.paragraph("recording  ", path)
    return page.text
  }
}
