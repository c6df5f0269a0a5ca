// The instance of P2pAgent.
#pragma once
#include "agent_private.hpp"

struct _P2pAgent {
  GObject parent_instance;
  p2p::AgentPrivate *priv;
};
