#include "resume-sender.hpp"

#include <utility>

namespace p2p {

void
ResumeSender::begin_stream (std::optional<std::uint64_t> offset) {
  begun_ = true;
  if (!offset) fixed_ = true;
  // Elsewhere than where it was sent: it would be sent there again and again.
  const auto sought = std::exchange (sought_, std::nullopt);
  if (sought && sought != offset) fixed_ = true;
  if (offset) offset_ = *offset;
}

void
ResumeSender::end_stream () {
  if (sought_ && flushed_)
    begin_stream (sought_);
  else if (!begun_)
    begin_stream (0);
}

void
ResumeSender::begin_channel () {
  serial_.reset ();
  wanted_.reset ();
}

void
ResumeSender::ask (const StreamPlace &request) {
  // A request that crossed with our beginning comes twice.
  if (!wanted_ && serial_ == request.serial) return;
  wanted_ = request;
}

ResumeSender::Step
ResumeSender::step () const {
  if (!begun_ || sought_) return Step::wait;
  if (!wanted_) return serial_ ? Step::send : Step::wait;
  return fixed_ || wanted_->unknown || wanted_->offset == offset_ ? Step::send : Step::seek;
}

void
ResumeSender::seeking () {
  sought_ = target ();
  flushed_ = false;
}

void
ResumeSender::seek_failed () {
  sought_.reset ();
  fixed_ = true;
}

bool
ResumeSender::answer () {
  if (!wanted_) return false;
  serial_ = wanted_->serial;
  wanted_.reset ();
  return true;
}

bool
ResumeSender::is_end (const StreamPlace &taken) const {
  return serial_ == taken.serial && !wanted_;
}

}  // namespace p2p
