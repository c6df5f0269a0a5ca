// The boxed types of the C API and what they hold.
#pragma once
#include <atomic>
#include <memory>

#include "core/network_config.hpp"
#include "p2p/p2p-channel.h"
#include "p2p/p2p-network-config.h"
#include "session/session.hpp"

struct _P2pMessage {
  std::atomic<int> references;
  p2p::Message content;
};

struct _P2pChannelOptions {
  p2p::ChannelOptions content;
};

struct _P2pNetworkConfig {
  std::atomic<int> references;
  p2p::NetworkConfig content;
};

namespace p2p {

// (transfer full)
P2pMessage *message_box_new (const Message &message);
P2pNetworkConfig *network_config_box_new (const NetworkConfig &config);

}  // namespace p2p
