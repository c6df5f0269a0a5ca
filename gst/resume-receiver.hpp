// The receiving end of a byte stream that can be resumed: which of the messages that come go on
// where it stands, by their offsets. Decides only.
//
// Bytes of one offset are the same whoever sent them and when, so that what fits is taken even when
// it answers no request; the serials only keep it from asking twice for what is under way.
#pragma once
#include <cstdint>
#include <optional>

#include "buffer-attributes.hpp"

namespace p2p {

class ResumeReceiver {
 public:
  // `position`: what is downstream already; nothing: that cannot be told. `serial` of the first
  // request, at random, so that no answer to an earlier process counts.
  ResumeReceiver (std::optional<std::uint64_t> position, std::uint64_t serial)
      : position_ (position), serial_ (serial) {}

  struct Verdict {
    enum class Kind {
      take,    // from `skip` bytes on
      drop,    // it is there already, or the answer to the last request will bring it
      ask,     // something is missing: ask()
      finish,  // the stream has ended, and all of it is there
      fail,    // the sender does not do as it is asked
      excess,  // there is more here than the stream has
    };
    Kind kind = Kind::drop;
    std::uint64_t skip = 0;
    bool gap = false;  // bytes before this are lost for good
  };
  Verdict data (const StreamPlace &place, std::uint64_t size);
  Verdict end (const StreamPlace &place);
  // The request that is to be sent: on each new channel, to a sender that says that it has begun,
  // and when told to.
  StreamPlace ask ();

  std::uint64_t position () const { return position_.value_or (0); }  // in bytes downstream
  StreamPlace place () const { return {serial_, position () + shift_, false, false}; }

 private:
  using Kind = Verdict::Kind;
  Verdict missing (const StreamPlace &place);
  Verdict take (std::uint64_t skip, std::uint64_t size, bool gap);

  std::optional<std::uint64_t> position_;
  std::uint64_t serial_;
  // An offset of the stream minus the position that it has downstream. Not 0 once bytes were lost.
  std::uint64_t shift_ = 0;
  bool asked_ = false;     // and got nothing since
  bool answered_ = false;  // something with the serial of the last request came
  unsigned fruitless_ = 0;
};

}  // namespace p2p
