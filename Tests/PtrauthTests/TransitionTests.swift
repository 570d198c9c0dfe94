import Ptrauth
import Testing

/// The model beside the patch: what each function of v7 does, and where its successors differ.
struct TransitionTests {
  private let host: Int32 = 500

  private func vcpu(_ feature: Feature, _ bits: EnableBits) -> VCPUState {
    VCPUState(feature: feature, bits: bits)
  }

  @Test func v7InOrder() {
    let v7 = Generation.g2.code.seen(by: .apdbHi)
    var v = vcpu(.both, .unknown)
    var c = PCPUState(live: .host(process: host), hostSlots: .valid(process: 9))
    v7.reset(&v)
    #expect(v.bits == .clear)
    v7.load(&v, on: 0, &c, process: host)
    #expect(v.bits == .clear && v.loadedOn == 0)
    #expect(c.hostSlots == .stale(process: 9), "load saves nothing, and what was there is not ours")
    v7.guestEnter(v, vcpu: 1, &c, process: host)
    #expect(c.live == .host(process: host), "the guard skips the switch")
    v7.guestExit(v, &c, process: host)
    v7.trap(&v, &c, process: host)
    #expect(v.bits == .set && c.hostSlots == .valid(process: host))
    v7.guestEnter(v, vcpu: 1, &c, process: host)
    #expect(c.live == .guest(vcpu: 1))
    v7.guestExit(v, &c, process: host)
    #expect(c.live == .host(process: host))
    v7.put(&v)
    #expect(v.bits == .set && v.loadedOn == nil, "put touches no bit")
    v7.load(&v, on: 1, &c, process: host)
    #expect(v.bits == .clear)
  }

  @Test func withoutTheFeatureNothingHappens() {
    for generation in Generation.all {
      for feature in [Feature.none, .partial] {
        var v = vcpu(feature, .clear)
        var c = PCPUState(hostSlots: .valid(process: 9))
        generation.code.load(&v, on: 0, &c, process: host)
        generation.code.trap(&v, &c, process: host)
        #expect(v.bits == .clear, "\(generation.name)")
        #expect(c.hostSlots == .stale(process: 9), "\(generation.name)")
      }
    }
  }

  @Test func whereTheHostIsSaved() {
    for generation in Generation.all {
      var v = vcpu(.both, .clear)
      var c = PCPUState(hostSlots: .valid(process: 9))
      generation.code.load(&v, on: 0, &c, process: host)
      let afterLoad = c.hostSlots
      generation.code.trap(&v, &c, process: host)
      let afterTrap = c.hostSlots
      v.bits = .set
      generation.code.guestEnter(v, vcpu: 0, &c, process: host)
      let mine = HostSlots.valid(process: host)
      switch generation.id {
      case "G0": #expect(afterTrap != mine && c.hostSlots != mine)
      case "G1": #expect(afterLoad != mine && afterTrap != mine && c.hostSlots == mine)
      case "G2", "G3", "G4", "G5": #expect(afterLoad != mine && afterTrap == mine)
      default: #expect(afterLoad == mine)
      }
    }
  }

  @Test func aHandlerUnderWayMayEnableAfterTheLoad() {
    var c = PCPUState()
    var v = vcpu(.both, .clear)
    v.enableInFlight = true
    // Where the host's keys are saved makes no difference to that: G3s too.
    for generation in [Generation.g2, .g3, .g3s, .g1] {
      v = vcpu(.both, .clear)
      v.enableInFlight = true
      generation.code.load(&v, on: 0, &c, process: host)
      #expect(v.bits == .unknown, "\(generation.name)")
    }
    // Not where the handler runs at EL2.
    for generation in [Generation.g4, .g4Live, .g5] {
      v = vcpu(.both, .set)
      v.enableInFlight = true
      generation.code.load(&v, on: 0, &c, process: host)
      #expect(v.bits == .clear, "\(generation.name)")
    }
  }

  @Test func eagerKernelsSetBothBitsAtLoad() {
    var c = PCPUState()
    var v = vcpu(.both, .clear)
    Generation.g6.code.load(&v, on: 0, &c, process: host)
    #expect(v.bits == .set)
    v = vcpu(.unknown, .clear)
    Generation.g6.code.load(&v, on: 0, &c, process: host)
    #expect(v.bits == .unknown)
  }

  @Test func exitRestoresWhoeverSavedLast() {
    var c = PCPUState(live: .guest(vcpu: 0), hostSlots: .stale(process: 9))
    Generation.g2.code.guestExit(vcpu(.both, .set), &c, process: host)
    #expect(c.live == .host(process: 9), "that is the harm of a missed host save")
  }

  @Test(arguments: [
    ("v7", "G2"), ("G5", "G5"), ("5.2", "G3"), ("5.4.0", "G3"), ("5.10.0-28-arm64", "G4"),
    ("5.15", "G4"), ("6.1.0-18-arm64", "G5"), ("6.9", "G5"), ("6.10", "G6"),
    ("6.12.95+deb12", "G6"),
    ("7.3.4", "G6"), ("5.6.19", "G3s"), ("5.1", "G0"),
  ])
  func names(text: String, id: String) {
    #expect(Generation(named: text)?.id == id)
  }

  @Test(arguments: ["", "x", "4.19", "six.one", "5", "5."])
  func noNames(text: String) { #expect(Generation(named: text) == nil) }

  /// vcpu_has_ptrauth(): every combination of what userspace asks for and what the host supports.
  @Test func whoHasPtrauth() {
    for asked in [Feature.both, .partial, .none] {
      for bits in 0..<8 {
        let host = HostSupport(
          address: bits & 1 != 0, generic: bits & 2 != 0, hasVHE: bits & 4 != 0)
        let supported = host.address && host.generic
        for generation in [Generation.g2, .g3, .g3s, .g4] {
          #expect(
            generation.hasPtrauth(asked, on: host) == (asked == .both && supported && host.hasVHE))
        }
        for generation in [Generation.g4Live, .g5, .g6] {
          #expect(generation.hasPtrauth(asked, on: host) == (asked == .both && supported))
        }
        #expect(!Generation.g0.hasPtrauth(asked, on: host))
        #expect(
          Generation.g1.hasPtrauth(asked, on: host)
            == (host.hasVHE && (host.address || host.generic)), "no feature bits yet")
      }
    }
  }

  /// 8c15c2a02810, 6.5.
  @Test func protectedKeys() {
    for (release, keys) in [
      ("6.1.0", Generation.ProtectedKeys.hosts), ("6.4", .hosts), ("6.5", .own), ("7.3", .own),
    ] {
      #expect(Generation(release: release)?.protectedKeys == keys, "\(release)")
    }
  }
}
