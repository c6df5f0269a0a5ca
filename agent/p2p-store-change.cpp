#include "store_box.hpp"

/**
 * P2pStoreChangeKind:
 * @P2P_STORE_CHANGE_KIND_PUT: the key has this value from now on
 * @P2P_STORE_CHANGE_KIND_ERASE: the key is gone
 * @P2P_STORE_CHANGE_KIND_ERASE_RANGE: all keys from this one on, before the end, are gone
 *
 * What a [struct@P2p.StoreChange] does.
 *
 * Since: 1.0
 */

/**
 * P2pStoreChange:
 *
 * One change of what a [iface@P2p.SessionStore] holds. Keys are UTF-8 and ordered by their bytes.
 *
 * Immutable, so that threads may share it.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (P2pStoreChange, p2p_store_change, p2p_store_change_ref, p2p_store_change_unref)

P2pStoreChange *
p2p::store_change_box_new (StoreChange change) {
  return new P2pStoreChange{{1}, std::move (change)};
}

/**
 * p2p_store_change_new_put:
 * @key: a key
 * @value: its value
 *
 * Sets a value. The bytes are referenced, not copied.
 *
 * Returns: (transfer full): a new change
 *
 * Since: 1.0
 */
P2pStoreChange *
p2p_store_change_new_put (const char *key, GBytes *value) {
  g_return_val_if_fail (key && *key && value, nullptr);
  return p2p::store_change_box_new (p2p::StoreChange::put (key, p2p::Ref<GBytes>::share (value)));
}

/**
 * p2p_store_change_new_erase:
 * @key: a key
 *
 * Erases a key and its value; nothing where there is none.
 *
 * Returns: (transfer full): a new change
 *
 * Since: 1.0
 */
P2pStoreChange *
p2p_store_change_new_erase (const char *key) {
  g_return_val_if_fail (key && *key, nullptr);
  return p2p::store_change_box_new (p2p::StoreChange::erase (key));
}

/**
 * p2p_store_change_new_erase_range:
 * @key: the first key
 * @end: the key before which it ends
 *
 * Erases all keys from @key on that come before @end.
 *
 * Returns: (transfer full): a new change
 *
 * Since: 1.0
 */
P2pStoreChange *
p2p_store_change_new_erase_range (const char *key, const char *end) {
  g_return_val_if_fail (key && end, nullptr);
  return p2p::store_change_box_new (p2p::StoreChange::erase_range (key, end));
}

/**
 * p2p_store_change_ref:
 * @change: a change
 *
 * Adds a reference.
 *
 * Returns: (transfer full): @change
 *
 * Since: 1.0
 */
P2pStoreChange *
p2p_store_change_ref (P2pStoreChange *change) {
  g_return_val_if_fail (change, nullptr);
  change->references.fetch_add (1, std::memory_order_relaxed);
  return change;
}

/**
 * p2p_store_change_unref:
 * @change: (transfer full): a change
 *
 * Gives up a reference.
 *
 * Since: 1.0
 */
void
p2p_store_change_unref (P2pStoreChange *change) {
  g_return_if_fail (change);
  if (change->references.fetch_sub (1, std::memory_order_acq_rel) == 1) delete change;
}

/**
 * p2p_store_change_get_kind:
 * @change: a change
 *
 * What it does.
 *
 * Returns: the kind
 *
 * Since: 1.0
 */
P2pStoreChangeKind
p2p_store_change_get_kind (P2pStoreChange *change) {
  g_return_val_if_fail (change, P2P_STORE_CHANGE_KIND_PUT);
  switch (change->content.kind) {
    case p2p::StoreChange::Kind::put:
      return P2P_STORE_CHANGE_KIND_PUT;
    case p2p::StoreChange::Kind::erase:
      return P2P_STORE_CHANGE_KIND_ERASE;
    case p2p::StoreChange::Kind::erase_range:
      return P2P_STORE_CHANGE_KIND_ERASE_RANGE;
  }
  return P2P_STORE_CHANGE_KIND_PUT;
}

/**
 * p2p_store_change_get_key:
 * @change: a change
 *
 * The key, of a range the first one.
 *
 * Returns: the key
 *
 * Since: 1.0
 */
const char *
p2p_store_change_get_key (P2pStoreChange *change) {
  g_return_val_if_fail (change, nullptr);
  return change->content.key.c_str ();
}

/**
 * p2p_store_change_get_end:
 * @change: a change
 *
 * The key before which a range ends; %NULL for all else.
 *
 * Returns: (nullable): the end
 *
 * Since: 1.0
 */
const char *
p2p_store_change_get_end (P2pStoreChange *change) {
  g_return_val_if_fail (change, nullptr);
  const bool range = change->content.kind == p2p::StoreChange::Kind::erase_range;
  return range ? change->content.end.c_str () : nullptr;
}

/**
 * p2p_store_change_get_value:
 * @change: a change
 *
 * The value that is put; %NULL for all else.
 *
 * Returns: (transfer none) (nullable): the value
 *
 * Since: 1.0
 */
GBytes *
p2p_store_change_get_value (P2pStoreChange *change) {
  g_return_val_if_fail (change, nullptr);
  return change->content.value.get ();
}
