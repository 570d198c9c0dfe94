/// Why there is no report, in one sentence that says what to do next.
package struct Problem: Error {
  package var sentence: String
  init(_ sentence: String) { self.sentence = sentence }
}
