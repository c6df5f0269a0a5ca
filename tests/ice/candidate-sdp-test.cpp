// Remote candidates and credentials as text: what is used, what is ignored, what is malformed.
#include "ice/candidate_sdp.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace p2p {
namespace {

using Use = RemoteCandidate::Use;

TEST (RemoteCandidate, ReadsEveryField) {
  auto candidate = parse_remote_candidate (
      "a=candidate:1+/z 1 udp 2130706431 192.0.2.1 4711 typ srflx raddr 10.0.0.1 rport 99 "
      "generation 0 network-cost 50");
  ASSERT_TRUE (candidate) << candidate.error ().message;
  EXPECT_EQ (candidate->use, Use::check);
  EXPECT_EQ (candidate->to_nice_sdp (),
             "a=candidate:1+/z 1 UDP 2130706431 192.0.2.1 4711 typ srflx raddr 10.0.0.1 rport 99");
}

TEST (RemoteCandidate, TakesWhatIsInUse) {
  for (const char *sdp : {
           "candidate:1 1 UDP 1 192.0.2.1 1 typ host",
           "candidate:1 1 UDP 2147483647 2001:db8::1 65535 typ relay raddr 0.0.0.0 rport 0",
           "candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype active",
           "candidate:1 1 tcp 1 192.0.2.1 0 typ host tcptype ACTIVE",
           "candidate:1 1 TCP 1 192.0.2.1 5 typ host tcptype passive ufrag abcd",
           "candidate:1 1 TCP 1 ::1 5 typ host tcptype so",
           "candidate:1 1 UDP 1 127.0.0.1 1 typ srflx raddr hidden.local rport 5",
       }) {
    auto candidate = parse_remote_candidate (sdp);
    ASSERT_TRUE (candidate) << sdp << ": " << candidate.error ().message;
    EXPECT_EQ (candidate->use, Use::check) << sdp << ": " << candidate->ignored_because;
  }
}

TEST (RemoteCandidate, NamesOfMdnsAreToBeResolved) {
  auto candidate = parse_remote_candidate (
      "candidate:1 1 UDP 1 3f2504e0-4f89-41d3-9a0c-0305e82c3301.local 1 typ host");
  ASSERT_TRUE (candidate);
  EXPECT_EQ (candidate->use, Use::resolve);
}

TEST (RemoteCandidate, IgnoresOtherKinds) {
  for (const char *sdp : {
           "candidate:1 2 UDP 1 192.0.2.1 1 typ host",
           "candidate:1 1 SCTP 1 192.0.2.1 1 typ host",
           "candidate:1 1 UDP 1 192.0.2.1 1 typ prflx raddr 1.2.3.4 rport 5",
           "candidate:1 1 UDP 1 192.0.2.1 1 typ carrier-pigeon",
           "candidate:1 1 UDP 1 192.0.2.1 0 typ host",
           "candidate:1 1 TCP 1 192.0.2.1 0 typ host tcptype passive",
           "candidate:1 1 TCP 1 192.0.2.1 5 typ host tcptype other",
           "candidate:1 1 UDP 1 host.example.org 1 typ host",
           "candidate:1 1 UDP 1 .local 1 typ host",
           "candidate:1 1 UDP 1 1.2.3 1 typ host",
           "candidate:1 1 UDP 1 0.0.0.0 1 typ host",
           "candidate:1 1 UDP 1 0.1.2.3 1 typ host",
           "candidate:1 1 UDP 1 239.1.2.3 1 typ host",
           "candidate:1 1 UDP 1 255.255.255.255 1 typ host",
           "candidate:1 1 UDP 1 :: 1 typ host",
           "candidate:1 1 UDP 1 ff02::1 1 typ host",
           "candidate:1 1 UDP 1 ::ffff:192.0.2.1 1 typ host",
       }) {
    auto candidate = parse_remote_candidate (sdp);
    ASSERT_TRUE (candidate) << sdp << ": " << candidate.error ().message;
    EXPECT_EQ (candidate->use, Use::ignore) << sdp;
    EXPECT_FALSE (candidate->ignored_because.empty ()) << sdp;
  }
}

TEST (RemoteCandidate, NamesThePartThatIsMalformed) {
  const std::string long_line =
      "candidate:1 1 UDP 1 192.0.2.1 1 typ host x " + std::string (1000, 'y');
  const std::string long_foundation =
      "candidate:" + std::string (33, '1') + " 1 UDP 1 1.1.1.1 1 typ host";
  const std::string nul ("candidate:1 1 UDP 1 192.0.2.1\0 1 typ host", 42);
  const std::pair<std::string, const char *> table[] = {
      {"", "line"},
      {"a=", "line"},
      {"candidate", "line"},
      {"candidate:", "line"},
      {"a=a=candidate:1 1 UDP 1 192.0.2.1 1 typ host", "line"},
      {"m=audio 1 RTP/AVP 0", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1 1", "line"},
      {"candidate: 1 1 UDP 1 192.0.2.1 1 typ host", "line"},
      {"candidate:1  1 UDP 1 192.0.2.1 1 typ host", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ host ", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\n", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ host\na=candidate:2", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1\t1 typ host x", "line"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ h\xc3\xb6st", "line"},
      {nul, "line"},
      {long_line, "line"},
      {long_foundation, "foundation"},
      {"candidate:a_b 1 UDP 1 192.0.2.1 1 typ host", "foundation"},
      {"candidate:1 0 UDP 1 192.0.2.1 1 typ host", "component"},
      {"candidate:1 257 UDP 1 192.0.2.1 1 typ host", "component"},
      {"candidate:1 -1 UDP 1 192.0.2.1 1 typ host", "component"},
      {"candidate:1 x UDP 1 192.0.2.1 1 typ host", "component"},
      {"candidate:1 1 UDP 0 192.0.2.1 1 typ host", "priority"},
      {"candidate:1 1 UDP 2147483648 192.0.2.1 1 typ host", "priority"},
      {"candidate:1 1 UDP 99999999999999999999999 192.0.2.1 1 typ host", "priority"},
      {"candidate:1 1 UDP +1 192.0.2.1 1 typ host", "priority"},
      {"candidate:1 1 UDP 1 192.0.2.1:5 1 typ host", "address"},
      {"candidate:1 1 UDP 1 fe80::1%eth0 1 typ host", "address"},
      {"candidate:1 1 UDP 1 [::1] 1 typ host", "address"},
      {"candidate:1 1 UDP 1 192.0.2.1 65536 typ host", "port"},
      {"candidate:1 1 UDP 1 192.0.2.1 -1 typ host", "port"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 type host", "type"},
      {"candidate:1 1 TCP 1 192.0.2.1 1 typ host", "tcptype"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ host generation", "extensions"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ host raddr", "extensions"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr ? rport 1", "related address"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr 1.1.1.1 rport 65536", "related port"},
      {"candidate:1 1 UDP 1 192.0.2.1 1 typ srflx raddr 1.1.1.1 rport x", "related port"},
  };
  for (const auto &[sdp, part] : table) {
    auto candidate = parse_remote_candidate (sdp);
    ASSERT_FALSE (candidate) << sdp;
    EXPECT_EQ (candidate.error ().code, P2P_ERROR_INVALID_ARGUMENT) << sdp;
    EXPECT_NE (candidate.error ().message.find (part), std::string::npos)
        << sdp << ": " << candidate.error ().message;
  }
}

TEST (LocalCandidate, CanHideTheAddressBehindIt) {
  EXPECT_EQ (without_related_address (
                 "candidate:1 1 UDP 1 192.0.2.1 1 typ relay raddr 10.0.0.1 rport 99 x y"),
             "candidate:1 1 UDP 1 192.0.2.1 1 typ relay raddr 0.0.0.0 rport 0 x y");
  EXPECT_EQ (without_related_address ("candidate:1 1 UDP 1 ::1 1 typ relay raddr ::1 rport 99"),
             "candidate:1 1 UDP 1 ::1 1 typ relay raddr :: rport 0");
}

TEST (IceCredentials, HaveLengthsAndCharacters) {
  const std::string pwd (22, 'p');
  EXPECT_FALSE (check_ice_credentials ({"abcd", pwd}, "remote"));
  EXPECT_FALSE (check_ice_credentials ({std::string (256, '+'), std::string (256, '/')}, "remote"));
  for (const std::string &ufrag :
       {std::string (""), std::string ("abc"), std::string (257, 'a'), std::string ("abc d"),
        std::string ("abc\0d", 5), std::string ("abcd:"), std::string ("abcd\n")}) {
    const Status error = check_ice_credentials ({ufrag, pwd}, "remote");
    ASSERT_TRUE (error) << ufrag;
    EXPECT_NE (error->message.find ("ufrag"), std::string::npos);
  }
  for (const std::string &bad :
       {std::string (""), std::string (21, 'p'), std::string (257, 'p'), std::string (22, '=')}) {
    const Status error = check_ice_credentials ({"abcd", bad}, "remote");
    ASSERT_TRUE (error) << bad;
    EXPECT_NE (error->message.find ("pwd"), std::string::npos);
    if (!bad.empty ()) {
      EXPECT_EQ (error->message.find (bad), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace p2p
