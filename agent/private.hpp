// What the classes of the C API show each other: the way from an object to its core and back.
#pragma once
#include <functional>
#include <memory>

#include "channel_tasks.hpp"
#include "core/connection_core.hpp"
#include "p2p/p2p.h"

namespace p2p {

class ConnectionEvents;

P2pChannel *channel_new (std::shared_ptr<ChannelPort> port, P2pConnection *connection);
const std::shared_ptr<ChannelPort> &channel_port (P2pChannel *channel);
const std::shared_ptr<ChannelTasks> &channel_tasks (P2pChannel *channel);
void channel_closed (P2pChannel *channel);  // in the agent's context: tells the application

GIOStream *channel_stream_new (std::shared_ptr<ChannelPort> port,
                               std::shared_ptr<ChannelTasks> tasks);

// `config_changed` is called in the context: the connection is up, and has other own candidates.
P2pConnection *connection_new (std::shared_ptr<ConnectionCore> core, Ref<GMainContext> context,
                               std::function<void (P2pConnection *)> config_changed);
const std::shared_ptr<ConnectionCore> &connection_core (P2pConnection *connection);
const std::shared_ptr<ConnectionEvents> &connection_events (P2pConnection *connection);
// The one object of the port. From any thread.
Ref<P2pChannel> connection_channel (P2pConnection *connection,
                                    const std::shared_ptr<ChannelPort> &port);
GListModel *connection_channels (P2pConnection *connection);
// Finishes the task with the connection once it is up, or with the error that removed it.
void connection_return_when_connected (P2pConnection *connection, Ref<GTask> task);

}  // namespace p2p
