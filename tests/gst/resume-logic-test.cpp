// What the two ends of a byte stream that can be resumed decide: without elements, without a
// network.
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

#include "resume-receiver.hpp"
#include "resume-sender.hpp"

namespace p2p {
namespace {

using Kind = ResumeReceiver::Verdict::Kind;
using Step = ResumeSender::Step;

constexpr std::uint64_t kSerial = 1000;  // the first request has the next one

StreamPlace
at (std::uint64_t serial, std::uint64_t offset, bool fixed = false) {
  return {serial, offset, fixed, false};
}

TEST (ResumeReceiver, AsksForWhatFollowsThatWhichIsDownstream) {
  ResumeReceiver receiver (500, kSerial);
  const StreamPlace request = receiver.ask ();
  EXPECT_EQ (request.offset, 500u);
  EXPECT_FALSE (request.unknown);
  EXPECT_TRUE (ResumeReceiver ({}, kSerial).ask ().unknown);
}

TEST (ResumeReceiver, RepeatsARequestUntilSomethingCame) {
  ResumeReceiver receiver (0, kSerial);
  const std::uint64_t first = receiver.ask ().serial;
  EXPECT_EQ (receiver.ask ().serial, first);
  EXPECT_EQ (receiver.data (at (first, 0), 10).kind, Kind::take);
  const StreamPlace second = receiver.ask ();
  EXPECT_NE (second.serial, first);
  EXPECT_EQ (second.offset, 10u);
}

TEST (ResumeReceiver, TakesWhatFitsAndTrimsWhatIsThere) {
  ResumeReceiver receiver (100, kSerial);
  const std::uint64_t serial = receiver.ask ().serial;
  EXPECT_EQ (receiver.data (at (serial, 0), 100).kind, Kind::drop);
  const auto trimmed = receiver.data (at (serial, 60), 100);
  EXPECT_EQ (trimmed.kind, Kind::take);
  EXPECT_EQ (trimmed.skip, 40u);
  EXPECT_FALSE (trimmed.gap);
  EXPECT_EQ (receiver.position (), 160u);
  EXPECT_EQ (receiver.data (at (serial, 60), 100).kind, Kind::drop);
  EXPECT_EQ (receiver.data (at (serial, 160), 0).kind, Kind::drop) << "an empty one";
}

// A byte is the same whichever request it answers.
TEST (ResumeReceiver, TakesWhatFitsWithAnySerial) {
  ResumeReceiver receiver (100, kSerial);
  receiver.ask ();
  EXPECT_EQ (receiver.data (at (7, 100), 10).kind, Kind::take);
}

TEST (ResumeReceiver, AsksOnceForWhatIsMissing) {
  ResumeReceiver receiver (0, kSerial);
  const std::uint64_t first = receiver.ask ().serial;
  EXPECT_EQ (receiver.data (at (first, 0), 10).kind, Kind::take);
  EXPECT_EQ (receiver.data (at (first, 20), 10).kind, Kind::ask);
  const StreamPlace again = receiver.ask ();
  EXPECT_EQ (again.offset, 10u);
  EXPECT_NE (again.serial, first);
  // What was under way meanwhile.
  EXPECT_EQ (receiver.data (at (first, 30), 10).kind, Kind::drop);
  EXPECT_EQ (receiver.end (at (first, 40)).kind, Kind::drop);
  EXPECT_EQ (receiver.data (at (again.serial, 10), 30).kind, Kind::take);
  EXPECT_EQ (receiver.end (at (again.serial, 40)).kind, Kind::finish);
}

TEST (ResumeReceiver, GivesUpOnASenderThatNeverGoesWhereItIsAsked) {
  ResumeReceiver receiver (0, kSerial);
  Kind kind = Kind::ask;
  int asked = 0;
  while (kind == Kind::ask && ++asked < 100)
    kind = receiver.data (at (receiver.ask ().serial, 50), 10).kind;
  EXPECT_EQ (kind, Kind::fail);
  EXPECT_LT (asked, 10);
}

TEST (ResumeReceiver, AnEndBeforeWhatIsThereIsOfAnotherStream) {
  ResumeReceiver receiver (100, kSerial);
  EXPECT_EQ (receiver.end (at (receiver.ask ().serial, 99)).kind, Kind::excess);
}

TEST (ResumeReceiver, AnEndAfterSomethingThatIsMissingIsNone) {
  ResumeReceiver receiver (100, kSerial);
  EXPECT_EQ (receiver.end (at (receiver.ask ().serial, 120)).kind, Kind::ask);
}

// One that cannot go back goes on from where it is.
TEST (ResumeReceiver, TakesTheGapOfASenderThatIsFixed) {
  ResumeReceiver receiver (100, kSerial);
  const std::uint64_t serial = receiver.ask ().serial;
  EXPECT_EQ (receiver.data (at (7, 80, true), 30).skip, 20u) << "sent to an earlier process";
  const auto lost = receiver.data (at (serial, 200, true), 50);
  EXPECT_EQ (lost.kind, Kind::take);
  EXPECT_TRUE (lost.gap);
  EXPECT_EQ (receiver.position (), 160u) << "downstream, without what was lost";
  EXPECT_FALSE (receiver.data (at (serial, 250, true), 50).gap);
  EXPECT_EQ (receiver.end (at (serial, 300, true)).kind, Kind::finish);
}

TEST (ResumeReceiver, AppendsWhatAnotherFixedSenderBeginsWith) {
  ResumeReceiver receiver (100, kSerial);
  const std::uint64_t serial = receiver.ask ().serial;
  const auto first = receiver.data (at (serial, 0, true), 50);
  EXPECT_EQ (first.kind, Kind::take);
  EXPECT_EQ (first.skip, 0u);
  EXPECT_EQ (receiver.data (at (serial, 50, true), 50).skip, 0u);
  EXPECT_EQ (receiver.position (), 200u);
}

TEST (ResumeReceiver, TakesWhateverComesFirstWhereNobodyKnowsThePosition) {
  ResumeReceiver receiver ({}, kSerial);
  receiver.ask ();
  EXPECT_EQ (receiver.data (at (7, 1000), 10).kind, Kind::take);
  EXPECT_EQ (receiver.position (), 10u);
  EXPECT_EQ (receiver.ask ().offset, 1010u);
}

TEST (ResumeSender, SendsNothingBeforeItIsAsked) {
  ResumeSender sender;
  EXPECT_EQ (sender.step (), Step::wait);
  sender.begin_stream (0);
  EXPECT_EQ (sender.step (), Step::wait);
  sender.ask (at (5, 0));
  EXPECT_EQ (sender.step (), Step::send);
  EXPECT_TRUE (sender.answer ());
  EXPECT_EQ (sender.place ().serial, 5u);
  EXPECT_FALSE (sender.answer ());
}

TEST (ResumeSender, SeeksToWhatItIsAskedFor) {
  ResumeSender sender;
  sender.ask (at (5, 300));
  EXPECT_EQ (sender.step (), Step::wait) << "nothing is upstream yet";
  sender.begin_stream (0);
  ASSERT_EQ (sender.step (), Step::seek);
  EXPECT_EQ (sender.target (), 300u);
  sender.seeking ();
  EXPECT_EQ (sender.step (), Step::wait);
  sender.begin_stream (300);
  EXPECT_EQ (sender.step (), Step::send);
  EXPECT_TRUE (sender.answer ());
  sender.sent (20);
  EXPECT_EQ (sender.place ().offset, 320u);
  EXPECT_FALSE (sender.fixed ());
}

TEST (ResumeSender, DoesNotBeginAnewForARequestThatItHasAnswered) {
  ResumeSender sender;
  sender.begin_stream (0);
  sender.ask (at (5, 0));
  sender.answer ();
  sender.sent (100);
  sender.ask (at (5, 0));
  EXPECT_EQ (sender.step (), Step::send);
  EXPECT_FALSE (sender.asked ());
  sender.begin_channel ();
  EXPECT_EQ (sender.step (), Step::wait);
  sender.ask (at (5, 0));
  EXPECT_EQ (sender.step (), Step::seek) << "on another channel it is another one";
}

TEST (ResumeSender, TheLatestRequestCounts) {
  ResumeSender sender;
  sender.begin_stream (0);
  sender.ask (at (5, 300));
  sender.seeking ();
  sender.ask (at (6, 100));
  sender.begin_stream (300);
  ASSERT_EQ (sender.step (), Step::seek);
  EXPECT_EQ (sender.target (), 100u);
}

TEST (ResumeSender, GoesOnFromWhereItIsWhenItCannotSeek) {
  for (const int how : {0, 1, 2, 3}) {
    ResumeSender sender;
    sender.begin_stream (how == 0 ? std::nullopt : std::optional<std::uint64_t> (0));
    if (how == 1) sender.cannot_seek ();
    sender.ask (at (5, 300));
    if (how >= 2) {
      ASSERT_EQ (sender.step (), Step::seek);
      sender.seeking ();
    }
    if (how == 2) sender.seek_failed ();
    if (how == 3) sender.begin_stream (299);  // it lands elsewhere
    EXPECT_EQ (sender.step (), Step::send) << how;
    sender.answer ();
    EXPECT_TRUE (sender.place ().fixed) << how;
    EXPECT_EQ (sender.place ().offset, how == 3 ? 299u : 0u);
  }
}

TEST (ResumeSender, ASeekToTheEndBringsNoSegment) {
  ResumeSender sender;
  sender.begin_stream (0);
  sender.ask (at (5, 300));
  sender.seeking ();
  sender.end_stream ();
  EXPECT_EQ (sender.step (), Step::wait) << "the end that was there before the seek";
  sender.flushed ();
  sender.end_stream ();
  EXPECT_EQ (sender.step (), Step::send);
  EXPECT_EQ (sender.place ().offset, 300u);
  EXPECT_FALSE (sender.fixed ());
}

TEST (ResumeSender, AnEmptyStreamEndsAtItsBeginning) {
  ResumeSender sender;
  sender.ask (at (5, 0));
  sender.end_stream ();
  EXPECT_EQ (sender.step (), Step::send);
  EXPECT_EQ (sender.place ().offset, 0u);
}

TEST (ResumeSender, KnowsWhichEndWasTaken) {
  ResumeSender sender;
  sender.begin_stream (0);
  EXPECT_FALSE (sender.is_end (at (5, 0)));
  sender.ask (at (5, 0));
  EXPECT_FALSE (sender.is_end (at (5, 0)));
  sender.answer ();
  EXPECT_TRUE (sender.is_end (at (5, 0)));
  EXPECT_FALSE (sender.is_end (at (4, 0)));
}

// Both ends, and what is between them, on virtual time: the ends are killed and begin anew, the
// channel goes on (as with a session store) or is lost, and what is downstream loses its tail.
class World {
 public:
  World (std::uint64_t seed, bool keeps_channel) : random_ (seed), keeps_channel_ (keeps_channel) {
    for (std::size_t i = 0; i < 1 + random_ () % 2000; i++) file_ += static_cast<char> (random_ ());
    start_sender ();
    start_receiver ();
    new_channel ();
  }
  // False: no end after so many steps.
  bool run () {
    for (int i = 0; i < 20000 && !done_; i++) {
      if (kills_ > 0 && random_ () % 50 == 0) kill ();
      if (random_ () % 2 == 0)
        step_sender ();
      else
        step_receiver ();
    }
    return done_;
  }
  bool arrived () const { return written_ == file_; }

 private:
  struct Message {
    std::optional<ResumeControl> control;
    StreamPlace place;
    std::string bytes;
  };

  void start_sender () {
    sender_ = ResumeSender ();
    sender_.begin_stream (0);
    ended_ = false;
    forward_.push_back ({ResumeControl::begun, {}, ""});
  }
  void start_receiver () {
    // Some of it was in a buffer of the process.
    const std::size_t in_buffer = written_.size () - flushed_;
    written_.resize (written_.size () - std::min<std::size_t> (in_buffer, random_ () % 100));
    receiver_.emplace (written_.size (), random_ ());
    backward_.push_back ({ResumeControl::from, receiver_->ask (), ""});
  }
  void new_channel () {
    forward_.clear ();
    recent_.clear ();
    backward_.clear ();
    sender_.begin_channel ();
    ended_ = false;
    forward_.push_back ({ResumeControl::begun, {}, ""});
    backward_.push_back ({ResumeControl::from, receiver_->ask (), ""});
  }
  void kill () {
    kills_--;
    const auto who = random_ () % 3;
    if (who != 1) start_sender ();
    if (who != 0) start_receiver ();
    if (!keeps_channel_)
      new_channel ();
    else if (who != 0)
      repeat ();
  }
  // What the receiver had taken, and not confirmed yet.
  void repeat () {
    for (std::size_t i = random_ () % 5; i > 0 && !recent_.empty (); i--) {
      forward_.push_front (recent_.back ());
      recent_.pop_back ();
    }
  }
  void step_sender () {
    if (!backward_.empty () && random_ () % 3 == 0) {
      const Message message = backward_.front ();
      backward_.pop_front ();
      if (message.control == ResumeControl::from) sender_.ask (message.place);
      if (message.control == ResumeControl::taken && ended_ && sender_.is_end (message.place))
        done_ = true;
      return;
    }
    switch (sender_.step ()) {
      case Step::wait:
        return;
      case Step::seek: {
        const std::uint64_t target = sender_.target ();
        sender_.seeking ();
        sender_.begin_stream (target);
        return;
      }
      case Step::send:
        break;
    }
    if (sender_.answer ()) ended_ = false;
    const StreamPlace place = sender_.place ();
    if (place.offset == file_.size ()) {
      if (!std::exchange (ended_, true)) forward_.push_back ({ResumeControl::end, place, ""});
      return;
    }
    const std::string bytes = file_.substr (place.offset, 1 + random_ () % 50);
    forward_.push_back ({{}, place, bytes});
    sender_.sent (bytes.size ());
  }
  void step_receiver () {
    if (forward_.empty ()) return;
    const Message message = forward_.front ();
    forward_.pop_front ();
    recent_.push_back (message);
    ResumeReceiver::Verdict verdict;
    if (message.control == ResumeControl::begun)
      verdict.kind = Kind::ask;
    else if (message.control == ResumeControl::end)
      verdict = receiver_->end (message.place);
    else
      verdict = receiver_->data (message.place, message.bytes.size ());
    if (verdict.kind == Kind::ask)
      backward_.push_back ({ResumeControl::from, receiver_->ask (), ""});
    if (verdict.kind == Kind::take) written_ += message.bytes.substr (verdict.skip);
    if (verdict.kind == Kind::finish) {
      flushed_ = written_.size ();
      backward_.push_back ({ResumeControl::taken, receiver_->place (), ""});
    }
    ASSERT_NE (verdict.kind, Kind::fail);
    ASSERT_NE (verdict.kind, Kind::excess);
    ASSERT_FALSE (verdict.gap);
  }

  std::mt19937_64 random_;
  const bool keeps_channel_;
  std::string file_, written_;
  std::size_t flushed_ = 0;  // that is safe, because the end came
  ResumeSender sender_;
  std::optional<ResumeReceiver> receiver_;
  std::deque<Message> forward_, backward_, recent_;
  bool ended_ = false, done_ = false;
  int kills_ = 10;
};

TEST (Resume, EveryByteArrivesOnceHoweverBothEndsAreKilled) {
  for (std::uint64_t seed = 0; seed < 2000; seed++)
    for (const bool keeps_channel : {false, true}) {
      World world (seed, keeps_channel);
      ASSERT_TRUE (world.run ()) << seed << ", " << keeps_channel;
      ASSERT_TRUE (world.arrived ()) << seed << ", " << keeps_channel;
    }
}

}  // namespace
}  // namespace p2p
