import Glibc
import Testing
import Trace

/// A guest's name comes out of a recording: it leads to files beside that one, and nowhere else.
struct GuestPathTests {
  @Test func namesStayBesideTheHost() throws {
    let folder = TemporaryFolder()
    for name in [
      "session/trace.dat", "session/trace-guest.dat", "secret.dat", "session/trace-x/y.dat",
    ] { folder.write(name, [1]) }
    let host = folder.path + "/session/trace.dat"
    #expect(
      GuestFile.usualPath(host: host, guest: "guest") == folder.path + "/session/trace-guest.dat")
    for guest in ["", "none", "x/y", "x/../../secret", "../secret", "/../../secret", "guest\0"] {
      #expect(GuestFile.usualPath(host: host, guest: guest) == nil, "\(guest)")
    }
    unsafe symlink("../secret.dat", folder.path + "/session/trace-far.dat")
    unsafe symlink("trace-guest.dat", folder.path + "/session/trace-near.dat")
    #expect(GuestFile.usualPath(host: host, guest: "far") == nil)
    #expect(GuestFile.usualPath(host: host, guest: "near") != nil)
  }
}
