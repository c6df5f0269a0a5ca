// One WebSocket of the rendezvous server over a pair of sockets, with a client that does what
// clients should not, too.
#include "rendezvous/websocket.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <vector>

using namespace p2p;

namespace {

Ref<GSocket>
socket_of (int fd) {
  return Ref<GSocket>::adopt (g_socket_new_from_fd (fd, nullptr));
}

class WebSocketTest : public testing::Test, private WebSocket::Owner {
 protected:
  void SetUp () override {
    int fds[2];
    ASSERT_EQ (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client_ = socket_of (fds[0]);
    g_socket_set_blocking (client_.get (), FALSE);
    const auto server = socket_of (fds[1]);
    const auto stream = Ref<GIOStream>::adopt (
        G_IO_STREAM (g_socket_connection_factory_create_connection (server.get ())));
    websocket_.emplace (nullptr, stream, stream, server, static_cast<WebSocket::Owner &> (*this));
  }

  // RFC 6455 section 5.2, masked with nothing.
  static std::string frame (unsigned first, const std::string &payload) {
    std::string bytes (1, static_cast<char> (first));
    if (payload.size () < 126) {
      bytes += static_cast<char> (0x80 | payload.size ());
    } else if (payload.size () <= 0xffff) {
      bytes += static_cast<char> (0x80 | 126);
      bytes += static_cast<char> (payload.size () >> 8);
      bytes += static_cast<char> (payload.size () & 0xff);
    } else {
      bytes += static_cast<char> (0x80 | 127);
      for (int shift = 56; shift >= 0; shift -= 8)
        bytes += static_cast<char> (payload.size () >> shift & 0xff);
    }
    return bytes + std::string (4, '\0') + payload;
  }
  static std::string text (const std::string &payload) { return frame (0x81, payload); }

  void write (const std::string &bytes) {
    ASSERT_EQ (g_socket_send (client_.get (), bytes.data (), bytes.size (), nullptr, nullptr),
               static_cast<gssize> (bytes.size ()));
    turn ();
  }
  void end_client () { g_socket_close (client_.get (), nullptr); }
  static void turn () {
    while (g_main_context_iteration (nullptr, FALSE)) {
    }
  }
  std::string read () {
    std::string all;
    char chunk[4096];
    gssize count = 0;
    while ((count = g_socket_receive (client_.get (), chunk, sizeof chunk, nullptr, nullptr)) > 0)
      all.append (chunk, static_cast<std::size_t> (count));
    return all;
  }
  // The code of a close frame; 0 for anything else.
  int close_code () {
    const std::string bytes = read ();
    if (bytes.size () < 4 || static_cast<unsigned char> (bytes[0]) != 0x88) return 0;
    return static_cast<unsigned char> (bytes[2]) << 8 | static_cast<unsigned char> (bytes[3]);
  }

  std::optional<WebSocket> websocket_;
  std::vector<std::string> messages_;
  std::size_t binary_ = 0, refused_ = 0, closed_ = 0;
  std::string answer_;  // sent from inside of the call that brings a message

 private:
  void websocket_message (bool is_text, ByteView message) override {
    if (!is_text) ++binary_;
    messages_.emplace_back (reinterpret_cast<const char *> (message.data), message.size);
    if (answer_.empty ()) return;
    EXPECT_TRUE (websocket_->send (answer_));
  }
  void websocket_refused () override { ++refused_; }
  void websocket_closed () override {
    ++closed_;
    websocket_.reset ();
  }

  Ref<GSocket> client_;
};

}  // namespace

TEST_F (WebSocketTest, MessagesGoBothWaysAndAnAnswerFromInsideToo) {
  answer_ = "back";
  write (text ("one") + text ("two"));
  EXPECT_EQ (messages_, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ (read (),
             "\x81\x04"
             "back\x81\x04"
             "back");
  EXPECT_TRUE (websocket_->send ("by itself"));
  EXPECT_EQ (read (),
             "\x81\x09"
             "by itself");
}

TEST_F (WebSocketTest, AMessageMayComeByteByByteAndInFragmentsWithAPingBetweenThem) {
  const std::string longest (70000, 'x');
  std::string all = text ("begin") + frame (0x01, "first ") + frame (0x89, "ping");
  all += frame (0x80, "second") + frame (0x82, "binary") + text (std::string (300, 'y'));
  for (const char byte : all) write (std::string (1, byte));
  write (text (longest));
  EXPECT_EQ (messages_, (std::vector<std::string>{"begin", "first second", "binary",
                                                  std::string (300, 'y'), longest}));
  EXPECT_EQ (binary_, 1U);
  EXPECT_EQ (read (), "\x8a\x04ping");
}

TEST_F (WebSocketTest, AClientThatBreaksTheProtocolIsToldSoAndMayGoOnTalkingUntilItEnds) {
  write (std::string ("\x81\x01u", 3));  // not masked
  EXPECT_EQ (close_code (), 1002);
  EXPECT_EQ (refused_, 1U);
  write (std::string (1000, 'u'));
  EXPECT_EQ (closed_, 0U);
  EXPECT_TRUE (messages_.empty ());
  end_client ();
  turn ();
  EXPECT_EQ (closed_, 1U);
  EXPECT_EQ (refused_, 1U);
}

TEST_F (WebSocketTest, AMessageThatIsTooLongIsRefusedBeforeItIsThere) {
  write (frame (0x81, std::string (WebSocket::kMaxMessageBytes + 1, 'x')).substr (0, 100));
  EXPECT_EQ (close_code (), 1009);
  EXPECT_TRUE (messages_.empty ());
}

TEST_F (WebSocketTest, ACloseOfEitherSideIsAnswered) {
  write (frame (0x88, "\x03\xe8"));
  EXPECT_EQ (close_code (), 1000);
  EXPECT_EQ (closed_, 1U);
  SetUp ();
  websocket_->close (1001, "going");
  EXPECT_EQ (close_code (), 1001);
  turn ();
  EXPECT_EQ (closed_, 1U) << "the client's is waited for";
  write (text ("late"));
  write (frame (0x88, "\x03\xe9"));
  EXPECT_EQ (closed_, 2U);
}

TEST_F (WebSocketTest, AClientThatTakesNothingIsNotWaitedForWithEverMoreMemory) {
  const std::string large (100000, 'x');
  std::size_t sent = 0;
  while (sent < 1000 && websocket_->send (large)) ++sent;
  EXPECT_GE (sent * large.size (), WebSocket::kMaxWaitingBytes);
  EXPECT_LT (sent * large.size (), 2 * WebSocket::kMaxWaitingBytes);
  for (std::size_t got = 0; got < sent * large.size (); turn ()) got += read ().size ();
  EXPECT_TRUE (websocket_->send ("again"));
}

TEST_F (WebSocketTest, AClientThatIsGoneIsNoticedByASendAsWell) {
  end_client ();
  websocket_->send ("to nobody");
  turn ();
  EXPECT_EQ (closed_, 1U);
}
