// The sending end of a byte stream that can be resumed: where it stands, where the receiver wants
// it to go on, and so what to do next. Decides only; the element seeks and sends.
//
// The receiver alone says where the stream goes on, by a request with a serial. Nothing is sent
// before the first request on a channel, and what is sent carries the serial that it answers.
#pragma once
#include <cstdint>
#include <optional>

#include "buffer-attributes.hpp"

namespace p2p {

class ResumeSender {
 public:
  enum class Step {
    wait,  // for the receiver, or for the seek
    seek,  // to target(), and tell seeking() before
    send,  // what is upstream, from place() on
  };

  // What is upstream goes on at this byte; nothing: it does not count in bytes.
  void begin_stream (std::optional<std::uint64_t> offset);
  // The stream ends. There may have been no segment before: of an empty stream, or when the seek
  // went to its end.
  void end_stream ();
  void flushed () { flushed_ = true; }
  // It goes on from where it is, whatever the receiver asks for.
  void cannot_seek () { fixed_ = true; }
  bool fixed () const { return fixed_; }

  void begin_channel ();
  void ask (const StreamPlace &request);
  bool asked () const { return wanted_.has_value (); }  // and not answered
  Step step () const;
  std::uint64_t target () const { return wanted_ ? wanted_->offset : 0; }
  void seeking ();
  // Of a seek that was a success, begin_stream() tells the rest.
  void seek_failed ();

  // When step() is to send: answers the request. True: it is a new one, so that nothing is known
  // of what the receiver has.
  bool answer ();
  StreamPlace place () const { return {serial_.value_or (0), offset_, fixed_, false}; }
  void sent (std::uint64_t bytes) { offset_ += bytes; }
  // The receiver says that it has all up to here.
  bool is_end (const StreamPlace &taken) const;

 private:
  bool begun_ = false, fixed_ = false;
  std::uint64_t offset_ = 0;
  std::optional<std::uint64_t> serial_;  // answered last on this channel
  std::optional<StreamPlace> wanted_;    // and not answered yet
  std::optional<std::uint64_t> sought_;  // a seek to there is under way
  bool flushed_ = false;                 // by that seek: what comes now, comes after it
};

}  // namespace p2p
