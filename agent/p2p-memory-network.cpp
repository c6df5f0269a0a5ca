#include <mutex>

#include "facade.hpp"
#include "memory_network.hpp"
#include "p2p/p2p-path.h"
#include "path_sources.hpp"

using p2p::LinkOptions;
using p2p::MemoryNetwork;

namespace {

struct Private {
  std::uint64_t seed = 1;
  bool is_virtual = false;
  std::shared_ptr<MemoryNetwork> network;  // set once
  std::mutex mutex;
  LinkOptions options;  // guarded by mutex
};

enum Property : guint {
  PROP_SEED = 1,
  PROP_VIRTUAL,
  PROP_LOSS,
  PROP_DUPLICATE,
  PROP_REORDER,
  PROP_DELAY_MS,
  PROP_JITTER_MS,
  PROP_RATE_KBPS,
  PROP_DOWN,
  PROP_STATS,
  N_PROPERTIES
};
GParamSpec *properties[N_PROPERTIES];

constexpr double kMaxProbability = 1;
constexpr guint kMaxSpanMs = 60 * 60 * 1000;

}  // namespace

/**
 * P2pMemoryNetwork:
 *
 * A network inside one process: joins the agents that it was added to, by links that lose, repeat,
 * reorder, delay and slow down datagrams as they are told. For tests, of this library and of
 * applications; with [ctor@P2p.MemoryNetwork.new_virtual] they take no real time.
 *
 * Give it to [method@P2p.Agent.add_path_factory], and "memory" as the agents'
 * [property@P2p.Agent:path-order], so that nothing goes around it. Both agents must find each other
 * by signaling, or by their network configurations.
 *
 * Every property may be set at any moment, from any thread, and has acted on all links, in both
 * directions, when the call returns.
 *
 * Since: 1.0
 */
struct _P2pMemoryNetwork {
  GObject parent_instance;
  Private *priv;
};

static void p2p_memory_network_iface_init (P2pPathFactoryInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (P2pMemoryNetwork, p2p_memory_network, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (P2P_TYPE_PATH_FACTORY,
                                                      p2p_memory_network_iface_init))

static const char *
p2p_memory_network_get_name (P2pPathFactory *) {
  return "memory";
}

static void
p2p_memory_network_open_async (P2pPathFactory *factory, const char *, const char *, gboolean,
                               GCancellable *, GAsyncReadyCallback callback, gpointer user_data) {
  // Agents reach the network directly, on the library's thread.
  g_task_report_new_error (
      factory, callback, user_data, reinterpret_cast<gpointer> (p2p_memory_network_open_async),
      P2P_ERROR, P2P_ERROR_FAILED, "A memory network joins agents only; add it to two of them.");
}

static void
p2p_memory_network_iface_init (P2pPathFactoryInterface *iface) {
  iface->get_name = p2p_memory_network_get_name;
  iface->open_async = p2p_memory_network_open_async;
}

static void
p2p_memory_network_init (P2pMemoryNetwork *self) {
  self->priv = new Private;
}

static void
p2p_memory_network_constructed (GObject *object) {
  G_OBJECT_CLASS (p2p_memory_network_parent_class)->constructed (object);
  Private &priv = *P2P_MEMORY_NETWORK (object)->priv;
  priv.network = std::make_shared<MemoryNetwork> (
      priv.seed, priv.is_virtual ? MemoryNetwork::Clock::virtual_ : MemoryNetwork::Clock::real);
  p2p::core_loop ().post (
      [network = priv.network, options = priv.options] { network->set_options (options); });
}

static void
p2p_memory_network_finalize (GObject *object) {
  Private *priv = P2P_MEMORY_NETWORK (object)->priv;
  // Timers of a virtual clock go on the thread that they belong to.
  p2p::core_loop ().post ([network = std::move (priv->network)] {});
  delete priv;
  G_OBJECT_CLASS (p2p_memory_network_parent_class)->finalize (object);
}

static void
p2p_memory_network_set_property (GObject *object, guint id, const GValue *value,
                                 GParamSpec *pspec) {
  Private &priv = *P2P_MEMORY_NETWORK (object)->priv;
  LinkOptions now;
  {
    const std::lock_guard lock (priv.mutex);
    LinkOptions &options = priv.options;
    switch (id) {
      case PROP_SEED:
        priv.seed = g_value_get_uint64 (value);
        break;
      case PROP_VIRTUAL:
        priv.is_virtual = g_value_get_boolean (value);
        break;
      case PROP_LOSS:
        options.loss = g_value_get_double (value);
        break;
      case PROP_DUPLICATE:
        options.duplicate = g_value_get_double (value);
        break;
      case PROP_REORDER:
        options.reorder = g_value_get_double (value);
        break;
      case PROP_DELAY_MS:
        options.delay = g_value_get_uint (value) * p2p::kMillisecond;
        break;
      case PROP_JITTER_MS:
        options.jitter = g_value_get_uint (value) * p2p::kMillisecond;
        break;
      case PROP_RATE_KBPS:
        options.rate_bits_per_s = std::uint64_t{1000} * g_value_get_uint (value);
        break;
      case PROP_DOWN:
        options.down = g_value_get_boolean (value);
        break;
      default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
    now = options;
  }
  if (!priv.network) return;  // under construction
  // What is sent after this call, from whatever thread, meets what was set.
  p2p::core_loop ().run_sync ([&] { priv.network->set_options (now); });
  g_object_notify_by_pspec (object, pspec);
}

static void
p2p_memory_network_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  P2pMemoryNetwork *self = P2P_MEMORY_NETWORK (object);
  Private &priv = *self->priv;
  LinkOptions options;
  {
    const std::lock_guard lock (priv.mutex);
    options = priv.options;
  }
  switch (id) {
    case PROP_SEED:
      g_value_set_uint64 (value, priv.seed);
      break;
    case PROP_VIRTUAL:
      g_value_set_boolean (value, priv.is_virtual);
      break;
    case PROP_LOSS:
      g_value_set_double (value, options.loss);
      break;
    case PROP_DUPLICATE:
      g_value_set_double (value, options.duplicate);
      break;
    case PROP_REORDER:
      g_value_set_double (value, options.reorder);
      break;
    case PROP_DELAY_MS:
      g_value_set_uint (value, static_cast<guint> (options.delay / p2p::kMillisecond));
      break;
    case PROP_JITTER_MS:
      g_value_set_uint (value, static_cast<guint> (options.jitter / p2p::kMillisecond));
      break;
    case PROP_RATE_KBPS:
      g_value_set_uint (value, static_cast<guint> (options.rate_bits_per_s / 1000));
      break;
    case PROP_DOWN:
      g_value_set_boolean (value, options.down);
      break;
    case PROP_STATS:
      g_value_take_variant (value, p2p_memory_network_get_stats (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
p2p_memory_network_class_init (P2pMemoryNetworkClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  object_class->constructed = p2p_memory_network_constructed;
  object_class->finalize = p2p_memory_network_finalize;
  object_class->set_property = p2p_memory_network_set_property;
  object_class->get_property = p2p_memory_network_get_property;

  /**
   * P2pMemoryNetwork:seed:
   *
   * What the network's chance is drawn from: on a virtual clock, the same seed gives the same run.
   *
   * Since: 1.0
   */
  properties[PROP_SEED] = g_param_spec_uint64 ("seed", "Seed", "Seed of the network's chance", 0,
                                               G_MAXUINT64, 1, p2p::kConstructOnly);
  /**
   * P2pMemoryNetwork:virtual:
   *
   * Whether the network's clock stands still but for [method@P2p.MemoryNetwork.advance].
   *
   * Since: 1.0
   */
  properties[PROP_VIRTUAL] = g_param_spec_boolean ("virtual", "Virtual", "On a clock of its own",
                                                   FALSE, p2p::kConstructOnly);
  /**
   * P2pMemoryNetwork:loss:
   *
   * The probability of losing a datagram, 0 to 1.
   *
   * Since: 1.0
   */
  properties[PROP_LOSS] = g_param_spec_double ("loss", "Loss", "Probability of losing a datagram",
                                               0, kMaxProbability, 0, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:duplicate:
   *
   * The probability of delivering a datagram twice, 0 to 1.
   *
   * Since: 1.0
   */
  properties[PROP_DUPLICATE] =
      g_param_spec_double ("duplicate", "Duplicate", "Probability of delivering a datagram twice",
                           0, kMaxProbability, 0, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:reorder:
   *
   * The probability of delaying a datagram so that later ones overtake it, 0 to 1.
   *
   * Since: 1.0
   */
  properties[PROP_REORDER] =
      g_param_spec_double ("reorder", "Reorder", "Probability of delaying a datagram", 0,
                           kMaxProbability, 0, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:delay-ms:
   *
   * The way in one direction, in ms.
   *
   * Since: 1.0
   */
  properties[PROP_DELAY_MS] = g_param_spec_uint ("delay-ms", "Delay", "One-way delay in ms", 0,
                                                 kMaxSpanMs, 0, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:jitter-ms:
   *
   * What is added to the delay at most, by chance, in ms.
   *
   * Since: 1.0
   */
  properties[PROP_JITTER_MS] = g_param_spec_uint ("jitter-ms", "Jitter", "Added delay in ms", 0,
                                                  kMaxSpanMs, 0, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:rate-kbps:
   *
   * The rate in one direction, in 1000 bit/s; 0 has no limit.
   *
   * Since: 1.0
   */
  properties[PROP_RATE_KBPS] = g_param_spec_uint (
      "rate-kbps", "Rate", "Rate in kbit/s, 0 for no limit", 0, G_MAXUINT, 0, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:down:
   *
   * Whether every datagram vanishes.
   *
   * Since: 1.0
   */
  properties[PROP_DOWN] =
      g_param_spec_boolean ("down", "Down", "Every datagram vanishes", FALSE, p2p::kReadWrite);
  /**
   * P2pMemoryNetwork:stats:
   *
   * What [method@P2p.MemoryNetwork.get_stats] returns. Not notified.
   *
   * Since: 1.0
   */
  properties[PROP_STATS] = g_param_spec_variant ("stats", "Stats", "Counters of all links",
                                                 G_VARIANT_TYPE_VARDICT, nullptr, p2p::kReadOnly);
  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

std::shared_ptr<p2p::PathSource>
p2p::path_source_of (P2pPathFactory *factory, Ref<GMainContext> context) {
  if (P2P_IS_MEMORY_NETWORK (factory)) return P2P_MEMORY_NETWORK (factory)->priv->network;
  return make_object_path_source (factory, std::move (context));
}

/**
 * p2p_memory_network_new:
 * @seed: what its chance is drawn from
 *
 * A network on the real clock.
 *
 * Returns: (transfer full): a new network
 *
 * Since: 1.0
 */
P2pMemoryNetwork *
p2p_memory_network_new (guint64 seed) {
  return P2P_MEMORY_NETWORK (g_object_new (P2P_TYPE_MEMORY_NETWORK, "seed", seed, nullptr));
}

/**
 * p2p_memory_network_new_virtual:
 * @seed: what its chance is drawn from; the same seed gives the same run
 *
 * A network on a clock that stands still until [method@P2p.MemoryNetwork.advance]: transports over
 * it live by that clock.
 *
 * Returns: (transfer full): a new network
 *
 * Since: 1.0
 */
P2pMemoryNetwork *
p2p_memory_network_new_virtual (guint64 seed) {
  return P2P_MEMORY_NETWORK (
      g_object_new (P2P_TYPE_MEMORY_NETWORK, "seed", seed, "virtual", TRUE, nullptr));
}

/**
 * p2p_memory_network_advance:
 * @self: a network on a virtual clock
 * @span_ms: how far, in ms
 *
 * Moves the clock, and lets happen what is due until then. Returns when it has happened.
 *
 * Since: 1.0
 */
void
p2p_memory_network_advance (P2pMemoryNetwork *self, guint span_ms) {
  g_return_if_fail (P2P_IS_MEMORY_NETWORK (self) && self->priv->is_virtual);
  p2p::core_loop ().run_sync ([&] { self->priv->network->advance (span_ms * p2p::kMillisecond); });
}

/**
 * p2p_memory_network_get_stats:
 * @self: a network
 *
 * Counts the datagrams of all links, in both directions, a dictionary of `uint64`: `sent`,
 * `delivered`, `lost`, `duplicated`, `reordered`, and `overflowed` (dropped by a full queue at the
 * bottleneck).
 *
 * Returns: (transfer full): an `a{sv}`
 *
 * Since: 1.0
 */
GVariant *
p2p_memory_network_get_stats (P2pMemoryNetwork *self) {
  g_return_val_if_fail (P2P_IS_MEMORY_NETWORK (self), nullptr);
  p2p::LinkStats stats;
  p2p::core_loop ().run_sync ([&] { stats = self->priv->network->stats (); });
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  const auto add = [&builder] (const char *key, std::uint64_t value) {
    g_variant_builder_add (&builder, "{sv}", key, g_variant_new_uint64 (value));
  };
  add ("sent", stats.sent);
  add ("delivered", stats.delivered);
  add ("lost", stats.lost);
  add ("duplicated", stats.duplicated);
  add ("reordered", stats.reordered);
  add ("overflowed", stats.overflowed);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
