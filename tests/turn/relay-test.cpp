// The TURN client on real sockets, through a real server (coturn).
#include "coturn.hpp"
#include "relay_end.hpp"
#include "silent_socket.hpp"
#include "turn/udp_race.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;

class TurnRelay : public testing::TestWithParam<Protocol> {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
  }
  void serve (std::vector<std::string> options = {}, std::vector<std::string> ips = {"127.0.0.1"}) {
    coturn = std::make_unique<Coturn> (std::move (ips), std::move (options));
    ASSERT_TRUE (coturn->start ()) << coturn->log ();
  }
  turn::RelayConfig config (const std::string &host = "127.0.0.1") const {
    turn::RelayConfig out;
    out.client.servers = {coturn->server (GetParam (), host)};
    if (turn::is_secure (GetParam ())) out.connector.tls_database = coturn->database ();
    return out;
  }
  // The same datagram through the relay to itself.
  void expect_echo (End &end, const std::string &text) {
    on_core ([&] { ASSERT_FALSE (end.relay->client ().add_peer (end.relayed ())); });
    Address to;
    on_core ([&] { to = end.relayed (); });
    EXPECT_TRUE (end.sends (to, text, end)) << end.story () << coturn->log ();
  }

  std::unique_ptr<Coturn> coturn;
};

TEST_P (TurnRelay, ReadsBackWhatItSendsToItsOwnAddressAndLeavesNothingBehind) {
  serve ();
  End end;
  end.open (config ());
  ASSERT_TRUE (end.allocated ()) << end.story () << coturn->log ();
  expect_echo (end, "round trip");
  on_core ([&] { end.relay->client ().close (); });
  ASSERT_TRUE (wait_until ([&] { return end.count (Event::Kind::closed) == 1; }));
  EXPECT_TRUE (coturn->is_left_with_nothing ()) << coturn->log ();
}

TEST_P (TurnRelay, ThatIsDestroyedLeavesNothingBehind) {
  serve ();
  End end;
  end.open (config ());
  ASSERT_TRUE (end.allocated ()) << end.story ();
  EXPECT_EQ (coturn->sessions (), 1);
  end.close ();
  EXPECT_TRUE (coturn->is_left_with_nothing ()) << coturn->log ();
}

TEST_P (TurnRelay, CarriesDatagramsOfEverySizeThatItNames) {
  serve ();
  End end;
  end.open (config ());
  ASSERT_TRUE (end.allocated ()) << end.story ();
  std::size_t most = 0;
  on_core ([&] { most = end.relay->max_datagram_bytes (); });
  expect_echo (end, "first");
  EXPECT_TRUE (wait_until ([&] { return end.count (Event::Kind::peer_granted) == 1; }));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{1200}, std::size_t{9000}}) {
    Address to;
    on_core ([&] { to = end.relayed (); });
    EXPECT_TRUE (end.sends (to, std::string (std::min (size, most), 'x'), end)) << size;
  }
}

TEST_P (TurnRelay, SurvivesNoncesOfASecond) {
  serve ({"--stale-nonce=1"});
  auto busy = config ();
  busy.client.quiet_check = busy.client.busy_check = 100 * kMillisecond;
  End end;
  end.open (busy);
  ASSERT_TRUE (end.allocated ()) << end.story ();
  expect_echo (end, "first");
  const auto stale = [this] {
    const std::string log = coturn->log ();
    int count = 0;
    for (auto at = log.find ("Stale nonce"); at != std::string::npos;
         at = log.find ("Stale nonce", at + 1))
      ++count;
    return count;
  };
  ASSERT_TRUE (wait_until ([&] { return stale () >= 2; })) << coturn->log ();
  expect_echo (end, "last");
  EXPECT_EQ (end.count (Event::Kind::network_bad), 0) << end.story ();
}

TEST_P (TurnRelay, RecoversFromARestartInMidTransfer) {
  serve ();
  End end;
  end.open (config ());
  ASSERT_TRUE (end.allocated ()) << end.story ();
  expect_echo (end, "before");
  Address before;
  on_core ([&] { before = end.relayed (); });
  coturn->stop ();
  on_core ([&] { end.send (before, "into the void"); });
  ASSERT_TRUE (coturn->start ());
  // Over UDP the kernel tells that nobody listened, or a check that nobody knows us.
  ASSERT_TRUE (wait_until ([&] {
    end.send (before, "into the void");
    return end.count (Event::Kind::recovered) > 0;
  })) << end.story ()
      << coturn->log ();
  EXPECT_GE (end.count (Event::Kind::network_bad), 1);
  expect_echo (end, "after");
}

TEST_P (TurnRelay, MovesItsAllocationToAnotherFiveTuple) {
  serve ({"--mobility"});
  End end;
  end.open (config ());
  ASSERT_TRUE (end.allocated ()) << end.story ();
  expect_echo (end, "before");
  Address before;
  on_core ([&] {
    ASSERT_TRUE (end.relay->client ().allocation ().has_ticket ());
    before = end.relayed ();
    end.relay->client ().move ();
  });
  ASSERT_TRUE (wait_until ([&] { return end.count (Event::Kind::recovered) == 1; }))
      << end.story ();
  // coturn moves what was made over UDP and DTLS.
  on_core ([&] {
    if (turn::is_datagram (GetParam ())) {
      EXPECT_EQ (end.relayed (), before);
    }
  });
  expect_echo (end, "after");
}

TEST_P (TurnRelay, TellsThatThePasswordIsWrong) {
  serve ();
  auto wrong = config ();
  wrong.client.servers[0].credentials.password = "wrong";
  End end;
  end.open (wrong);
  ASSERT_TRUE (wait_until ([&] { return end.count (Event::Kind::failed) == 1; })) << end.story ();
  EXPECT_EQ (end.events.back ().reason, P2P_TURN_REASON_UNAUTHORIZED);
}

TEST_P (TurnRelay, TakesFreshCredentials) {
  serve ();
  auto old = config ();
  old.client.servers[0].credentials.password = "of an hour ago";
  End end;
  end.fresh = turn::Credentials{Coturn::kUser, Coturn::kPassword};
  end.open (old);
  EXPECT_TRUE (end.allocated ()) << end.story ();
}

TEST_P (TurnRelay, TellsThatTheQuotaIsReachedAndAsksAgain) {
  serve ({"--user-quota=1"});
  End first, second;
  first.open (config ());
  ASSERT_TRUE (first.allocated ()) << first.story ();
  second.open (config ());
  ASSERT_TRUE (wait_until ([&] { return second.count (Event::Kind::server_failed) > 0; }))
      << second.story ();
  EXPECT_EQ (second.events.back ().reason, P2P_TURN_REASON_QUOTA);
  first.close ();
  EXPECT_TRUE (second.allocated ()) << second.story ();
}

TEST_P (TurnRelay, FindsTheAddressOfANameThatServes) {
  serve ();
  // Where "localhost" is ::1 as well, nobody listens there.
  auto by_name = config ("localhost");
  End end;
  end.open (by_name);
  if (turn::is_secure (GetParam ())) {
    // It is no name of the certificate.
    ASSERT_TRUE (wait_until ([&] { return end.count (Event::Kind::server_failed) > 0; }));
    EXPECT_EQ (end.count (Event::Kind::allocated), 0);
    return;
  }
  ASSERT_TRUE (end.allocated ()) << end.story ();
  expect_echo (end, "by name");
}

TEST_P (TurnRelay, IsNotAskedOfAServerThatCannotProveItsName) {
  if (!turn::is_secure (GetParam ())) GTEST_SKIP () << "without TLS nobody proves anything";
  serve ();
  auto untrusting = config ();
  untrusting.connector.tls_database.reset ();
  End end;
  end.open (untrusting);
  ASSERT_TRUE (wait_until ([&] { return end.count (Event::Kind::server_failed) > 0; }));
  EXPECT_NE (end.events.back ().message.find ("Unacceptable TLS certificate"), std::string::npos)
      << end.story ();
  EXPECT_EQ (coturn->sessions (), 0);
}

TEST_P (TurnRelay, RelaysOverIpv6) {
  serve ({}, {"::1"});
  auto six = config ("::1");
  six.client.wishes.family = turn::Family::ipv6;
  End end;
  end.open (six);
  ASSERT_TRUE (end.allocated ()) << end.story () << coturn->log ();
  on_core ([&] { EXPECT_EQ (end.relayed ().family, turn::Family::ipv6); });
  expect_echo (end, "six");
}

TEST_P (TurnRelay, GetsAnAddressOfEachFamily) {
  serve ({}, {"127.0.0.1", "::1"});
  auto both = config ();
  both.client.wishes.both_families = true;
  End end;
  end.open (both);
  ASSERT_TRUE (end.allocated ()) << end.story () << coturn->log ();
  on_core ([&] {
    ASSERT_EQ (end.relay->client ().relayed ().size (), 2U);
    ASSERT_FALSE (end.relay->client ().add_peer (end.relay->client ().relayed ()[1]));
  });
  Address six;
  on_core ([&] { six = end.relay->client ().relayed ()[1]; });
  EXPECT_TRUE (end.sends (six, "to the sixth", end)) << coturn->log ();
}

class TurnRelays : public TurnRelay {};

TEST_P (TurnRelays, AThousandOfOneProcessAreAllocatedAndReleased) {
  constexpr int kCount = 1000;
  serve ();
  std::vector<std::unique_ptr<End>> ends;
  for (int i = 0; i < kCount; ++i) {
    ends.push_back (std::make_unique<End> ());
    ends.back ()->open (config ());
  }
  const auto all = [&] (Event::Kind kind) {
    return std::all_of (ends.begin (), ends.end (),
                        [kind] (const auto &end) { return end->count (kind) > 0; });
  };
  ASSERT_TRUE (wait_until ([&] { return all (Event::Kind::allocated); }, 120 * kSecond));
  EXPECT_EQ (coturn->sessions (), kCount);
  on_core ([&] {
    for (auto &end : ends) end->relay->client ().close ();
  });
  ASSERT_TRUE (wait_until ([&] { return all (Event::Kind::closed); }, 120 * kSecond));
  EXPECT_TRUE (coturn->is_left_with_nothing ());
}

INSTANTIATE_TEST_SUITE_P (Coturn, TurnRelays, testing::Values (Protocol::udp));

std::uint16_t
remote_port (GSocket *socket) {
  const auto remote = Ref<GSocketAddress>::adopt (g_socket_get_remote_address (socket, nullptr));
  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (remote.get ()));
}

TEST (UdpRace, IsWonByTheAddressThatAnswers) {
  if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
  Coturn coturn;
  ASSERT_TRUE (coturn.start ());
  Address silent;
  const auto socket = silent_socket (&silent);
  const std::vector<Address> addresses = {silent, *Address::parse ("127.0.0.1", 1),
                                          *Address::parse ("127.0.0.1", coturn.port ())};
  std::unique_ptr<turn::UdpRace> race;
  Ref<GSocket> winner;
  on_core ([&] {
    race = std::make_unique<turn::UdpRace> (
        core_loop ().context (), core_loop ().scheduler (), addresses, std::nullopt,
        50 * kMillisecond, 10 * kSecond,
        [&] (Ref<GSocket> won, const std::string &) { winner = std::move (won); });
  });
  EXPECT_TRUE (wait_until ([&] { return static_cast<bool> (winner); }));
  on_core ([&] {
    EXPECT_EQ (remote_port (winner.get ()), coturn.port ());
    race.reset ();
  });
}

TEST (UdpRace, GoesToTheFirstWhereNobodyAnswers) {
  Address silent, other;
  const auto first = silent_socket (&silent), second = silent_socket (&other);
  std::unique_ptr<turn::UdpRace> race;
  Ref<GSocket> winner;
  on_core ([&] {
    race = std::make_unique<turn::UdpRace> (
        core_loop ().context (), core_loop ().scheduler (), std::vector<Address>{silent, other},
        std::nullopt, 10 * kMillisecond, 100 * kMillisecond,
        [&] (Ref<GSocket> won, const std::string &) { winner = std::move (won); });
  });
  EXPECT_TRUE (wait_until ([&] { return static_cast<bool> (winner); }));
  on_core ([&] {
    EXPECT_EQ (remote_port (winner.get ()), silent.port);
    race.reset ();
  });
}

TEST (Interleaved, TakesFamiliesInTurn) {
  const auto a = *Address::parse ("192.0.2.1", 1), b = *Address::parse ("192.0.2.2", 1),
             c = *Address::parse ("192.0.2.3", 1), six = *Address::parse ("2001:db8::1", 1);
  EXPECT_EQ (turn::interleaved ({a, b, c, six}), (std::vector<Address>{a, six, b, c}));
}

INSTANTIATE_TEST_SUITE_P (Coturn, TurnRelay,
                          testing::Values (Protocol::udp, Protocol::tcp, Protocol::tls,
                                           Protocol::dtls),
                          [] (const testing::TestParamInfo<Protocol> &row) {
                            return std::string (protocol_name (row.param));
                          });

}  // namespace
}  // namespace p2p::test
