#include "resume-receiver.hpp"

#include <utility>

namespace p2p {
namespace {

// Each request costs a round trip and a seek: who answers so many of them wrongly will go on so.
constexpr unsigned kMaxFruitless = 3;

}  // namespace

StreamPlace
ResumeReceiver::ask () {
  // The sender knows the one that was not answered, and does not begin anew because of it.
  if (!std::exchange (asked_, true)) serial_++;
  answered_ = false;
  StreamPlace request = place ();
  request.unknown = !position_;
  return request;
}

ResumeReceiver::Verdict
ResumeReceiver::take (std::uint64_t skip, std::uint64_t size, bool gap) {
  position_ = position () + size - skip;
  asked_ = false;
  fruitless_ = 0;
  return {Kind::take, skip, gap};
}

ResumeReceiver::Verdict
ResumeReceiver::missing (const StreamPlace &place) {
  if (place.serial != serial_ && !answered_) return {};  // the answer is under way
  if (++fruitless_ > kMaxFruitless) return {Kind::fail, 0, false};
  asked_ = false;
  return {Kind::ask, 0, false};
}

ResumeReceiver::Verdict
ResumeReceiver::data (const StreamPlace &place, std::uint64_t size) {
  const bool first_answer = place.serial == serial_ && !answered_;
  if (first_answer) answered_ = true;
  // Nobody knows what is downstream: the stream goes on there.
  if (!position_) {
    position_ = 0;
    shift_ = place.offset;
    return take (0, size, false);
  }
  const std::uint64_t expected = position () + shift_;
  if (place.offset > expected || (place.fixed && first_answer && place.offset < expected)) {
    if (!place.fixed) return missing (place);
    // It can only go on from where it is: bytes are lost, or it is another stream after this one.
    shift_ = place.offset - position ();
    return take (0, size, true);
  }
  const std::uint64_t skip = expected - place.offset;
  if (skip >= size) return {};
  return take (skip, size, false);
}

ResumeReceiver::Verdict
ResumeReceiver::end (const StreamPlace &place) {
  const std::uint64_t expected = position () + shift_;
  if (!position_ || place.fixed || place.offset == expected) return {Kind::finish, 0, false};
  if (place.offset < expected) return {Kind::excess, 0, false};
  if (place.serial == serial_) answered_ = true;
  return missing (place);
}

}  // namespace p2p
