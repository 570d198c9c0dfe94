/// Why there is no report, in one sentence that says what to do next.
struct Problem: Error {
  var sentence: String
  init(_ sentence: String) { self.sentence = sentence }
}
