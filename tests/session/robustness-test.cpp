// Whatever a peer sends ends as a protocol error or is ignored, in bounded memory.
#include <random>

#include "session/wire.hpp"
#include "support/session_pair.hpp"

using namespace p2p;
using namespace p2p::test;

namespace {

class Robustness : public SessionPair {
 protected:
  void establish_bob () {
    bob_app.seen.clear ();
    bob = Session::create (bob_config, bob_app);
    links.clear ();
    links.push_back (std::make_unique<FakeLink> (scheduler, network));
    bob->attach (*link ().server);
    link ().connect ();
    scheduler.run_for (kSecond);
    wire::Hello hello;
    hello.session = bob_config.id;
    hello.epoch = 1;
    hello.max_message_bytes = 100000;
    std::vector<std::uint8_t> bytes{1};
    const wire::Writer frame = wire::encode (hello);
    bytes.insert (bytes.end (), frame.view ().begin (), frame.view ().end ());
    inject (0, bytes);
    ASSERT_TRUE (bob->established ());
  }
  void inject (StreamId id, const std::vector<std::uint8_t> &bytes, bool fin = false) {
    link ().server->inject_stream_data (id, bytes, fin);
  }
  void inject (StreamId id, const wire::Writer &writer, bool fin = false) {
    inject (id, writer.view (), fin);
  }
  static wire::Open opening (std::uint64_t id, bool ordered, bool reliable) {
    wire::Open open;
    open.id = id;
    open.name = "channel " + std::to_string (id);
    open.options.ordered = ordered;
    if (!reliable) open.options.max_retransmits = 0;
    return open;
  }
  void expect_error (P2pError code, const std::string &word) {
    EXPECT_EQ (bob_app.detach_error.code, code);
    EXPECT_NE (bob_app.detach_error.message.find (word), std::string::npos)
        << bob_app.detach_error.message;
    EXPECT_NE (link ().server->close_code (), 0u);
  }
};

}  // namespace

TEST_F (Robustness, AMessageAboveTheLimitClosesTheConnectionAndNamesTheLimit) {
  bob_config.max_message_bytes = 5000;
  establish_bob ();
  inject (4, wire::encode (opening (0, true, true)));
  wire::Writer record;
  record.type (wire::RecordType::data).varint (5001);
  inject (4, record);
  expect_error (P2P_ERROR_MESSAGE_TOO_LARGE, "5000");
}

TEST_F (Robustness, AHeadThatPromisesMuchCostsNothing) {
  establish_bob ();
  for (int i = 0; i < 200; ++i) {
    inject (4 + 4 * i, wire::encode (opening (static_cast<std::uint64_t> (i), true, true)));
    wire::Writer record;
    record.type (wire::RecordType::data).varint (16 * 1024 * 1024).byte (0);
    inject (4 + 4 * i, record);
  }
  EXPECT_TRUE (bob->established ());
  EXPECT_EQ (link ().server->unconsumed_bytes (), 0u);
}

TEST_F (Robustness, ContradictionsAreProtocolErrors) {
  struct Case {
    const char *word;
    std::function<void ()> send;
  };
  const std::vector<Case> cases{
      {"type of a stream", [&] { inject (4, std::vector<std::uint8_t>{9}); }},
      {"type of a stream", [&] { inject (4, std::vector<std::uint8_t>{1}); }},
      {"control stream", [&] { inject (0, std::vector<std::uint8_t>{}, true); }},
      {"channel id",
       [&] {
         inject (4, wire::encode (opening (0, true, true)));
         inject (8, wire::encode (opening (0, true, true)));
       }},
      {"first sequence number",
       [&] {
         wire::Open open = opening (0, true, true);
         open.first_seq = 3;
         inject (4, wire::encode (open));
       }},
      {"name of OPEN",
       [&] {
         wire::Open open = opening (0, true, true);
         open.name = "\xff\xfe";
         inject (4, wire::encode (open));
       }},
      {"priority of OPEN",
       [&] {
         wire::Open open = opening (0, true, true);
         open.options.priority = 65536;
         inject (4, wire::encode (open));
       }},
      {"END",
       [&] {
         inject (4, wire::encode (opening (0, true, true)));
         inject (4, wire::encode_end (7));
       }},
      {"after END",
       [&] {
         inject (4, wire::encode (opening (0, true, true)));
         inject (4, wire::encode_end (0));
         inject (4, wire::encode_end (0));
       }},
      {"without END", [&] { inject (4, wire::encode (opening (0, true, true)), true); }},
      {"cut short",
       [&] {
         inject (4, wire::encode (opening (0, false, true)));
         inject (8, wire::encode_message_head (0, message_of ("payload")), true);
       }},
      {"reliable",
       [&] {
         inject (4, wire::encode (opening (0, true, true)));
         link ().server->inject_datagram (wire::encode_datagram_head (0, message_of ("")).view ());
       }},
      {"datagram", [&] { link ().server->inject_datagram ({}); }},
      {"never sent",
       [&] {
         const StreamId mine = 1;
         open (*bob, "mine");
         RangeSet claim;
         claim.insert_range (0, 5);
         inject (mine, wire::encode_confirm (claim));
       }},
  };
  for (const Case &one : cases) {
    establish_bob ();
    one.send ();
    expect_error (P2P_ERROR_PROTOCOL, one.word);
    EXPECT_FALSE (bob->established ());
  }
}

TEST_F (Robustness, DuplicateRecordsAndLateFramesOfClosedChannelsAreIgnored) {
  establish_bob ();
  inject (4, wire::encode (opening (0, false, true)));
  for (StreamId id : {8, 12}) {
    inject (id, wire::encode_message_head (0, message_of ("")), true);
  }
  EXPECT_EQ (bob_app.seen["channel 0"].messages.size (), 1u);
  find (*bob, "channel 0")->close ();
  inject (16, wire::encode_message_head (0, message_of ("")), true);
  EXPECT_EQ (bob_app.seen["channel 0"].messages.size (), 1u);
  EXPECT_TRUE (bob->established ());
}

TEST_F (Robustness, RandomAndMutatedBytesNeverAbort) {
  std::mt19937 random (99);
  const auto below = [&] (std::size_t n) { return static_cast<std::size_t> (random () % n); };
  int errors = 0;
  for (int round = 0; round < 3000; ++round) {
    bob_app.detached = 0;
    bob_app.takes = below (2) == 0;
    bob_app.on_end = [] (Channel &channel) { channel.finish (); };
    establish_bob ();
    open (*bob, "mine");
    if (below (2) == 0) open (*bob, "channel 1");
    // A sensible conversation, a few bytes of which are changed.
    std::vector<std::pair<StreamId, std::vector<std::uint8_t>>> pieces;
    for (std::uint64_t id = 0; id < 4; ++id) {
      pieces.push_back ({4 + 4 * static_cast<StreamId> (id),
                         wire::encode (opening (id, id % 2 == 0, id < 2)).view ()});
      if (id == 0) {
        wire::Writer records;
        for (int i = 0; i < 5; ++i) {
          const std::string text (below (300), 'x');
          Message message = message_of (text);
          if (i % 2 == 0) message.attributes = bytes_from ("attributes");
          wire::encode_record (records, message);
          records.bytes (ByteView (text));
        }
        pieces.push_back ({4, records.view ()});
        pieces.push_back ({4, wire::encode_end (5).view ()});
      } else {
        Message message = message_of ("text");
        message.seq = below (3);
        wire::Writer stream = wire::encode_message_head (id, message);
        stream.bytes (ByteView (std::string_view ("text")));
        pieces.push_back ({100 + 4 * static_cast<StreamId> (id), stream.view ()});
        wire::Writer datagram = wire::encode_datagram_head (id < 2 ? id + 2 : id, message);
        pieces.push_back ({-1, datagram.view ()});
      }
    }
    RangeSet confirmed;
    confirmed.insert (below (3));
    pieces.push_back ({1, wire::encode_confirm (confirmed).view ()});
    if (below (4) == 0) std::shuffle (pieces.begin (), pieces.end (), random);
    for (std::size_t i = below (6); i > 0; --i) {
      auto &bytes = pieces[below (pieces.size ())].second;
      switch (below (3)) {
        case 0:
          bytes[below (bytes.size ())] = static_cast<std::uint8_t> (random ());
          break;
        case 1:
          bytes.resize (below (bytes.size ()) + 1);
          break;
        default:
          bytes.insert (bytes.end (), below (40), static_cast<std::uint8_t> (random ()));
      }
    }
    for (const auto &[id, bytes] : pieces) {
      if (id < 0) {
        link ().server->inject_datagram (bytes);
        continue;
      }
      const std::size_t cut = below (bytes.size () + 1);
      inject (id, std::vector<std::uint8_t> (bytes.begin (),
                                             bytes.begin () + static_cast<std::ptrdiff_t> (cut)));
      inject (id,
              std::vector<std::uint8_t> (bytes.begin () + static_cast<std::ptrdiff_t> (cut),
                                         bytes.end ()),
              below (5) == 0);
    }
    scheduler.run_for (100 * kMillisecond);
    if (bob_app.detached > 0) {
      ++errors;
      EXPECT_EQ (bob_app.detached, 1);
      EXPECT_TRUE (bob_app.detach_error.code == P2P_ERROR_PROTOCOL ||
                   bob_app.detach_error.code == P2P_ERROR_MESSAGE_TOO_LARGE)
          << bob_app.detach_error.message;
    }
  }
  EXPECT_GT (errors, 300);
  EXPECT_LT (errors, 3000);
}

TEST_F (Robustness, ManyLongMessagesAtOnceFinishOneByOneInBoundedMemory) {
  establish_bob ();
  // 30 channels send 10 MiB each, interleaved: 300 MiB if all were put together at once.
  const std::size_t total = 10 * 1024 * 1024;
  const std::vector<std::uint8_t> piece (64 * 1024, 7);
  std::size_t most = 0;
  bob_app.keeps = false;
  int messages = 0;
  bob_app.on_message = [&] (Channel &, const Message &) { ++messages; };
  for (int i = 0; i < 30; ++i) {
    inject (4 + 4 * i, wire::encode (opening (static_cast<std::uint64_t> (i), true, true)));
    wire::Writer record;
    record.type (wire::RecordType::data).varint (total);
    inject (4 + 4 * i, record);
  }
  // As a sender does, each stream goes on only while it has credit of 256 KiB.
  std::vector<std::size_t> sent (30, 0);
  for (bool any = true; any;) {
    any = false;
    for (int i = 0; i < 30; ++i) {
      if (sent[static_cast<std::size_t> (i)] == total) continue;
      if (link ().server->unconsumed_bytes (4 + 4 * i) + piece.size () > 256 * 1024) continue;
      inject (4 + 4 * i, piece);
      sent[static_cast<std::size_t> (i)] += piece.size ();
      any = true;
    }
    std::size_t held = 0;
    for (int i = 0; i < 30; ++i) held += sent[static_cast<std::size_t> (i)];
    most = std::max (most, held - static_cast<std::size_t> (messages) * total);
  }
  EXPECT_EQ (messages, 30);
  EXPECT_LT (most, 64u * 1024 * 1024 + total + 31 * 256 * 1024);
}
