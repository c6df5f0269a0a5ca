// p2psrc's share of a stream that can be resumed: asks downstream where it stands, has the sender
// go on there, and hands out what goes on there. On the streaming thread only, but for finish().
#pragma once
#include <gst/base/base.h>

#include "buffer-codec.hpp"
#include "downstream.hpp"
#include "gstp2pelement.hpp"
#include "resume-receiver.hpp"

namespace p2p {

class SrcResume {
 public:
  SrcResume (GstBaseSrc *source, ElementCore &core) : source_ (source), core_ (core) {}

  // Waits for the next buffer, and gives it its place. EOS only when the peer has gone after the
  // end of the stream.
  GstFlowReturn next (Link &link, DecodedBuffer &decoded);
  // The element stops, so that what is downstream has written what it will write: the last chance
  // to tell the sender that all is there.
  void finish (Link &link);

 private:
  void begin ();
  GstFlowReturn receive (Link &link, P2pChannel *channel, DecodedBuffer &decoded);
  // OK: a buffer to hand out. CUSTOM_SUCCESS: go on.
  GstFlowReturn take (Link &link, P2pChannel *channel, DecodedBuffer &decoded);
  GstFlowReturn hear (Link &link, P2pChannel *channel, const DecodedBuffer &control);
  GstFlowReturn act (Link &link, P2pChannel *channel, const ResumeReceiver::Verdict &verdict);
  void end_stream (Link &link);
  bool written () const;
  bool tell (P2pChannel *channel, ResumeControl control, const StreamPlace &place);

  GstBaseSrc *const source_;
  ElementCore &core_;
  BufferDecoder decoder_;
  std::optional<ResumeReceiver> receiver_;
  Ref<P2pChannel> asked_on_;
  Ref<GstCaps> caps_;     // of a buffer that was dropped
  bool in_file_ = false;  // downstream is a file whose size can be looked at
  bool ended_ = false, told_taken_ = false;
};

}  // namespace p2p
