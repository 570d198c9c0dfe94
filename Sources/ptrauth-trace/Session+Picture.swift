import Ptrauth
package import Replay
package import Report

extension Session {
  /// The analysis and its picture. Whether the shadow can be trusted is known only at the end; if it
  /// cannot, the picture is made again, from a second pass where one is possible.
  package func picture() throws(Problem) -> (Analysis, TimelinePicture) {
    var collector = TimelineCollector()
    let analysis = try replay { collector.add($0) }
    guard canReread, analysis.wasFound(.trapWhileEnabled) else {
      return (analysis, collector.finish())
    }
    collector = TimelineCollector()
    let again = try replay(shadowIsNotLive: true) { collector.add($0) }
    return (again, collector.finish())
  }
}
